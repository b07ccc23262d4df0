package bus

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats.go"
)

// What a hostile sub, "mallory", sends: every request with every reply subject
// and every header. The victims are the dom's buckets and sub "victim".
var (
	attackRequests = map[string]string{
		"$JS.API.DIRECT.GET.KV_records":                         `{"last_by_subj":"$KV.records.example.com"}`,
		"$JS.API.DIRECT.GET.KV_hosts":                           `{"multi_last":["$KV.hosts.>"],"batch":10}`,
		"$JS.API.DIRECT.GET.KV_subs":                            `{"seq":1,"batch":10}`,
		"$JS.API.DIRECT.GET.KV_status":                          `{"last_by_subj":"$KV.status.victim"}`,
		"$JS.API.STREAM.INFO.KV_records":                        `{"subjects_filter":">"}`,
		"$JS.API.STREAM.INFO.KV_status":                         ``,
		"$JS.API.STREAM.PURGE.KV_records":                       ``,
		"$JS.API.STREAM.DELETE.KV_records":                      ``,
		"$JS.API.STREAM.UPDATE.KV_records":                      `{"name":"KV_records","subjects":["x"]}`,
		"$JS.API.STREAM.CREATE.EVIL":                            `{"name":"EVIL","subjects":["b8s.>"]}`,
		"$JS.API.STREAM.MSG.DELETE.KV_records":                  `{"seq":1}`,
		"$JS.API.STREAM.SNAPSHOT.KV_records":                    `{"deliver_subject":"x"}`,
		"$JS.API.CONSUMER.CREATE.KV_records":                    `{"stream_name":"KV_records","config":{"deliver_subject":"$KV.hosts.www","ack_policy":"none"}}`,
		"$JS.API.CONSUMER.CREATE.KV_records.evil.$KV.records.>": `{"stream_name":"KV_records","config":{"name":"evil","ack_policy":"none"}}`,
		"$KV.records.example.com":                               "evil.",
		"$KV.status.victim":                                     `{"sub":"victim"}`,
		"$O.geolite.M.x":                                        `{}`,
		"b8s.status.mallory":                                    `{"sub":"mallory"}`,
		"b8s.status.victim":                                     `{"sub":"victim"}`,
		"b8s.live.records.example.com":                          "evil.",
		"b8s.cmd.victim.logs":                                   ``,
		"$SYS.REQ.SERVER.PING":                                  ``,
		"$SYS.REQ.ACCOUNT.$G.CONNZ":                             ``,
		"_R_.AAAAAA.BBBBBB":                                     "evil.",
		"$JS.ACK.KV_records.evil.1.1.1.1.1":                     "",
		"$JS.API.DIRECT.GET.KV_records.$KV.records.example.com": ``,
		"$JS.API.CONSUMER.MSG.NEXT.KV_records.evil":             `{"batch":10}`,
		"$JS.API.DIRECT.GET.OBJ_geolite":                        `{"seq":1,"batch":10}`,
		"$JS.API.META.LEADER.STEPDOWN":                          ``,
		"$JS.API.ACCOUNT.PURGE.$G":                              ``,
		"$SYS.REQ.CLAIMS.UPDATE":                                ``,
	}
	attackReplies = []string{
		"", "_INBOX.mallory", "$KV.records.example.com", "$KV.hosts.www", "$KV.status.victim",
		"$O.geolite.M.x", "b8s.status.victim", "b8s.live.records.example.com",
		"b8s.cmd.victim.logs", "$JS.API.STREAM.PURGE.KV_records", "$JS.API.STREAM.DELETE.KV_hosts",
		"$JS.ACK.KV_records.evil.1.1.1.1.1", "$JS.FC.KV_records.evil.x", "_R_.AAAAAA.BBBBBB", "$KV.records.example.com.FI",
	}
	attackHeaders = []nats.Header{
		nil,
		{"Nats-Rollup": {"all"}},
		{"Nats-Rollup": {"sub"}},
		{"Nats-TTL": {"1s"}},
		{"Nats-Msg-Id": {"1"}},
		{"Nats-Expected-Stream": {"KV_records"}},
		{"Nats-Expected-Last-Sequence": {"1"}},
		{"Nats-Expected-Last-Subject-Sequence": {"1"}},
		{"Nats-Expected-Last-Msg-Id": {"1"}},
		{"KV-Operation": {"PURGE"}, "Nats-Rollup": {"sub"}},
		{"KV-Operation": {"DEL"}},
		{"Nats-Schedule": {"@at 2020-01-01T00:00:00Z"}, "Nats-Schedule-Target": {"$KV.records.example.com"}},
		{"Nats-Schedule": {"@every 1s"}, "Nats-Schedule-Target": {"$KV.hosts.www"}, "Nats-Schedule-TTL": {"1s"}},
		{"Nats-Batch-Id": {"evil"}, "Nats-Batch-Sequence": {"1"}, "Nats-Batch-Commit": {"1"}},
		{"Nats-Trace-Dest": {"$KV.records.example.com"}},
		{"Nats-Trace-Dest": {"b8s.status.victim"}, "Nats-Trace-Only": {"true"}},
		{"Nats-Request-Info": {`{"acc":"$G","svc":"$G"}`}},
		{"Status": {"503"}},
	}
)

