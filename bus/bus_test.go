package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = []byte("0123456789abcdef0123456789abcdef")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t testing.TB, dir string) *Server {
	t.Helper()
	s, err := Start(t.Context(), Options{Dir: dir, Key: key, MaxStore: 1 << 30, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(s.Shutdown)
	return s
}

// serve lets subs in at an address of 127/8, as if it was the overlay.
func serve(t testing.TB, s *Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(ctx, ln) })
	t.Cleanup(func() { cancel(); serving.Wait() })
	return ln.Addr().String()
}

func dialFrom(from, to string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		return d.DialContext(ctx, "tcp", to)
	}
}

func connectSub(t testing.TB, from, to string) *nats.Conn {
	t.Helper()
	nc, err := Connect(t.Context(), ConnectOptions{Name: from, Dial: dialFrom(from, to)})
	must(t, err)
	t.Cleanup(nc.Close)
	awaitStatus(t, nc, nats.CONNECTED)
	return nc
}

func awaitStatus(t testing.TB, nc *nats.Conn, want nats.Status) {
	t.Helper()
	eventually(t, fmt.Sprintf("connection %v", want), func() bool { return nc.Status() == want })
}

// eventually polls what has no event of its own.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(15 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: did not come", what)
		}
	}
}

func dial(t testing.TB, s *Server) *nats.Conn {
	t.Helper()
	nc, err := s.Dial()
	must(t, err)
	return nc
}

func bucket(t testing.TB, nc *nats.Conn, name string) nats.KeyValue {
	t.Helper()
	js, err := nc.JetStream()
	must(t, err)
	kv, err := js.CreateKeyValue(&nats.KeyValueConfig{Bucket: name, History: 5, RePublish: &nats.RePublish{
		Source: subjects.StoredAll(name), Destination: subjects.LiveAll(name)}})
	must(t, err)
	return kv
}

func TestNoPortOfTheHostIsOpen(t *testing.T) {
	s := start(t, t.TempDir())
	if addr := s.inner.Addr(); addr != nil {
		t.Fatalf("it listens on %v", addr)
	}
	if addr := s.inner.MonitorAddr(); addr != nil {
		t.Fatalf("it monitors on %v", addr)
	}
}

func TestOverlayAddressIsWhatTheServerSees(t *testing.T) {
	s := start(t, t.TempDir())
	to := serve(t, s)
	must(t, s.AddSub("sydney", netip.MustParseAddr("127.0.0.2")))
	connectSub(t, "127.0.0.2", to)
	conns, err := s.inner.Connz(nil)
	must(t, err)
	if len(conns.Conns) != 1 || conns.Conns[0].IP != "127.0.0.2" {
		t.Fatalf("got %+v", conns.Conns)
	}
}

func TestProxyLineHasBothFamilies(t *testing.T) {
	for from, want := range map[string]string{
		"127.0.0.2:5":   "PROXY TCP4 127.0.0.2 127.0.0.1 5 4222\r\n",
		"[fd12::34]:77": "PROXY TCP6 fd12::34 ::1 77 4222\r\n",
	} {
		if got := proxyLine(netip.MustParseAddrPort(from)); got != want {
			t.Errorf("%s: got %q, want %q", from, got, want)
		}
	}
}

func TestUnknownAddressIsRefused(t *testing.T) {
	s := start(t, t.TempDir())
	to := serve(t, s)
	must(t, s.AddSub("sydney", netip.MustParseAddr("127.0.0.2")))
	c, err := dialFrom("127.0.0.3", to)(t.Context())
	must(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v; want a closed connection", n, err)
	}
}

func TestSecondProxyLineChangesNothing(t *testing.T) {
	s := start(t, t.TempDir())
	to := serve(t, s)
	must(t, s.AddSub("sydney", netip.MustParseAddr("127.0.0.2")))
	must(t, s.AddSub("london", netip.MustParseAddr("127.0.0.3")))
	c, err := dialFrom("127.0.0.2", to)(t.Context())
	must(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c, "PROXY TCP4 127.0.0.3 127.0.0.1 5 4222\r\nCONNECT {\"verbose\":false,\"user\":\"dom\"}\r\nSUB > 1\r\nPING\r\n")
	var got strings.Builder
	b := make([]byte, 4096)
	for !strings.Contains(got.String(), "-ERR") {
		n, err := c.Read(b)
		got.Write(b[:n])
		if err != nil {
			t.Fatalf("got %q, %v", got.String(), err)
		}
	}
}

