package edge

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// ports are the addresses that are served, and what keeps others from it.
type ports struct {
	mu     sync.Mutex
	https  map[netip.AddrPort]netip.AddrPort // as asked for, as bound
	http   map[netip.AddrPort]netip.AddrPort
	failed map[string]error
}

func (p *ports) bound(https bool, asked, bound netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.https == nil {
		p.https, p.http = map[netip.AddrPort]netip.AddrPort{}, map[netip.AddrPort]netip.AddrPort{}
	}
	if https {
		p.https[asked] = bound
	} else {
		p.http[asked] = bound
	}
}

// problem keeps why an address isn't served; nil: it is.
func (p *ports) problem(what string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil {
		p.failed = map[string]error{}
	}
	if err == nil {
		delete(p.failed, what)
		return
	}
	p.failed[what] = err
}

func (p *ports) problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for what, err := range p.failed {
		out = append(out, fmt.Sprintf("%s is not served: %v", what, err))
	}
	slices.Sort(out)
	return out
}

func (p *ports) addrs() (https, http []netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.https {
		https = append(https, a)
	}
	for _, a := range p.http {
		http = append(http, a)
	}
	slices.SortFunc(https, netip.AddrPort.Compare)
	slices.SortFunc(http, netip.AddrPort.Compare)
	return https, http
}

// wildcard tells whether all addresses of both families are meant.
func wildcard(a netip.AddrPort) bool {
	return !a.Addr().IsValid() || a.Addr() == netip.IPv6Unspecified()
}

// listenText is an address as package net wants it.
func listenText(a netip.AddrPort) string {
	if wildcard(a) {
		return fmt.Sprintf(":%d", a.Port())
	}
	return a.String()
}

func listenTCP(ctx context.Context, a netip.AddrPort) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 15 * time.Second, Count: 4}}
	network := "tcp"
	if a.Addr().Is4() {
		network = "tcp4"
	}
	return lc.Listen(ctx, network, listenText(a))
}

func listenUDP(a netip.AddrPort) (*net.UDPConn, error) {
	network := "udp"
	if a.Addr().Is4() {
		network = "udp4"
	}
	conn, err := net.ListenPacket(network, listenText(a))
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// bindAgain is how often an address that is held by another is tried.
const bindAgain = 3 * time.Second

// endpoint is an address that is served: listen binds it, serve serves until
// ctx ends.
type endpoint struct {
	what  string
	serve func(ctx context.Context, first func(error)) error
}

// run serves an endpoint until ctx ends, and tries to bind it for as long as
// that takes. first is called once the first try has been made.
func (s *Server) run(ctx context.Context, e endpoint, first func()) error {
	told := ""
	for {
		err := e.serve(ctx, func(err error) {
			s.ports.problem(e.what, err)
			first()
		})
		if ctx.Err() != nil {
			return nil
		}
		s.ports.problem(e.what, err)
		if err != nil && err.Error() != told {
			told = err.Error()
			s.log.Error("address not served; it is tried again", "address", e.what, "err", err)
		}
		first()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(bindAgain):
		}
	}
}
