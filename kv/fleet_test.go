package kv

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"b8s/bus"
	"b8s/subjects"

	"github.com/nats-io/nats.go"
)

// zones puts n zones.
func (l *lab) zones(n int) {
	for i := range n {
		apex := fmt.Sprintf("zone-%d.example", i)
		l.put(subjects.Records, apex, zoneText(apex+".", 1))
	}
}

func TestTwoHundredReplicasArriveTogether(t *testing.T) {
	l := newLab(t)
	l.zones(50)
	for i := range 200 {
		l.dial(fmt.Sprintf("sub-%d", i))
	}
	began := time.Now()
	nodes := make([]*node, 200)
	for i := range nodes {
		nodes[i] = l.node(fmt.Sprintf("sub-%d", i))
	}
	for _, n := range nodes {
		if s := n.awaitRevision(subjects.Records, 50); len(s.Entries) != 50 {
			t.Fatalf("%s has %d entries", n.name, len(s.Entries))
		}
	}
	t.Logf("full sync of 200: %v", time.Since(began))
	var took []time.Duration
	for i := range 21 {
		began = time.Now()
		e := l.put(subjects.Records, "zone-0.example", zoneText("zone-0.example.", 2+i))
		for _, n := range nodes {
			n.awaitRevision(subjects.Records, e.Revision)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("one change to the last of 200: median %v, worst %v", took[10], took[20])
	began = time.Now()
	l.restart(func() {})
	e := l.put(subjects.Records, "zone-0.example", zoneText("zone-0.example.", 99))
	for _, n := range nodes {
		n.awaitRevision(subjects.Records, e.Revision)
		n.awaitState("no fault", subjects.Records, func(st BucketStatus) bool { return st.Fault == "" })
	}
	t.Logf("all 200 back after a restart of the dom: %v", time.Since(began))
}

// slow is a connection that takes a while to carry each byte, and no less
// bytes for it.
type slow struct {
	net.Conn
	delay time.Duration
	out   chan parcel
	in    chan parcel
	rest  []byte
	once  sync.Once
	done  chan struct{}
}

type parcel struct {
	b  []byte
	at time.Time
}

func slowly(c net.Conn, delay time.Duration) net.Conn {
	s := &slow{Conn: c, delay: delay, out: make(chan parcel, 1<<16), in: make(chan parcel, 1<<16), done: make(chan struct{})}
	go func() {
		for {
			select {
			case p := <-s.out:
				time.Sleep(time.Until(p.at)) // this is the path, not a wait of the test
				s.Conn.Write(p.b)
			case <-s.done:
				return
			}
		}
	}()
	go func() {
		defer close(s.in)
		for {
			b := make([]byte, 16<<10)
			n, err := s.Conn.Read(b)
			if err != nil {
				return
			}
			select {
			case s.in <- parcel{b[:n], time.Now().Add(delay)}:
			case <-s.done:
				return
			}
		}
	}()
	return s
}

func (s *slow) Write(b []byte) (int, error) {
	select {
	case s.out <- parcel{slices.Clone(b), time.Now().Add(s.delay)}:
		return len(b), nil
	case <-s.done:
		return 0, net.ErrClosed
	}
}

func (s *slow) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		p, ok := <-s.in
		if !ok {
			return 0, net.ErrClosed
		}
		time.Sleep(time.Until(p.at)) // this is the path, not a wait of the test
		s.rest = p.b
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *slow) Close() error {
	s.once.Do(func() { close(s.done) })
	return s.Conn.Close()
}

func TestObjectOverAPathOf200ms(t *testing.T) {
	l := newLab(t)
	n := l.node("sydney")
	dial := l.dial("sydney")
	n.mu.Lock()
	n.Replica.ObjectConn = func(ctx context.Context) (*nats.Conn, error) {
		return bus.Connect(ctx, bus.ConnectOptions{Name: "slow", Dial: func(ctx context.Context) (net.Conn, error) {
			c, err := dial(ctx)
			if err != nil {
				return nil, err
			}
			return slowly(c, 100*time.Millisecond), nil
		}})
	}
	n.mu.Unlock()
	b, digest := random(t, 32<<20)
	l.object(subjects.ObjectGeoLite, b)
	began := time.Now()
	_, err := n.Object(t.Context(), subjects.ObjectGeoLite, digest, 0)
	must(t, err)
	rate := float64(len(b)) / (1 << 20) / time.Since(began).Seconds()
	t.Logf("%.1f MiB/s over a round trip of 200 ms", rate)
	if rate < 5 {
		t.Fatalf("%.1f MiB/s, want 5", rate)
	}
}

func BenchmarkPutSeenByFour(b *testing.B) {
	l := newLab(b)
	l.zones(10)
	var nodes []*node
	for i := range 4 {
		n := l.node(fmt.Sprintf("sub-%d", i))
		n.awaitRevision(subjects.Records, 10)
		nodes = append(nodes, n)
	}
	var took []time.Duration
	serial := 2
	for b.Loop() {
		began := time.Now()
		e := l.put(subjects.Records, "zone-0.example", zoneText("zone-0.example.", serial))
		for _, n := range nodes {
			n.awaitRevision(subjects.Records, e.Revision)
		}
		took = append(took, time.Since(began))
		serial++
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/median")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms/p99")
}

func BenchmarkPut(b *testing.B) {
	l := newLab(b)
	value := hostsValue("www.example.com")
	for b.Loop() {
		l.put(subjects.Hosts, "www", value)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

func BenchmarkBootFromDisk(b *testing.B) {
	l := newLab(b)
	n := l.node("sydney")
	l.zones(10)
	n.awaitRevision(subjects.Records, 10)
	n.stop()
	for b.Loop() {
		r, err := OpenReplica(n.dir, nil, nil)
		must(b, err)
		must(b, r.Watch(subjects.Records, func(s Snapshot) error { return nil }))
	}
}
