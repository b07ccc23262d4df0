package edge

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"b8s/sub/edge/ticket"
)

// Server is made by New. Its methods may be called at any time, by anyone; a
// setter takes a complete new value, which the next handshake or request sees
// whole.
type Server struct {
	opts   Options
	log    *slog.Logger
	meters *meters
	lines  *accessLog // nil: no access log
	ready  chan struct{}

	certificates atomic.Pointer[certificates]
	sites        atomic.Pointer[sites]
	challenges   atomic.Pointer[map[string]string]
	altSvc       atomic.Pointer[[]string]

	mu        sync.Mutex // of the setters
	seeds     map[string]TicketSeed
	localSeed TicketSeed
	caches    caches

	ports ports
	conns conns
}

// New makes a server that serves nothing yet. It panics where the registry
// holds another server's collectors.
func New(opts Options) *Server {
	opts = opts.withDefaults()
	s := &Server{
		opts: opts, log: opts.Log, ready: make(chan struct{}),
		seeds: map[string]TicketSeed{}, localSeed: newLocalSeed(opts.Now()),
	}
	s.meters = newMeters(s)
	s.conns.init(opts.Limits)
	s.caches.init(opts.Limits)
	if opts.AccessLog.Path != "" {
		s.lines = newAccessLog(opts.AccessLog, opts.Log)
	}
	if opts.Registry != nil {
		opts.Registry.MustRegister(s.meters)
	}
	s.certificates.Store(newCertificates(nil))
	s.sites.Store(&sites{})
	s.challenges.Store(&map[string]string{})
	s.altSvc.Store(new([]string))
	return s
}

// SetChallenges answers /.well-known/acme-challenge/TOKEN on port 80 with the
// key authorization of each token (RFC 8555 section 8.3).
func (s *Server) SetChallenges(byToken map[string]string) {
	copied := make(map[string]string, len(byToken))
	for token, content := range byToken {
		copied[token] = content
	}
	s.challenges.Store(&copied)
}

// Ready is closed when each address is served or has been found to be held by
// another: State tells.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run serves until ctx ends, then lets requests come to their end for
// Limits.Drain, and closes what is left. An address that is held by another
// process is tried again every few seconds, and named in the State meanwhile;
// the others are served.
func (s *Server) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.serve(ctx) })
	g.Go(func() error { return s.turnTickets(ctx) })
	if s.lines != nil {
		g.Go(func() error { return s.lines.run(ctx) })
	}
	err := g.Wait()
	s.closeCaches()
	return err
}

// turnTickets puts the day's ticket keys into use, soon after midnight and
// after a clock that jumped.
func (s *Server) turnTickets(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	day := ticket.Day(s.opts.Now())
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := s.opts.Now()
		if today := ticket.Day(now); today != day {
			day = today
			s.mu.Lock()
			s.ratchet(now)
			s.mu.Unlock()
		}
	}
}

// Addrs are the addresses that are served: with the ports taken where port 0
// was asked for.
func (s *Server) Addrs() (https, http []netip.AddrPort) { return s.ports.addrs() }

// State is what is served now.
func (s *Server) State() State {
	now := s.opts.Now()
	st := State{Certificates: map[string]Served{}, Sites: map[string]SiteState{}, Upstreams: map[string]UpstreamState{}}
	st.HTTPS, st.HTTP = s.ports.addrs()
	st.Problems = s.ports.problems()
	for name, id := range s.certificates.Load().byName {
		served := id.served
		if served.Expired = now.After(served.NotAfter); served.Expired {
			st.Problems = append(st.Problems, "certificate "+name+" expired at "+stamp(served.NotAfter)+" and is served for want of a better")
		}
		st.Certificates[name] = served
	}
	for _, site := range s.sites.Load().all {
		st.Sites[site.Name] = site.counts.state()
	}
	s.upstreamStates(st.Upstreams)
	return st
}
