package kv

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"b8s/bus"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testKey = []byte("0123456789abcdef0123456789abcdef")

// lab is a dom's bus and store, and a listener that stands for the overlay:
// the subs dial it from addresses of 127/8 of their own.
type lab struct {
	t    testing.TB
	dir  string // of the bus
	file string // of the epochs

	bus   *bus.Server
	nc    *nats.Conn
	store *Store
	addr  string
	stop  func()

	subs map[string]netip.Addr
}

func newLab(t testing.TB) *lab {
	l := &lab{t: t, dir: filepath.Join(t.TempDir(), "bus"), subs: map[string]netip.Addr{}}
	l.file = filepath.Join(filepath.Dir(l.dir), "epochs.json")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l.addr = ln.Addr().String()
	ln.Close()
	l.start()
	t.Cleanup(func() { l.stop() })
	return l
}

// start starts the dom on l.dir, at the same address as before.
func (l *lab) start() {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	l.bus, err = bus.Start(ctx, bus.Options{Dir: l.dir, Key: testKey, MaxStore: 4 << 30})
	must(l.t, err)
	for name, addr := range l.subs {
		must(l.t, l.bus.AddSub(name, addr))
	}
	l.nc, err = l.bus.Dial()
	must(l.t, err)
	l.store, err = NewStore(ctx, l.nc, StoreOptions{EpochFile: l.file})
	must(l.t, err)
	ln, err := net.Listen("tcp", l.addr)
	must(l.t, err)
	var serving sync.WaitGroup
	serving.Go(func() { l.bus.Serve(ctx, ln) })
	l.stop = func() {
		cancel()
		serving.Wait()
		l.store.Close()
		l.bus.Shutdown()
		l.stop = func() {}
	}
}

func (l *lab) restart(between func()) {
	l.t.Helper()
	l.stop()
	between()
	l.start()
}

func (l *lab) put(bucket, key string, value []byte) Entry {
	l.t.Helper()
	e, err := l.store.Put(context.Background(), bucket, key, value)
	must(l.t, err)
	return e
}

// dial is how sub name reaches the dom, as the overlay's DialContext would.
func (l *lab) dial(name string) func(context.Context) (net.Conn, error) {
	if _, ok := l.subs[name]; !ok {
		n := len(l.subs) + 2
		l.subs[name] = netip.AddrFrom4([4]byte{127, 0, byte(n >> 8), byte(n)})
		must(l.t, l.bus.AddSub(name, l.subs[name]))
	}
	from := &net.TCPAddr{IP: l.subs[name].AsSlice()}
	return func(ctx context.Context) (net.Conn, error) {
		d := net.Dialer{LocalAddr: from}
		return d.DialContext(ctx, "tcp", l.addr)
	}
}

func (l *lab) connect(ctx context.Context, name string) *nats.Conn {
	l.t.Helper()
	nc, err := bus.Connect(ctx, bus.ConnectOptions{Name: name, Dial: l.dial(name)})
	must(l.t, err)
	return nc
}

// node is a sub: a replica that follows the lab's dom until stop.
type node struct {
	*Replica
	lab  *lab
	name string
	dir  string
	nc   *nats.Conn
	stop func()

	mu    sync.Mutex
	seen  map[string]Snapshot
	calls map[string]int
	moved chan struct{}
	apply func(Snapshot) error // nil: all is served
}

func (l *lab) node(name string) *node {
	n := &node{lab: l, name: name, dir: filepath.Join(l.t.TempDir(), name), moved: make(chan struct{})}
	n.open()
	n.start()
	l.t.Cleanup(func() { n.stop() })
	return n
}

func (n *node) open() {
	var err error
	n.seen, n.calls = map[string]Snapshot{}, map[string]int{}
	n.Replica, err = OpenReplica(n.dir, nil, nil)
	must(n.lab.t, err)
	for name := range n.buckets {
		must(n.lab.t, n.Watch(name, n.take))
	}
}

func (n *node) take(s Snapshot) error {
	n.mu.Lock()
	apply := n.apply
	n.mu.Unlock()
	var err error
	if apply != nil {
		err = apply(s)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen[s.Bucket] = s
	n.calls[s.Bucket]++
	close(n.moved)
	n.moved = make(chan struct{})
	return err
}

func (n *node) start() {
	ctx, cancel := context.WithCancel(context.Background())
	n.nc = n.lab.connect(ctx, n.name)
	n.ObjectConn = func(ctx context.Context) (*nats.Conn, error) {
		return bus.Connect(ctx, bus.ConnectOptions{Name: n.name + "-objects", Dial: n.lab.dial(n.name)})
	}
	done := make(chan error, 1)
	go func() { done <- n.Follow(ctx, n.nc) }()
	n.stop = func() {
		cancel()
		if err := <-done; err != nil && err != nats.ErrConnectionClosed {
			n.lab.t.Logf("%s: follow: %v", n.name, err)
		}
		n.stop = func() {}
	}
}

const patience = 20 * time.Second

// await waits until ok says so of the bucket's last snapshot.
func (n *node) await(what, bucket string, ok func(Snapshot) bool) Snapshot {
	n.lab.t.Helper()
	end := time.After(patience)
	for {
		n.mu.Lock()
		s, moved := n.seen[bucket], n.moved
		n.mu.Unlock()
		if ok(s) {
			return s
		}
		select {
		case <-moved:
		case <-end:
			n.lab.t.Fatalf("%s: %s: %s did not come: epoch %d, revision %d, %d entries, %+v",
				n.name, bucket, what, s.Epoch, s.Revision, len(s.Entries), n.State()[bucket])
		}
	}
}

func (n *node) awaitRevision(bucket string, revision uint64) Snapshot {
	n.lab.t.Helper()
	return n.await(fmt.Sprintf("revision %d", revision), bucket, func(s Snapshot) bool { return s.Revision >= revision })
}

// awaitState waits until ok says so of the bucket's state.
func (n *node) awaitState(what, bucket string, ok func(BucketStatus) bool) BucketStatus {
	n.lab.t.Helper()
	end := time.After(patience)
	for {
		st := n.State()[bucket]
		if ok(st) {
			return st
		}
		select {
		case <-n.Changed():
		case <-time.After(20 * time.Millisecond): // the state has no change to tell for all of it
		case <-end:
			n.lab.t.Fatalf("%s: %s: %s did not come: %+v", n.name, bucket, what, st)
		}
	}
}

// beat hands the dom's heads to the sub, as a heartbeat does.
func (n *node) beat() { n.Heads(n.lab.store.Heads()) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func zoneText(apex string, serial int) []byte {
	return fmt.Appendf(nil, "%s\t3600\tIN\tSOA\tns1.%s hostmaster.%s %d 7200 3600 1209600 300\n%s\t3600\tIN\tNS\tns1.%s\nns1.%s\t3600\tIN\tA\t192.0.2.1\n",
		apex, apex, apex, serial, apex, apex, apex)
}

func hostsValue(host string) []byte {
	b, _ := Encode(Hosts{Hosts: []string{host}, Subs: []string{"sydney"}, TTL: 60})
	return b
}

func copyDir(t testing.TB, from, to string) {
	t.Helper()
	must(t, os.CopyFS(to, os.DirFS(from)))
}
