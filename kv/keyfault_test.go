package kv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// raw stores a message under a key as somebody else than a Store would.
func (l *lab) raw(bucket, key string, value []byte, change func(nats.Header)) uint64 {
	l.t.Helper()
	e := Entry{Bucket: bucket, Key: key, Value: value, Epoch: 1, Digest: Digest(value), Schema: 1}
	m := nats.NewMsg(subjects.Stored(bucket, key))
	m.Header, m.Data = e.header(), value
	change(m.Header)
	ack, err := l.store.js.PublishMsg(l.t.Context(), m)
	must(l.t, err)
	return ack.Sequence
}

func TestOneBadValueIsThatKeysFaultAlone(t *testing.T) {
	good := hostsValue("www.example.com")
	cases := []struct {
		name, words string
		value       []byte
		change      func(nats.Header)
	}{
		{"wrong digest", "its bytes have digest", hostsValue("bad.example.com"), func(h nats.Header) { h.Set(headerDigest, Digest([]byte("x"))) }},
		{"newer schema in the header", "schema 2 is newer", hostsValue("bad.example.com"), func(h nats.Header) { h.Set(headerSchema, "2") }},
		{"newer schema in the value", "schema 2", []byte(`{"schema":2,"hosts":["bad.example.com"]}`), func(nats.Header) {}},
		{"not valid", "no hosts", []byte(`{"schema":1}`), func(nats.Header) {}},
		{"put by hand", "not put by b8s", hostsValue("bad.example.com"), func(h nats.Header) { clear(h) }},
		{"another key's", `put as key "blog"`, hostsValue("bad.example.com"), func(h nats.Header) { h.Set(headerKey, "blog") }},
	}
	for _, live := range []bool{true, false} {
		l := newLab(t)
		n := l.node("sydney")
		for _, c := range cases {
			t.Run(fmt.Sprintf("%s, live %v", c.name, live), func(t *testing.T) {
				n.awaitRevision(subjects.Hosts, l.put(subjects.Hosts, "www", good).Revision)
				if !live {
					n.stop()
				}
				bad := l.raw(subjects.Hosts, "www", c.value, c.change)
				last := l.put(subjects.Hosts, "blog", hostsValue("blog.example.com"))
				if !live {
					n.open()
					n.start()
				}
				s := n.awaitRevision(subjects.Hosts, last.Revision)
				if e, _ := s.Get("www"); string(e.Value) != string(good) {
					t.Fatalf("www serves %q", e.Value)
				}
				if e, _ := s.Get("blog"); e.Revision != last.Revision {
					t.Fatalf("the other key stands at %d, want %d", e.Revision, last.Revision)
				}
				st := n.State()[subjects.Hosts]
				if st.Fault != "" || len(st.Faults) != 1 || st.Faults[0].Key != "www" || st.Faults[0].Revision != bad ||
					!strings.Contains(st.Faults[0].Reason, c.words) || st.Faults[0].Since.IsZero() {
					t.Fatalf("state: %+v, want a fault of www at %d with %q", st, bad, c.words)
				}
				want, err := l.store.Digest(t.Context(), subjects.Hosts)
				must(t, err)
				if c.name != "put by hand" && st.Digest == want {
					t.Fatal("the digest hides that an older value is served")
				}
				s = n.awaitRevision(subjects.Hosts, l.put(subjects.Hosts, "www", good).Revision)
				if len(s.Faults) != 0 {
					t.Fatalf("fault stays: %+v", s.Faults)
				}
			})
		}
	}
}

func TestBurstWithAStalledWatcher(t *testing.T) {
	const puts = 10_000
	dir := "/dev/shm" // puts are not what is measured here
	if _, err := os.Stat(dir); err != nil {
		dir = t.TempDir()
	}
	tmp, err := os.MkdirTemp(dir, "b8s")
	must(t, err)
	defer os.RemoveAll(tmp)
	t.Setenv("TMPDIR", tmp)
	l := newLab(t)
	n := l.node("sydney")
	n.awaitRevision(subjects.Hosts, l.put(subjects.Hosts, "www", hostsValue("www.example.com")).Revision)
	stalled, free := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(free) })
	t.Cleanup(release)
	n.mu.Lock()
	first := true
	n.apply = func(s Snapshot) error {
		if s.Bucket == subjects.Hosts && first {
			first = false
			close(stalled)
			<-free
		}
		return nil
	}
	n.calls = map[string]int{}
	n.mu.Unlock()
	last := l.burst(puts)
	<-stalled
	release()
	s := n.awaitBeating(subjects.Hosts, last)
	if len(s.Entries) != 101 {
		t.Fatalf("%d entries, want 101", len(s.Entries))
	}
	n.mu.Lock()
	calls := n.calls[subjects.Hosts]
	n.mu.Unlock()
	t.Logf("%d puts, %d calls of the watcher", puts, calls)
	if calls > puts/10 {
		t.Fatalf("%d calls for %d puts", calls, puts)
	}
	n.stop()
	n.open()
	if s := n.seen[subjects.Hosts]; s.Revision != last || len(s.Entries) != 101 {
		t.Fatalf("on disk: revision %d, %d entries", s.Revision, len(s.Entries))
	}
}

