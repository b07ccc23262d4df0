package nameserver

import (
	"net"
	"net/netip"
)

// reconcile makes the served addresses those that the host has now. An address
// whose port is taken is left out, and said once.
func (s *Server) reconcile() {
	host, err := hostAddrs()
	if err != nil {
		s.log.Warn("list the host's addresses", "err", err)
		return
	}
	want := s.wanted(host)
	for _, a := range s.Addrs() {
		if !want[a] {
			s.drop(a)
		}
	}
	for a := range want {
		s.openFound(a)
	}
}

// wanted expands the wildcards.
func (s *Server) wanted(host []netip.Addr) map[netip.AddrPort]bool {
	want := map[netip.AddrPort]bool{}
	for _, l := range s.opts.Listen {
		if !l.Addr().IsUnspecified() {
			for _, a := range s.Addrs() {
				if a.Addr() == l.Addr() && (l.Port() == 0 || a.Port() == l.Port()) {
					want[a] = true
				}
			}
			continue
		}
		for _, a := range host {
			if a.Is4() || l.Addr().Is6() {
				want[netip.AddrPortFrom(a, l.Port())] = true
			}
		}
	}
	return want
}

// openFound serves an address of the host, if it is not served yet.
func (s *Server) openFound(a netip.AddrPort) {
	s.mu.Lock()
	_, open := s.endpoints[a]
	s.mu.Unlock()
	if open {
		return
	}
	err := s.open(a)
	s.mu.Lock()
	said := s.skipped[a]
	delete(s.skipped, a)
	if err != nil {
		s.skipped[a] = err.Error()
	}
	s.mu.Unlock()
	switch {
	case err == nil:
		s.log.Info("address served", "addr", a)
	case said != err.Error():
		s.log.Warn("address left out", "addr", a, "err", err)
	}
}

// drop stops serving an address that the host lost.
func (s *Server) drop(a netip.AddrPort) {
	s.mu.Lock()
	e := s.endpoints[a]
	delete(s.endpoints, a)
	s.mu.Unlock()
	if e == nil {
		return
	}
	e.stop()
	e.wait()
	s.log.Info("address gone", "addr", a)
}

// hostAddrs lists the host's addresses that others can ask.
func hostAddrs() ([]netip.Addr, error) {
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, n := range nets {
		ipnet, ok := n.(*net.IPNet)
		if !ok {
			continue
		}
		a, ok := netip.AddrFromSlice(ipnet.IP)
		if a = a.Unmap(); ok && !a.IsLinkLocalUnicast() && !a.IsMulticast() {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}
