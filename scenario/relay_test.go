package scenario

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// A relay is the path between the doms and one sub. Each address that speaks
// to its front is a session with a socket of its own towards the sub, as in a
// NAT, so the sub tells the doms apart.
type relay struct {
	front *net.UDPConn   // at the sub's public address
	to    netip.AddrPort // where the sub's tunnel is

	cutToSub, cutToDom atomic.Bool
	fromSub            atomic.Int64 // datagrams that the sub sent

	mu       sync.Mutex
	sessions map[netip.AddrPort]*net.UDPConn
	trigger  func() // called once, before datagram number countdown passes
	counted  int
	closed   bool

	wg sync.WaitGroup
}

func newRelay(at, to netip.AddrPort) (*relay, error) {
	front, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	r := &relay{front: front, to: to, sessions: map[netip.AddrPort]*net.UDPConn{}}
	r.wg.Go(r.forward)
	return r, nil
}

// forward brings the doms' datagrams to the sub.
func (r *relay) forward() {
	buf := make([]byte, 2048)
	for {
		n, dom, err := r.front.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || r.cutToSub.Load() {
			continue
		}
		if back := r.session(netip.AddrPortFrom(dom.Addr().Unmap(), dom.Port())); back != nil {
			r.count()
			back.WriteToUDPAddrPort(buf[:n], r.to)
		}
	}
}

// session is the socket towards the sub for one dom; nil when it can't be had.
func (r *relay) session(dom netip.AddrPort) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if back := r.sessions[dom]; back != nil || r.closed {
		return back
	}
	here := netip.AddrPortFrom(r.front.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), 0)
	back, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(here))
	if err != nil {
		return nil
	}
	r.sessions[dom] = back
	r.wg.Go(func() { r.backward(back, dom) })
	return back
}

// backward brings the sub's datagrams to one dom.
func (r *relay) backward(back *net.UDPConn, dom netip.AddrPort) {
	buf := make([]byte, 2048)
	for {
		n, _, err := back.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		r.fromSub.Add(1)
		if r.cutToDom.Load() {
			continue
		}
		r.count()
		r.front.WriteToUDPAddrPort(buf[:n], dom)
	}
}

// before calls act once, before the n-th datagram from now on passes. The
// datagrams of both directions wait meanwhile.
func (r *relay) before(n int, act func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counted, r.trigger = n, act
}

func (r *relay) count() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trigger == nil {
		return
	}
	if r.counted--; r.counted == 0 {
		r.trigger()
		r.trigger = nil
	}
}

func (r *relay) Close() {
	r.mu.Lock()
	r.closed = true
	r.front.Close()
	for _, back := range r.sessions {
		back.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}
