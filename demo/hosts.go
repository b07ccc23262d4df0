package demo

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"

	"b8s/dom"
	"b8s/sub"
	"b8s/tunnel"
)

// process is a role that runs in this process as it would in one of its own.
type process struct {
	stop context.CancelFunc
	done chan error
}

// start runs role, and returns once it called ready.
func start(ctx context.Context, what string, role func(ctx context.Context, ready func()) error) (*process, error) {
	ctx, stop := context.WithCancel(ctx)
	p := &process{stop, make(chan error, 1)}
	ready := make(chan struct{})
	go func() { p.done <- role(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
		return p, nil
	case err := <-p.done:
		stop()
		if err == nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("start %s: %w", what, err)
	}
}

// Stop ends the role and waits for it.
func (p *process) Stop() error {
	p.stop()
	return <-p.done
}

// host is a sub of the demo.
type host struct {
	name    string
	state   string
	addr    netip.Addr
	dns     netip.AddrPort
	port    uint16 // of the tunnel
	invited chan sub.Invitation
	run     *process
}

// newHosts gives each sub a state folder, an address and ports: a loopback
// address of its own where the system has more than 127.0.0.1 (Linux), else
// ports of its own.
func newHosts(dir string) ([]*host, error) {
	var hosts []*host
	for _, s := range subs {
		addr := netip.AddrFrom4([4]byte{127, 0, 0, s.host})
		if !bindable(addr) {
			addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		dns, err := freePort(addr, 5300)
		if err != nil {
			return nil, err
		}
		port, err := freePort(addr, tunnel.DefaultPort)
		if err != nil {
			return nil, err
		}
		for _, other := range hosts { // both found by asking, neither bound yet
			if other.addr == addr && (other.dns.Port() == dns || other.port == port) {
				dns, port = 0, 0
			}
		}
		if dns == 0 {
			if dns, err = freePort(addr, 0); err != nil {
				return nil, err
			}
			if port, err = freePort(addr, 0); err != nil {
				return nil, err
			}
		}
		hosts = append(hosts, &host{
			name: s.name, state: filepath.Join(dir, s.name), addr: addr,
			dns: netip.AddrPortFrom(addr, dns), port: port, invited: make(chan sub.Invitation, 1),
		})
	}
	return hosts, nil
}

func bindable(addr netip.Addr) bool {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// freePort is the wanted port if it is free for UDP and TCP, else another one.
func freePort(addr netip.Addr, wanted uint16) (uint16, error) {
	for _, port := range []uint16{wanted, 0, 0, 0} {
		u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
		if err != nil {
			continue
		}
		port = u.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		t, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
		u.Close()
		if err == nil {
			t.Close()
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port at %s", addr)
}

// start runs the sub until it answers DNS.
func (h *host) start(ctx context.Context, log *slog.Logger) (err error) {
	h.run, err = start(ctx, "sub "+h.name, func(ctx context.Context, ready func()) error {
		return sub.Run(ctx, sub.Options{
			State: h.state, Log: log.With("host", h.name), Threads: 1, Ready: ready,
			DNS: []netip.AddrPort{h.dns}, Port: h.port, TunnelAddrs: []netip.Addr{h.addr}, IPv4: h.addr,
			Invite: func(i sub.Invitation) {
				select {
				case h.invited <- i:
				default:
				}
			},
		})
	})
	return err
}

func startDom(ctx context.Context, state string, log *slog.Logger) (*process, error) {
	if _, _, err := dom.Init(state); err != nil {
		return nil, err
	}
	return start(ctx, "dom", func(ctx context.Context, ready func()) error {
		return dom.Run(ctx, dom.Options{State: state, Log: log.With("host", "dom"), Ready: ready, TunnelAddrs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}})
	})
}
