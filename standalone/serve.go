// Package standalone is the nameserver without a dom: zone files and b8s.yaml
// from this machine, served by the same engine as in a sub. It is for trying
// zones before they are published, and for measuring.
//
// What it serves changes whole, by a reload. One bad zone keeps no other from
// being served: at start it is left out, at a reload it is served as it was, and
// the log has its errors with file and line.
package standalone

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"

	"golang.org/x/sync/errgroup"

	"b8s/sub/nameserver"
)

// Options says what to serve, and where.
type Options struct {
	Listen    []string // ADDRESS:PORT each; empty: port 53 of all addresses
	Zones     []string // ORIGIN=PATH each
	ZonesFile string   // a file of lines "ORIGIN PATH", paths relative to it; "" for none
	Config    string   // b8s.yaml; "" for none
	Subs      string   // subs.yaml, needed for the sites and nameservers in Config
	GeoLite   string   // city database; "": everyone is sent to the default sub
	Threads   int      // for UDP, at each address; 0: one a processor

	Reload <-chan struct{}           // each value is a reload; nil: none ever
	Ready  func(at []netip.AddrPort) // called once, when it serves; may be nil
	Log    *slog.Logger              // nil: nothing is logged
}

// Serve serves until ctx ends. It fails at the start if o contradicts itself, if
// nothing of what it names can be served, with all that is wrong, or if it can't
// be listened at.
func Serve(ctx context.Context, o Options) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	listen, err := addresses(o.Listen)
	if err != nil {
		return err
	}
	l := newLoader(o)
	if _, err := l.sources(); err != nil {
		return err
	}
	view, err := l.load(ctx)
	if err != nil && (view.Zones.Len() == 0 || ctx.Err() != nil) {
		return err
	}
	for _, e := range unjoin(err) {
		o.Log.Error("not served", "err", e)
	}
	s := nameserver.New(nameserver.Options{Listen: listen, Threads: o.Threads, Log: o.Log})
	s.Swap(view)
	view = nil
	debug.FreeOSMemory() // what reading the zones left behind
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.Run(ctx) })
	group.Go(func() error { return follow(ctx, s, l, o) })
	return group.Wait()
}

// follow says that the server is ready, then reloads when told to.
func follow(ctx context.Context, s *nameserver.Server, l *loader, o Options) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.Ready():
	}
	if o.Ready != nil {
		o.Ready(s.Addrs())
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.Reload:
			reload(ctx, s, l, o.Log)
		}
	}
}

func reload(ctx context.Context, s *nameserver.Server, l *loader, log *slog.Logger) {
	view, err := l.load(ctx)
	if ctx.Err() != nil {
		return
	}
	s.Swap(view)
	for _, e := range unjoin(err) {
		log.Error("kept as it was", "err", e)
	}
	log.Info("reloaded", "zones", view.Zones.Len(), "hosts", l.hosts(), "errors", len(unjoin(err)))
	view = nil
	debug.FreeOSMemory()
}

// unjoin lists what errors.Join joined, at any depth.
func unjoin(err error) (errs []error) {
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, e := range many.Unwrap() {
		errs = append(errs, unjoin(e)...)
	}
	return errs
}

func addresses(texts []string) (list []netip.AddrPort, err error) {
	for _, text := range texts {
		a, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("listen at %q: want ADDRESS:PORT, as in 127.0.0.1:5330 or [::]:53", text)
		}
		list = append(list, a)
	}
	return list, nil
}
