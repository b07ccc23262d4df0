package bus

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats.go"
)

func TestLoopbackNeedsItsPasswordAndReadsOnly(t *testing.T) {
	s := start(t, t.TempDir())
	records := bucket(t, dial(t, s), subjects.Records)
	_, err := records.PutString("example.com", "one")
	must(t, err)
	l, err := s.OpenLoopback(t.Context(), false)
	must(t, err)
	if !strings.HasPrefix(l.URL, "nats://127.0.0.1:") || len(l.Password) < 20 {
		t.Fatalf("%s with a password of %d characters", l.URL, len(l.Password))
	}
	for _, user := range []nats.Option{nats.UserInfo(l.User, "wrong"), nats.UserInfo("dom", l.Password), nats.Name("nobody")} {
		if nc, err := nats.Connect(l.URL, user, nats.MaxReconnects(0)); err == nil {
			nc.Close()
			t.Fatal("logged in without the password")
		}
	}
	kv, js, nc := guest(t, l)
	watch, err := kv.WatchAll()
	must(t, err)
	if e := <-watch.Updates(); e == nil || string(e.Value()) != "one" {
		t.Fatalf("watch: %+v", e)
	}
	watch.Stop()
	if e, err := kv.Get("example.com"); err != nil || string(e.Value()) != "one" {
		t.Fatalf("get: %v, %v", e, err)
	}
	if names := keys(t, kv); names != "example.com" {
		t.Fatalf("ls: %q", names)
	}
	refused := map[string]error{}
	_, refused["put"] = kv.PutString("example.com", "two")
	refused["delete"] = kv.Delete("example.com")
	refused["delete stream"] = js.DeleteStream("KV_records")
	refused["purge stream"] = js.PurgeStream("KV_records")
	_, refused["add stream"] = js.AddStream(&nats.StreamConfig{Name: "X", Subjects: []string{"x"}})
	for act, err := range refused {
		if err == nil {
			t.Errorf("%s is allowed to a reader", act)
		}
	}
	if e, err := records.Get("example.com"); err != nil || e.Revision() != 1 {
		t.Fatalf("after all that: %v, %v", e, err)
	}
	l.Close()
	eventually(t, "the guest is cut", func() bool { return nc.IsClosed() })
	if _, err := net.Dial("tcp", strings.TrimPrefix(l.URL, "nats://")); err == nil {
		t.Fatal("the port is open after Close")
	}
}

func guest(t testing.TB, l *Loopback) (nats.KeyValue, nats.JetStreamContext, *nats.Conn) {
	t.Helper()
	nc, err := nats.Connect(l.URL, nats.UserInfo(l.User, l.Password), nats.MaxReconnects(0))
	must(t, err)
	t.Cleanup(nc.Close)
	js, err := nc.JetStream(nats.MaxWait(300 * time.Millisecond))
	must(t, err)
	kv, err := js.KeyValue(subjects.Records)
	must(t, err)
	return kv, js, nc
}

func keys(t testing.TB, kv nats.KeyValue) string {
	t.Helper()
	names, err := kv.Keys()
	must(t, err)
	return strings.Join(names, " ")
}

func TestWritableLoopbackWrites(t *testing.T) {
	s := start(t, t.TempDir())
	records := bucket(t, dial(t, s), subjects.Records)
	ctx, cancel := context.WithCancel(t.Context())
	l, err := s.OpenLoopback(ctx, true)
	must(t, err)
	kv, _, nc := guest(t, l)
	_, err = kv.PutString("example.com", "two")
	must(t, err)
	if e, err := records.Get("example.com"); err != nil || string(e.Value()) != "two" {
		t.Fatalf("got %v, %v", e, err)
	}
	cancel()
	eventually(t, "the guest is cut", func() bool { return nc.IsClosed() })
	l.Close()
}

func TestCommandReachesOneSubAndItsAnswerTheDom(t *testing.T) {
	s := start(t, t.TempDir())
	to := serve(t, s)
	must(t, s.AddSub("sydney", netip.MustParseAddr("127.0.0.2")))
	must(t, s.AddSub("london", netip.MustParseAddr("127.0.0.3")))
	sydney, london := connectSub(t, "127.0.0.2", to), connectSub(t, "127.0.0.3", to)
	for name, nc := range map[string]*nats.Conn{"sydney": sydney, "london": london} {
		_, err := nc.Subscribe(subjects.SubAnswers("sydney"), func(m *nats.Msg) { m.Respond([]byte("this is " + name)) })
		must(t, err)
		must(t, nc.Flush())
	}
	nc := dial(t, s)
	m, err := nc.Request(subjects.Command("sydney", "logs"), nil, 5*time.Second)
	if err != nil || string(m.Data) != "this is sydney" {
		t.Fatalf("got %v, %v", m, err)
	}
	if _, err := nc.Request(subjects.Command("london", "logs"), nil, time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Fatalf("a sub answers under another's name: %v", err)
	}
	if _, err := london.Request(subjects.Command("sydney", "logs"), nil, 200*time.Millisecond); err == nil {
		t.Fatal("a sub commands another")
	}
}