// attack is what the dom has and hears while mallory works.
type attack struct {
	t       testing.TB
	dom     *nats.Conn
	js      nats.JetStreamContext
	mallory *nats.Conn
	victim  *nats.Conn

	mu    sync.Mutex
	heard []string // by the dom outside of mallory's status, or by the victim
}

func newAttack(t testing.TB, accountsAlone bool) *attack {
	s := start(t, t.TempDir())
	s.accountsAlone = accountsAlone
	to := serve(t, s)
	must(t, s.AddSub("mallory", netip.MustParseAddr("127.0.0.2")))
	must(t, s.AddSub("victim", netip.MustParseAddr("127.0.0.3")))
	a := &attack{t: t, dom: dial(t, s), mallory: connectSub(t, "127.0.0.2", to), victim: connectSub(t, "127.0.0.3", to)}
	js, err := a.dom.JetStream()
	must(t, err)
	a.js = js
	// Buckets as the nats command makes them, roll-up allowed: the harder case.
	for _, name := range []string{subjects.Records, subjects.Hosts, subjects.Subs, subjects.StatusKV} {
		kv := bucket(t, a.dom, name)
		for _, key := range []string{"example.com", "www", "victim"} {
			_, err := kv.PutString(key, "good")
			must(t, err)
		}
	}
	_, err = js.CreateObjectStore(&nats.ObjectStoreConfig{Bucket: subjects.ObjectGeoLite})
	must(t, err)
	a.listen(a.dom, "b8s.>", "$KV.>", "$O.>")
	for _, in := range subjects.SubImports("victim") {
		if !in.Service {
			a.listen(a.victim, in.Subject)
		}
	}
	a.listen(a.victim, subjects.SubAnswers("victim"))
	must(t, a.dom.Flush())
	must(t, a.victim.Flush())
	return a
}