// burst puts n values to a hundred keys without waiting for each, and returns
// the last revision.
func (l *lab) burst(n int) uint64 {
	l.t.Helper()
	var last jetstream.PubAckFuture
	for i := range n {
		key := fmt.Sprintf("site-%d", i%100)
		e := Entry{Key: key, Value: hostsValue(fmt.Sprintf("h%d.example.com", i)), Epoch: 1, Schema: 1}
		e.Digest = Digest(e.Value)
		m := nats.NewMsg(subjects.Stored(subjects.Hosts, key))
		m.Header, m.Data = e.header(), e.Value
		var err error
		last, err = l.store.js.PublishMsgAsync(m)
		must(l.t, err)
		if i%500 == 499 {
			<-l.store.js.PublishAsyncComplete()
		}
	}
	select {
	case ack := <-last.Ok():
		return ack.Sequence
	case err := <-last.Err():
		must(l.t, err)
	case <-time.After(time.Minute):
		l.t.Fatal("puts take too long")
	}
	return 0
}

// awaitBeating is awaitRevision with a heartbeat every 100 ms.
func (n *node) awaitBeating(bucket string, revision uint64) Snapshot {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				n.beat()
			}
		}
	}()
	return n.awaitRevision(bucket, revision)
}

func TestApplyErrorsShowAndHeal(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	l.put(subjects.Hosts, "www", hostsValue("www.example.com"))
	first := l.put(subjects.Hosts, "blog", hostsValue("blog.example.com"))
	n.awaitRevision(subjects.Hosts, first.Revision)
	before := n.awaitState("served", subjects.Hosts, func(st BucketStatus) bool { return st.Revision == first.Revision })
	var broken = true
	n.mu.Lock()
	n.apply = func(s Snapshot) error {
		if s.Bucket == subjects.Hosts && broken {
			return ApplyErrors{"www": errors.New("port 80 is taken")}
		}
		return nil
	}
	n.mu.Unlock()
	e := l.put(subjects.Hosts, "www", hostsValue("new.example.com"))
	st := n.awaitState("the fault", subjects.Hosts, func(st BucketStatus) bool { return len(st.Faults) == 1 })
	if st.Revision != e.Revision || st.Digest != before.Digest || !strings.Contains(st.Faults[0].Reason, "port 80 is taken") {
		t.Fatalf("state: %+v, want the digest of before %s", st, before.Digest)
	}
	n.buckets[subjects.Hosts].apply.Lock()
	broken = false
	n.buckets[subjects.Hosts].apply.Unlock()
	n.awaitState("healed by itself", subjects.Hosts, func(st BucketStatus) bool { return len(st.Faults) == 0 && st.Digest != before.Digest })
}

func TestWatcherThatAppliesNothing(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	first := l.put(subjects.Hosts, "www", hostsValue("www.example.com"))
	n.awaitState("served", subjects.Hosts, func(st BucketStatus) bool { return st.Revision == first.Revision })
	n.mu.Lock()
	n.apply = func(Snapshot) error { return errors.New("out of memory") }
	n.mu.Unlock()
	l.put(subjects.Hosts, "www", hostsValue("new.example.com"))
	n.awaitFault(subjects.Hosts, "out of memory")
	if st := n.State()[subjects.Hosts]; st.Revision != first.Revision {
		t.Fatalf("revision %d is told, %d is served", st.Revision, first.Revision)
	}
	n.mu.Lock()
	n.apply = nil
	n.mu.Unlock()
	n.awaitState("healed", subjects.Hosts, func(st BucketStatus) bool { return st.Fault == "" && st.Revision == first.Revision+1 })
}
