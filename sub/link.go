package sub

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"b8s/bus"
	"b8s/kv"
	"b8s/tunnel"
)

// link joins the sub to its dom: the tunnel, the heartbeat, the bus, and
// enrolment. Nothing that the sub serves waits for it, and whatever goes wrong
// in it is a problem in the status and is tried again.
type link struct {
	opts    Options
	id      identity
	masters *masters
	replica *kv.Replica
	report  func(context.Context, *nats.Conn) // tells the dom how the sub is, until ctx ends
	log     *slog.Logger

	requests chan chan<- Invitation // for an enrolment, from Invite
	heard    chan struct{}          // buffered: the current dom was heard

	mu           sync.Mutex
	device       *tunnel.Device
	connected    bool // to the bus
	stale        bool // the connection leads to a process of the dom that is no more
	enrolment    *tunnel.Enrolment
	endEnrolment context.CancelFunc
	restart      context.CancelFunc // of the bus connection, when the dom changes
	lastBeat     time.Time
	domBoot      string
	err          error // why there is no tunnel
}

// retryAfter is how long the link waits after its tunnel failed, at most.
const retryAfter = 15 * time.Second

// Run keeps the link up until ctx ends.
func (l *link) Run(ctx context.Context) error {
	for wait := time.Second; ; wait = min(2*wait, retryAfter) {
		err := l.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		l.note(err)
		l.log.Error("no tunnel, serving what is on disk", "err", err, "again", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (l *link) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// session is one life of the tunnel. It ends with ctx, or with the error of
// the part that can't go on.
func (l *link) session(ctx context.Context) error {
	device, err := tunnel.Open(tunnel.Options{PrivateKey: l.id.Tunnel, Port: l.opts.Port, Addrs: l.opts.TunnelAddrs, Log: l.log})
	if err != nil {
		return err
	}
	defer device.Close()
	for _, d := range l.masters.All() {
		if err := device.SetPeer(peerOf(d)); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.device, l.err = device, nil
	l.mu.Unlock()

	g, ctx := errgroup.WithContext(ctx)
	answer := &tunnel.Answer{Device: device, OnBeat: l.beat, Log: l.log}
	g.Go(func() error { return answer.Run(ctx) })
	g.Go(func() error { return l.followBus(ctx, device) })
	g.Go(func() error { return l.enrolling(ctx, device) })
	return g.Wait()
}

// peerOf is a dom as the tunnel's peer: it finds us, and the hint is only for
// the first packet after a restart.
func peerOf(d master) tunnel.Peer {
	p := tunnel.Peer{PublicKey: d.Key}
	if d.Endpoint.IsValid() {
		p.Endpoints = []netip.AddrPort{d.Endpoint}
	}
	return p
}

// beat takes a heartbeat of a dom: it tells how far each bucket is, and a dom
// that adopted this sub takes over with its first.
func (l *link) beat(b tunnel.Beat) {
	replaced, err := l.masters.Heard(b.From, b.Endpoint)
	if err != nil {
		l.log.Error("keep the dom's endpoint", "err", err)
	}
	l.mu.Lock()
	l.lastBeat = b.At
	device, restart := l.device, l.restart
	l.mu.Unlock()
	if replaced != nil {
		l.log.Warn("a new dom has taken over", "key", b.From, "before", replaced.Key)
		device.RemovePeer(replaced.Key)
		restart()
		return
	}
	if current, _ := l.masters.Current(); current.Key != b.From {
		return
	}
	beat, err := kv.DecodeBeat(b.Payload)
	if err != nil {
		l.log.Warn("heartbeat", "err", err)
		return
	}
	l.noteBoot(beat.Boot)
	l.replica.Heads(beat.Heads)
	select {
	case l.heard <- struct{}{}:
	default:
	}
}

// noteBoot notes when the dom's process is another one than at the last beat.
// Then the connection to the bus leads nowhere, which TCP would find out only
// much later.
func (l *link) noteBoot(boot string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.domBoot != "" && l.domBoot != boot {
		l.stale = true
	}
	l.domBoot = boot
}

// followBus keeps the replica on the bus of the current dom, whichever that
// is, until ctx ends.
func (l *link) followBus(ctx context.Context, device *tunnel.Device) error {
	for ctx.Err() == nil {
		of, restart := context.WithCancel(ctx)
		l.mu.Lock()
		l.restart = restart
		l.mu.Unlock()
		err := l.joinBus(of, device)
		restart()
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// joinBus follows one dom's bus until ctx ends.
func (l *link) joinBus(ctx context.Context, device *tunnel.Device) error {
	current, enrolled := l.masters.Current()
	if !enrolled {
		<-ctx.Done() // enrolment restarts us
		return nil
	}
	conn, err := l.dial(ctx, device, current)
	if err != nil {
		return err
	}
	defer conn.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { l.keepConn(ctx, conn); return nil })
	g.Go(func() error { return l.replica.Follow(ctx, conn) })
	g.Go(func() error { l.report(ctx, conn); return nil })
	err = g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// dial joins the bus of a dom.
func (l *link) dial(ctx context.Context, device *tunnel.Device, d master) (*nats.Conn, error) {
	at := netip.AddrPortFrom(tunnel.OverlayAddr(d.Key), bus.OverlayPort)
	return bus.Connect(ctx, bus.ConnectOptions{
		Name: d.Name, Log: l.log,
		Dial: func(ctx context.Context) (net.Conn, error) { return device.DialContext(ctx, at) },
	})
}

// objectConn is a connection of its own for one large object.
func (l *link) objectConn(ctx context.Context) (*nats.Conn, error) {
	current, enrolled := l.masters.Current()
	l.mu.Lock()
	device := l.device
	l.mu.Unlock()
	if !enrolled || device == nil {
		return nil, errors.New("the dom is not reached")
	}
	return l.dial(ctx, device, current)
}

// keepConn keeps whether conn is connected, and has it try again at once when
// the dom was heard, until ctx ends. A conn's methods wait for the try that is
// under way, some seconds long while the dom is away: neither the answer to a
// heartbeat nor the status may call them.
func (l *link) keepConn(ctx context.Context, conn *nats.Conn) {
	defer l.setConnected(false)
	status := conn.StatusChanged()
	defer conn.RemoveStatusListener(status)
	l.setConnected(conn.IsConnected())
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-status:
			l.setConnected(s == nats.CONNECTED)
		case <-l.heard:
			if l.takeStale() || !conn.IsConnected() {
				conn.ForceReconnect()
			}
		}
	}
}

func (l *link) setConnected(connected bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connected = connected
}

func (l *link) takeStale() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	stale := l.stale
	l.stale = false
	return stale
}

// LinkState is how the sub is joined to its dom.
type LinkState struct {
	Dom       tunnel.PublicKey `json:"dom,omitzero"`
	Name      string           `json:"name,omitempty"`
	Endpoint  netip.AddrPort   `json:"endpoint,omitzero"`
	LastBeat  time.Time        `json:"last_beat,omitzero"`
	Connected bool             `json:"connected"` // to the bus
	Err       string           `json:"error,omitempty"`
}

// State is how the link is now.
func (l *link) State() LinkState {
	current, _ := l.masters.Current()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LinkState{Dom: current.Key, Name: current.Name, Endpoint: current.Endpoint, LastBeat: l.lastBeat, Connected: l.connected}
	if l.err != nil {
		s.Err = l.err.Error()
	}
	return s
}
