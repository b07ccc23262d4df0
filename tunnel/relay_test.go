package tunnel

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A relay is a path between one dom and one sub: it holds each datagram for a
// while, can be cut, and can change the address that the sub sees.
type relay struct {
	front *net.UDPConn // the dom's side
	to    *net.UDPAddr
	delay time.Duration
	cut   atomic.Bool
	drop  atomic.Pointer[func(fromDom bool, packet []byte) bool]

	mu   sync.Mutex
	back *net.UDPConn // the sub's side
	dom  *net.UDPAddr

	wg sync.WaitGroup
}

func newRelay(t testing.TB, to netip.AddrPort, delay time.Duration) *relay {
	t.Helper()
	r := &relay{to: net.UDPAddrFromAddrPort(to), delay: delay, front: listenLoopback(t), back: listenLoopback(t)}
	r.wg.Add(2)
	go r.forward()
	go r.backward(r.back)
	t.Cleanup(func() {
		r.front.Close()
		r.mu.Lock()
		r.back.Close()
		r.mu.Unlock()
		r.wg.Wait()
	})
	return r
}

func listenLoopback(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadBuffer(8 << 20)
	c.SetWriteBuffer(8 << 20)
	return c
}

func (r *relay) addr() netip.AddrPort { return r.front.LocalAddr().(*net.UDPAddr).AddrPort() }

// roam gives the dom another address, as a NAT does.
func (r *relay) roam(t testing.TB) {
	t.Helper()
	next := listenLoopback(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.back.Close()
	r.back = next
	r.wg.Add(1)
	go r.backward(next)
}

// filter drops each datagram for which f is true. f is called from both
// directions at once.
func (r *relay) filter(f func(fromDom bool, packet []byte) bool) { r.drop.Store(&f) }

func (r *relay) forward() {
	defer r.wg.Done()
	r.pump(r.front, true, func(from *net.UDPAddr) { r.mu.Lock(); r.dom = from; r.mu.Unlock() }, func(p []byte) {
		r.mu.Lock()
		back := r.back
		r.mu.Unlock()
		back.WriteToUDP(p, r.to)
	})
}

func (r *relay) backward(back *net.UDPConn) {
	defer r.wg.Done()
	r.pump(back, false, func(*net.UDPAddr) {}, func(p []byte) {
		r.mu.Lock()
		dom := r.dom
		r.mu.Unlock()
		if dom != nil {
			r.front.WriteToUDP(p, dom)
		}
	})
}

type held struct {
	packet []byte
	due    time.Time
}

// pump reads until the socket closes, and passes on what is due in order.
func (r *relay) pump(c *net.UDPConn, fromDom bool, saw func(*net.UDPAddr), send func([]byte)) {
	queue := make(chan held, 1<<16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for h := range queue {
			if d := time.Until(h.due); d > 0 {
				<-time.After(d)
			}
			send(h.packet)
		}
	}()
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFromUDP(buf)
		if err != nil {
			break
		}
		saw(from)
		if drop := r.drop.Load(); r.cut.Load() || drop != nil && (*drop)(fromDom, buf[:n]) {
			continue
		}
		select {
		case queue <- held{append([]byte(nil), buf[:n]...), time.Now().Add(r.delay)}:
		default:
		}
	}
	close(queue)
	<-done
}