func TestRemovedSubIsCutAndStaysOut(t *testing.T) {
	s := start(t, t.TempDir())
	to := serve(t, s)
	addr := netip.MustParseAddr("127.0.0.2")
	must(t, s.AddSub("sydney", addr))
	nc := connectSub(t, "127.0.0.2", to)
	must(t, s.RemoveSub("sydney"))
	awaitStatus(t, nc, nats.RECONNECTING)
	must(t, s.AddSub("sydney", addr)) // it may come back
	awaitStatus(t, nc, nats.CONNECTED)
	must(t, s.AddSub("sydney", netip.MustParseAddr("127.0.0.9"))) // another key now
	awaitStatus(t, nc, nats.RECONNECTING)
	must(t, s.RemoveSub("nobody"))
	if err := s.AddSub("london", netip.MustParseAddr("127.0.0.9")); err == nil {
		t.Fatal("two subs have one address")
	}
	if err := s.AddSub("No Name", addr); err == nil {
		t.Fatal("a bad name is taken")
	}
}

func TestConnectionsOfOneSubAreLimited(t *testing.T) {
	s := start(t, t.TempDir())
	to := serve(t, s)
	must(t, s.AddSub("sydney", netip.MustParseAddr("127.0.0.2")))
	must(t, s.AddSub("london", netip.MustParseAddr("127.0.0.3")))
	for range maxConnections {
		connectSub(t, "127.0.0.2", to)
	}
	c, err := dialFrom("127.0.0.2", to)(t.Context())
	must(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("connection %d: %v, want it closed", maxConnections+1, err)
	}
	connectSub(t, "127.0.0.3", to) // the other sub's are its own
}

func TestSubscriptionsAndPayloadOfOneSubAreLimited(t *testing.T) {
	s := start(t, t.TempDir())
	to := serve(t, s)
	must(t, s.AddSub("sydney", netip.MustParseAddr("127.0.0.2")))
	nc := connectSub(t, "127.0.0.2", to)
	for range maxSubscriptions + 10 {
		_, err := nc.SubscribeSync(nats.NewInbox())
		must(t, err)
	}
	nc.Flush()
	eventually(t, "refusal", func() bool { return nc.LastError() != nil })
	if err := nc.Publish(subjects.Status("sydney"), make([]byte, maxPayload+1)); err == nil {
		t.Fatal("a payload above the limit is taken")
	}
}

func TestInboundBytesAreLimited(t *testing.T) {
	a, b := net.Pipe()
	go func() {
		b.Write(make([]byte, 3000))
		b.Close()
	}()
	in := limit(t.Context(), a, 10_000, 1000)
	began := time.Now()
	n := 0
	for {
		got, err := in.Read(make([]byte, 500))
		n += got
		if err != nil {
			break
		}
	}
	if took := time.Since(began); n != 3000 || took < 150*time.Millisecond {
		t.Fatalf("%d bytes in %v, want 3000 in 200 ms", n, took)
	}
}

func TestDialedConnectionLivesThroughRestart(t *testing.T) {
	s := start(t, t.TempDir())
	to := serve(t, s)
	must(t, s.AddSub("sydney", netip.MustParseAddr("127.0.0.2")))
	nc, sub := dial(t, s), connectSub(t, "127.0.0.2", to)
	kv := bucket(t, nc, subjects.Records)
	_, err := kv.PutString("example.com", "one")
	must(t, err)
	must(t, s.Restart(t.Context()))
	eventually(t, "the dom again", func() bool { e, err := kv.Get("example.com"); return err == nil && string(e.Value()) == "one" })
	eventually(t, "the sub again", func() bool {
		m, err := sub.Request(subjects.StreamInfo(subjects.Stream(subjects.Records)), nil, time.Second)
		return err == nil && strings.Contains(string(m.Data), `"last_seq":1`)
	})
}

func TestAcknowledgedWritesAreOnDiskAndUnreadable(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	kv := bucket(t, dial(t, s), subjects.Records)
	_, err := kv.PutString("example.com", "a secret that is searched for")
	must(t, err)
	snapshot := filepath.Join(t.TempDir(), "copy") // as the disk is at a cut of the power
	must(t, os.CopyFS(snapshot, os.DirFS(dir)))
	filepath.WalkDir(snapshot, func(path string, d os.DirEntry, err error) error {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), "searched for") {
			t.Errorf("%s has the value in plain text", path)
		}
		return nil
	})
	again := bucket(t, dial(t, start(t, snapshot)), subjects.Records)
	if e, err := again.Get("example.com"); err != nil || !strings.HasPrefix(string(e.Value()), "a secret") {
		t.Fatalf("got %v, %v", e, err)
	}
}

