package nameserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// endpoint serves one address. The TCP listener is held alone, without address
// reuse among processes: it is the lock against a second server, which would
// else take half of the UDP queries unseen.
type endpoint struct {
	addr netip.AddrPort
	tcp  *net.TCPListener
	udp  []udpSocket
	done sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// udpSocket is one of an address's UDP sockets.
type udpSocket interface {
	run()   // until close
	close() // once
}

// openEndpoint binds an address and serves it.
func openEndpoint(s *Server, addr netip.AddrPort) (*endpoint, error) {
	const tries = 8 // to find a port that is free for both, when any will do
	for try := 1; ; try++ {
		e, err := bindEndpoint(s, addr)
		if err == nil {
			e.serve(s)
			return e, nil
		}
		if addr.Port() != 0 || try == tries {
			return nil, err
		}
	}
}

func bindEndpoint(s *Server, addr netip.AddrPort) (*endpoint, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), network("tcp", addr), addr.String())
	if err != nil {
		return nil, listenError("tcp", addr, err)
	}
	tcp := l.(*net.TCPListener)
	bound := tcp.Addr().(*net.TCPAddr).AddrPort()
	e := &endpoint{addr: netip.AddrPortFrom(addr.Addr(), bound.Port()), tcp: tcp, conns: map[net.Conn]struct{}{}}
	if e.udp, err = bindUDP(s, e.addr); err != nil {
		tcp.Close()
		return nil, listenError("udp", e.addr, err)
	}
	return e, nil
}

// bindUDP makes the sockets of an address. A socket that shares with nobody is
// bound first: it finds any other holder of the port.
func bindUDP(s *Server, addr netip.AddrPort) ([]udpSocket, error) {
	if s.opts.portable || !batches {
		return bindPortable(s, addr)
	}
	probe, err := net.ListenUDP(network("udp", addr), net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	probe.Close()
	return bindBatched(s, addr)
}

func network(proto string, addr netip.AddrPort) string {
	if addr.Addr().Is4() {
		return proto + "4"
	}
	return proto + "6"
}

// listenError says what stands in the way, and who.
func listenError(proto string, addr netip.AddrPort, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen at %s: port %d at %s is taken by %s (%s)", addr, addr.Port(), addr.Addr(), holder(proto, addr), proto)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen at %s: port %d needs CAP_NET_BIND_SERVICE or root: %w", addr, addr.Port(), err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listen at %s: this host does not have the address: %w", addr, err)
	}
	return fmt.Errorf("listen at %s: %w", addr, err)
}

func (e *endpoint) serve(s *Server) {
	for _, u := range e.udp {
		e.done.Go(u.run)
	}
	e.done.Go(func() { e.accept(s) })
}

// stop ends the serving; wait returns when it has ended.
func (e *endpoint) stop() {
	e.tcp.Close()
	for _, u := range e.udp {
		u.close()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for c := range e.conns {
		c.Close()
	}
}

func (e *endpoint) wait() { e.done.Wait() }
