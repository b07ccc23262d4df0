package tunnel

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var lastHost atomic.Uint32

// loopback returns an address of this machine that no other test uses.
func loopback(t testing.TB) netip.Addr {
	t.Helper()
	n := lastHost.Add(1)
	return netip.AddrFrom4([4]byte{127, 83, byte(n >> 8), byte(n)})
}

// openDevice opens a device that listens on one address, any port.
func openDevice(t testing.TB, opts Options) *Device {
	t.Helper()
	if opts.PrivateKey.IsZero() {
		opts.PrivateKey = NewPrivateKey()
	}
	if len(opts.Addrs) == 0 {
		opts.Addrs = []netip.Addr{loopback(t)}
	}
	d, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// udpOf returns where a device listens.
func udpOf(d *Device) netip.AddrPort { return netip.AddrPortFrom(d.bind.addrs[0], d.Port()) }

// join makes two devices peers; a knows where b is.
func join(t testing.TB, a, b *Device) {
	t.Helper()
	setPeer(t, b, Peer{PublicKey: a.Key()})
	setPeer(t, a, Peer{PublicKey: b.Key(), Endpoints: []netip.AddrPort{udpOf(b)}})
}

func setPeer(t testing.TB, d *Device, p Peer) {
	t.Helper()
	if err := d.SetPeer(p); err != nil {
		t.Fatal(err)
	}
}

// within returns a context that ends with the test, or after a time that only
// a failure needs.
func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for a condition without an event to wait for.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(15 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// run runs something that lives until its context ends, and waits for it.
func run(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	var stopped atomic.Bool
	stop = func() {
		if stopped.Swap(true) {
			return
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// echo sends a line through a connection, and expects it back.
func echo(c net.Conn, line string) error {
	if _, err := fmt.Fprint(c, line); err != nil {
		return err
	}
	buf := make([]byte, len(line))
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	for n := 0; n < len(buf); {
		m, err := c.Read(buf[n:])
		if err != nil {
			return err
		}
		n += m
	}
	if string(buf) != line {
		return fmt.Errorf("sent %q, got %q", line, buf)
	}
	return nil
}

// serveEcho accepts connections on an overlay port and sends back what comes.
func serveEcho(t testing.TB, d *Device, port uint16) {
	t.Helper()
	l, err := d.Listen(port)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					c.Write(buf[:n])
				}
			}()
		}
	}()
}
