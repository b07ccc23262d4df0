// Package sub is an edge server: it wires the tunnel, the replica of the bus,
// and the nameserver together, and reports what it serves.
//
// What a caller may rely on: a sub serves from its own disk alone, within a
// second of its start, and never waits for its dom. Whatever comes over the
// bus is applied while it serves; what can't be applied leaves what was served
// before, and is named in the status. In apply.go bucket and setter meet: the
// whole product on one screen.
package sub

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"b8s/control"
	"b8s/kv"
	"b8s/state"
	"b8s/sub/nameserver"
	"b8s/tunnel"
)

// Options of a sub. The zero value, but for State, is a sub on all addresses
// and the usual ports.
type Options struct {
	State string           // the state folder
	Log   *slog.Logger     // nil discards
	DNS   []netip.AddrPort // where to answer DNS; empty: port 53 of all addresses

	Port        uint16       // UDP port of the tunnel; 0: tunnel.DefaultPort
	TunnelAddrs []netip.Addr // where the tunnel listens; empty: all addresses

	// What the add-sub line says of this server; empty is found out, or left to
	// the dom.
	IPv4, IPv6  netip.Addr
	Coordinates string

	TokenLife time.Duration    // how long an enrolment is open; 0: tunnel.TokenLife
	Threads   int              // of the nameserver; 0: one a processor
	Ready     func()           // called once DNS is answered
	Invite    func(Invitation) // called with each enrolment that opens by itself
}

// Run is the life of a sub, until ctx ends.
func Run(ctx context.Context, opts Options) error {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Port == 0 {
		opts.Port = tunnel.DefaultPort
	}
	dir, err := state.Open(opts.State)
	if err != nil {
		return err
	}
	defer dir.Close()
	s, err := open(dir, opts)
	if err != nil {
		return err
	}

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.dns.Run(ctx) })
	g.Go(func() error { return s.apply.Run(ctx) })
	g.Go(func() error { return s.link.Run(ctx) })
	g.Go(func() error { return s.serveControl(ctx) })
	g.Go(func() error { return s.tellReady(ctx) })
	return g.Wait()
}

// A host is the parts of a running sub.
type host struct {
	opts    Options
	dir     *state.Dir
	id      identity
	boot    time.Time
	replica *kv.Replica
	dns     *nameserver.Server
	apply   *apply
	link    *link
	log     *slog.Logger
}

// open makes the parts, and has what is on disk served by the nameserver
// before it runs.
func open(dir *state.Dir, opts Options) (*host, error) {
	id, err := loadIdentity(dir)
	if err != nil {
		return nil, err
	}
	masters, err := openMasters(dir)
	if err != nil {
		return nil, err
	}
	replica, err := kv.OpenReplica(dir.File(dirReplica), nil, opts.Log)
	if err != nil {
		return nil, err
	}
	s := &host{opts: opts, dir: dir, id: id, boot: time.Now(), replica: replica, log: opts.Log}
	s.dns = nameserver.New(nameserver.Options{Listen: opts.DNS, Threads: opts.Threads, Log: opts.Log})
	if s.apply, err = newApply(dir, replica, s.dns, opts.Log); err != nil {
		return nil, err
	}
	s.link = &link{
		opts: opts, id: id, masters: masters, replica: replica, report: s.report, log: opts.Log,
		requests: make(chan chan<- Invitation),
		heard:    make(chan struct{}, 1),
	}
	replica.ObjectConn = s.link.objectConn
	return s, nil
}

func (s *host) tellReady(ctx context.Context) error {
	select {
	case <-s.dns.Ready():
		if s.opts.Ready != nil {
			s.opts.Ready()
		}
	case <-ctx.Done():
	}
	return nil
}

// serveControl answers the verbs of this server's operator.
func (s *host) serveControl(ctx context.Context) error {
	socket, err := control.SocketPath(s.dir.Path)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	control.Handle(mux, verbStatus, func(context.Context, struct{}, func(any)) (View, error) { return s.view(), nil })
	control.Handle(mux, verbToken, func(ctx context.Context, _ struct{}, _ func(any)) (Invitation, error) { return s.link.Invite(ctx) })
	return control.Serve(ctx, socket, mux, nil)
}
