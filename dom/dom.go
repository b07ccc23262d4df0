// Package dom is the control plane: it wires the tunnel, the bus and the
// store together, and carries out the operator's verbs.
//
// What a caller may rely on: the operator's wish is on disk (the journal)
// before anything of it is published, and what is on the bus is made to follow
// from it, at each start and each change; so a dom that is killed anywhere goes
// on where it was. The dom listens on no address but its own control socket:
// it dials its subs.
package dom

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"b8s/bus"
	"b8s/control"
	"b8s/kv"
	"b8s/state"
	"b8s/tunnel"
)

// Options of a dom. State is required.
type Options struct {
	State       string       // the state folder, made by Init
	Log         *slog.Logger // nil discards
	TunnelAddrs []netip.Addr // where the tunnel's socket is; empty: any
	Ready       func()       // called once verbs are answered
}

// A Dom is the parts of a running dom.
type Dom struct {
	opts    Options
	dir     *state.Dir
	id      identity
	device  *tunnel.Device
	clock   *tunnel.Clock
	pulse   *tunnel.Pulse
	bus     *bus.Server
	store   *kv.Store
	reports *kv.StatusKeeper
	fleet   *fleet
	geolite *geoliteKeeper
	zones   zoneCache
	started time.Time
	log     *slog.Logger

	publishing sync.Mutex // one change of what is published at a time
	journal    *journal   // guarded by publishing
}

// Run is the life of a dom, until ctx ends.
func Run(ctx context.Context, opts Options) error {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if _, err := os.Stat(opts.State); err != nil {
		return control.Usage(fmt.Errorf("no dom in %s", opts.State), "make one:  b8s dom init")
	}
	dir, err := state.Open(opts.State)
	if err != nil {
		return err
	}
	defer dir.Close()
	d := &Dom{opts: opts, dir: dir, started: time.Now(), log: opts.Log}
	if d.id, err = loadIdentity(dir); err != nil {
		return err
	}
	if err := d.openFiles(); err != nil {
		return err
	}
	defer d.clock.Save()
	if err := d.openTunnel(); err != nil {
		return err
	}
	defer d.device.Close()
	if err := d.openBus(ctx); err != nil {
		return err
	}
	defer d.closeBus()
	for _, m := range d.fleet.Enrolled() {
		if err := d.admit(m); err != nil {
			return err
		}
	}
	return d.run(ctx)
}

func (d *Dom) openFiles() (err error) {
	if d.fleet, err = openFleet(d.dir); err != nil {
		return err
	}
	if d.journal, err = openJournal(d.dir); err != nil {
		return err
	}
	d.geolite = newGeoLiteKeeper(d)
	d.clock, err = tunnel.OpenClock(d.dir.File(fileClock), nil)
	return err
}

func (d *Dom) openTunnel() (err error) {
	d.device, err = tunnel.Open(tunnel.Options{PrivateKey: d.id.Tunnel, Addrs: d.opts.TunnelAddrs, Clock: d.clock, Log: d.log})
	if err != nil {
		return err
	}
	boot := rand.Text()[:8]
	d.pulse = &tunnel.Pulse{Device: d.device, Log: d.log, Name: d.nameOf, Payload: func(tunnel.PublicKey) []byte {
		return kv.Beat{Boot: boot, Heads: d.store.Heads()}.Encode()
	}}
	return nil
}

// nameOf is what the operator calls the sub with that key.
func (d *Dom) nameOf(key tunnel.PublicKey) string {
	if m, ok := d.fleet.ByKey(key); ok {
		return m.Name
	}
	return key.String()
}

func (d *Dom) openBus(ctx context.Context) (err error) {
	d.bus, err = bus.Start(ctx, bus.Options{Dir: d.dir.File(dirStore), Key: d.id.Store, Log: d.log})
	if err != nil {
		return err
	}
	conn, err := d.bus.Dial()
	if err == nil {
		d.store, err = kv.NewStore(ctx, conn, kv.StoreOptions{EpochFile: d.dir.File(fileEpochs), MaxStore: d.bus.MaxStore(), Log: d.log})
	}
	if err != nil {
		d.bus.Shutdown()
		return err
	}
	d.reports = kv.NewStatusKeeper(d.store, d.log)
	return nil
}

func (d *Dom) closeBus() {
	d.store.Close()
	d.bus.Shutdown()
}

// admit opens the bus and then the tunnel to an enrolled sub, which joins the
// bus as soon as it can.
func (d *Dom) admit(m member) error {
	if err := d.bus.AddSub(m.Name, tunnel.OverlayAddr(m.Key)); err != nil {
		return fmt.Errorf("bus account of %s: %w", m.Name, err)
	}
	if err := d.device.SetPeer(m.peer()); err != nil {
		return fmt.Errorf("tunnel to %s: %w", m.Name, err)
	}
	return nil
}

// keepalive is short enough for the NATs of home routers.
const keepalive = 20 * time.Second

func (d *Dom) run(ctx context.Context) error {
	listener, err := d.device.Listen(bus.OverlayPort)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.bus.Run(ctx) })
	g.Go(func() error { return d.bus.Serve(ctx, listener) })
	g.Go(func() error { return d.reports.Run(ctx) })
	g.Go(func() error { return d.pulse.Run(ctx) })
	g.Go(func() error { return d.geolite.Run(ctx) })
	g.Go(func() error { return new(rest).Run(ctx) })
	if err := d.reconcile(ctx); err != nil {
		d.log.Error("what was published last can't be published again as it is", "err", err)
	}
	g.Go(func() error { return d.serveControl(ctx) })
	return g.Wait()
}

func (d *Dom) serveControl(ctx context.Context) error {
	socket, err := control.SocketPath(d.dir.Path)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	control.Handle(mux, verbPing, func(context.Context, struct{}, func(any)) (struct{}, error) { return struct{}{}, nil })
	control.Handle(mux, verbAddSub, d.addSub)
	control.Handle(mux, verbPublishRecords, d.publishRecords)
	control.Handle(mux, verbUndoRecords, d.undoRecords)
	control.Handle(mux, verbHistoryRecords, d.historyRecords)
	control.Handle(mux, verbDelegation, d.delegation)
	control.Handle(mux, verbPublishGeoLite, d.publishGeoLite)
	control.Handle(mux, verbForce, d.force)
	control.Handle(mux, verbStatus, d.status)
	control.Handle(mux, verbNats, d.nats)
	return control.Serve(ctx, socket, mux, d.opts.Ready)
}
