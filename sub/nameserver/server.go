// Package nameserver answers DNS questions for zones, over UDP and TCP, as an
// authoritative server: RFC 1034, 1035, 2181, 2308, 4592, 6672, 6891, 7766,
// 7871, 8482, 9471. It never recurses.
//
// What it serves is a View, swapped whole: a question is answered from the one
// that was current when it was read, and no question is lost by a swap.
// Answers to UDP and TCP are the same but for truncation. A response is made in
// the octets of its query and allocates nothing; the question goes back byte
// for byte.
//
// On Linux each UDP socket has threads of its own that take and give many
// messages in one system call; elsewhere one goroutine a socket gives the same
// answers. There is a socket for each address, so that answers leave from the
// address that was asked. A wildcard address stands for all addresses of the
// host, those that come later included; link-local IPv6 addresses are left out.
// A port that another process holds is refused at start.
//
// Answers are minimal: no authority or additional records but where a referral
// or a negative answer needs them.
package nameserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options are a server's settings; the zero value serves port 53 of all
// addresses.
type Options struct {
	// Listen is where to serve. 0.0.0.0 stands for all IPv4 addresses of the
	// host, [::] for all IPv4 and IPv6 ones. Empty: [::]:53. Port 0: one that
	// is free, not for wildcards.
	Listen []netip.AddrPort
	// Threads is how many serve UDP at each address. 0: GOMAXPROCS.
	Threads int
	// TCPClients bounds the TCP connections in all, TCPClientsPerAddress those
	// of one IPv4 address or IPv6 /64. 0: 1,000 and 50.
	TCPClients, TCPClientsPerAddress int
	// TCPIdle is how long a connection may be silent, and a message or an
	// answer take to pass. 0: 10 seconds.
	TCPIdle time.Duration
	// Log gets what changes in what is served. nil: nothing.
	Log *slog.Logger

	portable bool // also on Linux, for tests
}

func (o Options) withDefaults() Options {
	if len(o.Listen) == 0 {
		o.Listen = []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), 53)}
	}
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&o.Threads, runtime.GOMAXPROCS(0))
	set(&o.TCPClients, 1000)
	set(&o.TCPClientsPerAddress, 50)
	if o.TCPIdle <= 0 {
		o.TCPIdle = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Server is made by New. Its methods may be called at any time, by anyone.
type Server struct {
	opts  Options
	log   *slog.Logger
	view  atomic.Pointer[View]
	ready chan struct{}
	tcp   *clients

	mu        sync.Mutex
	endpoints map[netip.AddrPort]*endpoint
	counters  []*counters // of all threads that ever were
	skipped   map[netip.AddrPort]string
}

// New makes a server that knows no zones yet.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{
		opts: o, log: o.Log, ready: make(chan struct{}),
		endpoints: map[netip.AddrPort]*endpoint{},
		skipped:   map[netip.AddrPort]string{},
	}
	s.tcp = newClients(o.TCPClients, o.TCPClientsPerAddress)
	s.view.Store(&View{})
	return s
}

// Swap serves another view from the next question on.
func (s *Server) Swap(v *View) { s.view.Store(v) }

// View is what is served now.
func (s *Server) View() *View { return s.view.Load() }

// Ready is closed when Run has begun to serve.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addrs lists the addresses that are served, sorted.
func (s *Server) Addrs() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	var addrs []netip.AddrPort
	for a := range s.endpoints {
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, netip.AddrPort.Compare)
	return addrs
}

// Stats counts what was answered so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	var st Stats
	for _, c := range s.counters {
		c.addTo(&st)
	}
	st.Refused = s.tcp.refused.Load()
	return st
}

// Run serves until ctx ends, and has let go of everything when it returns. It
// fails when an address can't be served, or, of a wildcard, none. It may be
// called once.
func (s *Server) Run(ctx context.Context) error {
	defer s.closeAll()
	if err := s.listen(); err != nil {
		return err
	}
	close(s.ready)
	if !s.hasWildcard() {
		<-ctx.Done()
		return nil
	}
	return watchHost(ctx, s.log, s.reconcile)
}

// listen opens what was asked for.
func (s *Server) listen() error {
	var errs []error
	for _, a := range s.opts.Listen {
		if a.Addr().IsUnspecified() {
			if a.Port() == 0 {
				errs = append(errs, fmt.Errorf("listen at %s: a wildcard needs a port", a))
			}
			continue
		}
		if err := s.open(a); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if s.hasWildcard() {
		s.reconcile()
		if len(s.Addrs()) == 0 {
			return s.noneOpen()
		}
	}
	return nil
}

func (s *Server) noneOpen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := []error{errors.New("no address of this host can be served")}
	for _, reason := range s.skipped {
		errs = append(errs, errors.New(reason))
	}
	return errors.Join(errs...)
}

func (s *Server) hasWildcard() bool {
	return slices.ContainsFunc(s.opts.Listen, func(a netip.AddrPort) bool { return a.Addr().IsUnspecified() })
}

// open serves one address.
func (s *Server) open(addr netip.AddrPort) error {
	e, err := openEndpoint(s, addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.endpoints[e.addr] = e
	s.mu.Unlock()
	return nil
}

func (s *Server) newCounters() *counters {
	c := new(counters)
	s.mu.Lock()
	s.counters = append(s.counters, c)
	s.mu.Unlock()
	return c
}

func (s *Server) closeAll() {
	s.mu.Lock()
	open := s.endpoints
	s.endpoints = map[netip.AddrPort]*endpoint{}
	s.mu.Unlock()
	for _, e := range open {
		e.stop()
	}
	for _, e := range open {
		e.wait()
	}
}