func TestWrongKeyChangesNothing(t *testing.T) {
	for _, proof := range []string{"canary", "no canary"} {
		t.Run(proof, func(t *testing.T) {
			dir := t.TempDir()
			s := start(t, dir)
			kv := bucket(t, dial(t, s), subjects.Records)
			_, err := kv.PutString("example.com", "kept")
			must(t, err)
			s.Shutdown()
			if proof == "no canary" {
				must(t, os.Remove(filepath.Join(dir, canary)))
			}
			before := listFiles(t, dir)
			_, err = Start(t.Context(), Options{Dir: dir, Key: []byte("another key of 32 bytes, and more")})
			if !errors.Is(err, ErrWrongKey) || !strings.Contains(err.Error(), dir) {
				t.Fatalf("with a wrong key: %v", err)
			}
			if after := listFiles(t, dir); proof == "canary" && after != before {
				t.Fatalf("files before:\n%s\nafter:\n%s", before, after)
			}
			again := bucket(t, dial(t, start(t, dir)), subjects.Records)
			if e, err := again.Get("example.com"); err != nil || string(e.Value()) != "kept" {
				t.Fatalf("with the right key again: %v, %v", e, err)
			}
			if _, err := os.Stat(filepath.Join(dir, canary)); err != nil {
				t.Fatalf("no canary after a good start: %v", err)
			}
		})
	}
	if _, err := Start(t.Context(), Options{Dir: t.TempDir()}); err == nil {
		t.Fatal("a store without a key is opened")
	}
}

func listFiles(t testing.TB, dir string) string {
	var b strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			text, _ := os.ReadFile(path)
			fmt.Fprintf(&b, "%s %x\n", path, len(text))
		}
		return err
	}))
	return b.String()
}

func TestStreamThatDoesNotOpenIsTold(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	bucket(t, dial(t, s), subjects.Records)
	bucket(t, dial(t, s), subjects.Hosts)
	s.Shutdown()
	meta := filepath.Join(dir, "jetstream", "$G", "streams", "KV_hosts", "meta.inf")
	must(t, os.WriteFile(meta, []byte("x"), 0o600))
	_, err := Start(t.Context(), Options{Dir: dir, Key: key})
	if err == nil || !strings.Contains(err.Error(), "KV_hosts") || strings.Contains(err.Error(), "KV_records") {
		t.Fatalf("got %v", err)
	}
}

func TestShutdownIsQuickWithClients(t *testing.T) {
	s := start(t, t.TempDir())
	to := serve(t, s)
	for i := range 20 {
		addr := fmt.Sprintf("127.0.0.%d", i+2)
		must(t, s.AddSub(fmt.Sprintf("sub-%d", i), netip.MustParseAddr(addr)))
		connectSub(t, addr, to)
	}
	bucket(t, dial(t, s), subjects.Records)
	_, err := s.OpenLoopback(t.Context(), true)
	must(t, err)
	began := time.Now()
	s.Shutdown()
	if took := time.Since(began); took > 3*time.Second {
		t.Fatalf("shutdown took %v", took)
	}
	if _, err := s.Dial(); !errors.Is(err, ErrClosed) {
		t.Fatalf("dial after shutdown: %v", err)
	}
	if err := s.AddSub("late", netip.MustParseAddr("127.0.0.99")); !errors.Is(err, ErrClosed) {
		t.Fatalf("add sub after shutdown: %v", err)
	}
}

func TestStoreOpensWithLessSpaceThanItsStreamsWereGiven(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	js, err := dial(t, s).JetStream()
	must(t, err)
	kv, err := js.CreateKeyValue(&nats.KeyValueConfig{Bucket: subjects.Records, MaxBytes: 512 << 20})
	must(t, err)
	_, err = kv.PutString("example.com", "kept")
	must(t, err)
	s.Shutdown()
	s, err = Start(t.Context(), Options{Dir: dir, Key: key, MaxStore: 64 << 20})
	must(t, err)
	defer s.Shutdown()
	js, err = dial(t, s).JetStream()
	must(t, err)
	kv, err = js.KeyValue(subjects.Records)
	must(t, err)
	if e, err := kv.Get("example.com"); err != nil || string(e.Value()) != "kept" {
		t.Fatalf("got %v, %v", e, err)
	}
	_, err = kv.PutString("example.com", "more")
	must(t, err)
}