func (a *attack) listen(nc *nats.Conn, all ...string) {
	for _, subject := range all {
		_, err := nc.Subscribe(subject, func(m *nats.Msg) {
			if m.Subject == subjects.Status("mallory") || strings.HasSuffix(m.Subject, ".barrier") {
				return // its own, which is all that it may say; the test's own
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			a.heard = append(a.heard, m.Subject)
		})
		must(a.t, err)
	}
}

// state is all streams with all that a change of one would move.
func (a *attack) state() string {
	var lines []string
	for info := range a.js.Streams() {
		b, err := json.Marshal(info)
		must(a.t, err)
		lines = append(lines, string(b))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func (a *attack) try(subject, reply, body string, header nats.Header) {
	m := &nats.Msg{Subject: subject, Reply: reply, Data: []byte(body), Header: header}
	must(a.t, a.mallory.PublishMsg(m))
}

// settle waits until what mallory sent is handled, replies too.
func (a *attack) settle() {
	for _, nc := range []*nats.Conn{a.mallory, a.dom, a.victim, a.dom} {
		must(a.t, nc.FlushTimeout(10*time.Second))
	}
}

// drain passes through each stream's queues, out and in, behind what mallory
// caused: a read, then a put that the stream refuses.
func (a *attack) drain() {
	a.t.Helper()
	for _, name := range []string{subjects.Records, subjects.Hosts, subjects.Subs, subjects.StatusKV} {
		_, err := a.dom.Request(subjects.DirectGet(subjects.Stream(name)), []byte(`{"seq":1}`), 5*time.Second)
		must(a.t, err)
		m := nats.NewMsg(subjects.Stored(name, "barrier"))
		m.Header.Set("Nats-Expected-Last-Sequence", "999999")
		ack, err := a.dom.RequestMsg(m, 5*time.Second)
		must(a.t, err)
		if !strings.Contains(string(ack.Data), "wrong last sequence") {
			a.t.Fatalf("ack: %s", ack.Data)
		}
	}
}

func TestHostileSubChangesNothing(t *testing.T) {
	for _, alone := range []bool{false, true} {
		t.Run(fmt.Sprintf("accounts alone %v", alone), func(t *testing.T) {
			a := newAttack(t, alone)
			before := a.state()
			combinations := 0
			for subject, body := range attackRequests {
				for _, reply := range attackReplies {
					for i, header := range attackHeaders {
						a.try(subject, reply, body, header)
						a.settle()
						combinations++
						if n := len(a.takeHeard()); n != 0 {
							t.Fatalf("%s, reply %q, header %v: it reached another account", subject, reply, header)
						}
						if i%6 == 0 || i == len(attackHeaders)-1 {
							a.unchanged(before, subject, reply, header)
						}
					}
				}
			}
			if want := len(attackRequests) * len(attackReplies) * len(attackHeaders); combinations != want || want < 40 {
				t.Fatalf("%d combinations, want %d", combinations, want)
			}
			t.Logf("%d combinations without effect", combinations)
			if !a.mallory.IsConnected() || a.mallory.Stats().Reconnects > 1 {
				t.Fatal("mallory was cut in between: not all was tried")
			}
			a.notBlind(before)
		})
	}
}

func (a *attack) takeHeard() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	heard := a.heard
	a.heard = nil
	return heard
}

func (a *attack) unchanged(before, subject, reply string, header nats.Header) {
	a.t.Helper()
	a.drain()
	must(a.t, a.dom.FlushTimeout(10*time.Second))
	if heard := a.takeHeard(); len(heard) != 0 {
		a.t.Fatalf("%s, reply %q: %v reached another account", subject, reply, heard)
	}
	if after := a.state(); after != before {
		a.t.Fatalf("%s, reply %q, header %v (or the 5 headers before):\nbefore %s\nafter  %s", subject, reply, header, before, after)
	}
}

// notBlind proves that the checks see what they look for: the dom itself does
// what mallory tried.
func (a *attack) notBlind(before string) {
	a.t.Helper()
	must(a.t, a.dom.Publish("$KV.records.example.com", []byte("x")))
	eventually(a.t, "the dom's own put, heard", func() bool { return len(a.takeHeard()) > 0 })
	eventually(a.t, "the dom's own put, stored", func() bool { return a.state() != before })
}

// The attack that made accounts necessary: inside one account a reply subject
// overwrites an entry. It shows that the requests above are live ones.
func TestReplySubjectIsAnAttackWithoutAccounts(t *testing.T) {
	a := newAttack(t, false)
	before := a.state()
	must(t, a.dom.PublishRequest("$JS.API.DIRECT.GET.KV_records", "$KV.hosts.www", []byte(`{"last_by_subj":"$KV.records.example.com"}`)))
	a.settle()
	eventually(t, "the overwritten entry", func() bool { return a.state() != before })
}

func TestSubReadsItsBucketsAndNoOther(t *testing.T) {
	a := newAttack(t, true)
	for _, b := range []string{subjects.Records, subjects.Hosts, subjects.Subs} {
		m, err := a.mallory.Request(subjects.StreamInfo(subjects.Stream(b)), nil, 5*time.Second)
		if err != nil || !strings.Contains(string(m.Data), `"last_seq":3`) {
			t.Errorf("%s: %v", b, err)
		}
	}
	for _, s := range []string{
		subjects.StreamInfo(subjects.Stream(subjects.StatusKV)), subjects.DirectGet(subjects.Stream(subjects.StatusKV)),
		"$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.INFO", "$JS.API.CONSUMER.CREATE.KV_records",
	} {
		m, err := a.mallory.Request(s, []byte(`{"seq":1}`), 300*time.Millisecond)
		if err == nil && strings.Contains(string(m.Data), "KV_") {
			t.Errorf("%s: mallory read %s", s, m.Data)
		}
	}
	got := make(chan string, 100)
	_, err := a.mallory.Subscribe(">", func(m *nats.Msg) { got <- m.Subject })
	must(t, err)
	must(t, a.mallory.Flush())
	must(t, a.victim.Publish(subjects.Status("victim"), []byte("secret")))
	must(t, a.dom.Publish("$KV.status.victim", []byte("secret")))
	a.settle()
	must(t, a.dom.Publish("$KV.records.example.com", []byte("x")))
	eventually(t, "the live change", func() bool {
		for {
			select {
			case s := <-got:
				if s == "b8s.live.records.example.com" {
					return true
				}
				if strings.Contains(s, "status") {
					t.Fatalf("mallory heard %s", s)
				}
			default:
				return false
			}
		}
	})
}

func TestStatusComesUnderTheOwnNameWithoutAWayBack(t *testing.T) {
	a := newAttack(t, true)
	got := make(chan *nats.Msg, 10)
	_, err := a.dom.Subscribe(subjects.StatusAll(), func(m *nats.Msg) { got <- m })
	must(t, err)
	must(t, a.dom.Flush())
	a.try(subjects.Status("victim"), "", "forged", nil)
	a.try(subjects.Status("mallory"), "$KV.records.example.com", "mine", nil)
	m := <-got
	if m.Subject != subjects.Status("mallory") || string(m.Data) != "mine" {
		t.Fatalf("got %s %s", m.Subject, m.Data)
	}
	if m.Reply == "$KV.records.example.com" {
		t.Fatal("the dom would reply to a subject that the sub chose")
	}
}
