// Package tunnel is the overlay between the dom and its subs: WireGuard and a
// network stack, both in user space, so that neither root nor a TUN device is
// needed.
//
// What a caller may rely on:
//
//   - The overlay address of a peer is computed from its public key
//     (OverlayAddr), and a packet from that address was sent by the holder of
//     that key: the inner source is the peer.
//   - Nothing on the overlay is routed on: a peer reaches this host's listeners
//     and no other peer.
//   - A device answers no datagram that was not made with a key that it knows.
//   - Whatever is open ends when its context ends or the Device closes, within
//     a second.
//
// The dom dials, and keeps watch with a Pulse; a sub answers with Answer. A sub
// is enrolled with a Ticket: Enrol on the dom, an Enrolment on the sub.
//
// Connections are plain TCP over a lossy path: a cut is noticed after seconds
// by the Pulse, and only after about a minute by a connection.
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"golang.zx2c4.com/wireguard/device"
)

// DefaultPort is the UDP port of a sub's tunnel, WireGuard's usual one.
const DefaultPort = 51820

// Ports on the overlay that belong to this package, on a sub.
const (
	EnrolPort = 1 // TCP, to the holder of the token only
	BeatPort  = 2 // UDP, from the dom
)

// Options of a Device.
type Options struct {
	// PrivateKey is the identity of this end. Required.
	PrivateKey PrivateKey

	// Port is the UDP port; 0 takes any free one.
	Port uint16

	// Addrs are the addresses to listen on, IPv4 or IPv6, all at Port. Empty
	// means all addresses of the host.
	Addrs []netip.Addr

	// Clock is asked before each handshake that this end starts. Nil, as on a
	// sub, refuses none.
	Clock *Clock

	// Log takes what WireGuard says, at debug level. Nil discards it.
	Log *slog.Logger
}

// A Device is one end of the overlay. It is safe for concurrent use.
type Device struct {
	key  PublicKey
	wg   *device.Device
	net  *netstack
	bind *bind
	log  *slog.Logger

	mu     sync.Mutex // serializes changes of peers
	peers  map[PublicKey]*peer
	follow func(PublicKey, bool) // told of each peer set or removed

	sources atomic.Pointer[map[netip.Addr]*peer] // peers by overlay address
	closed  chan struct{}
	once    sync.Once
}

// Open starts a device without peers. It returns an error that names the
// address when a socket can't be had.
func Open(opts Options) (*Device, error) {
	if opts.PrivateKey.IsZero() {
		return nil, errors.New("open tunnel: no private key")
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	key := opts.PrivateKey.Public()
	stack, err := newNetstack(OverlayAddr(key))
	if err != nil {
		return nil, err
	}
	d := &Device{
		key:    key,
		net:    stack,
		bind:   &bind{addrs: slices.Clone(opts.Addrs), clock: opts.Clock, in: stack.in, out: stack.out},
		log:    opts.Log,
		peers:  make(map[PublicKey]*peer),
		closed: make(chan struct{}),
	}
	d.sources.Store(&map[netip.Addr]*peer{})
	stack.seen = d.seen
	d.wg = device.NewDevice(stack, d.bind, wireguardLog(opts.Log))
	if err := d.start(opts); err != nil {
		d.Close()
		return nil, fmt.Errorf("open tunnel: %w", err)
	}
	return d, nil
}

func (d *Device) start(opts Options) error {
	if err := d.wg.SetPrivateKey(device.NoisePrivateKey(opts.PrivateKey)); err != nil {
		return err
	}
	if err := d.wg.IpcSet(fmt.Sprintf("listen_port=%d\n", opts.Port)); err != nil {
		return err
	}
	return d.wg.Up()
}

// wireguardLog passes WireGuard's own words on at debug level: its errors are
// those of single packets, and what they mean is in PeerStatus and Vital.
func wireguardLog(log *slog.Logger) *device.Logger {
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		return &device.Logger{Verbosef: device.DiscardLogf, Errorf: device.DiscardLogf}
	}
	say := func(format string, args ...any) { log.Debug("wireguard", "said", fmt.Sprintf(format, args...)) }
	return &device.Logger{Verbosef: say, Errorf: say}
}

// Key returns the device's public key.
func (d *Device) Key() PublicKey { return d.key }

// Addr returns the device's own address on the overlay.
func (d *Device) Addr() netip.Addr { return d.net.addr }

// Port returns the UDP port that the device listens on.
func (d *Device) Port() uint16 {
	d.bind.mu.RLock()
	defer d.bind.mu.RUnlock()
	if len(d.bind.sockets) == 0 {
		return 0
	}
	return d.bind.sockets[0].port()
}

// Listen accepts TCP connections to a port of the device's overlay address.
// The remote address of each is its peer's; see PeerAt.
func (d *Device) Listen(port uint16) (net.Listener, error) {
	l, err := d.net.listen(port)
	if err != nil {
		return nil, fmt.Errorf("listen on overlay TCP port %d: %w", port, err)
	}
	return l, nil
}

// ListenPacket receives UDP datagrams to a port of the device's overlay
// address; port 0 takes any free one. A datagram of more than 1232 bytes is
// sent as fragments.
func (d *Device) ListenPacket(port uint16) (net.PacketConn, error) {
	c, err := d.net.listenPacket(port)
	if err != nil {
		return nil, fmt.Errorf("listen on overlay UDP port %d: %w", port, err)
	}
	return c, nil
}

// DialContext connects to a TCP port of a peer's overlay address. It returns
// an error at once when the address is of no peer, and else waits, for a
// handshake too, until ctx ends.
func (d *Device) DialContext(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if _, ok := d.PeerAt(to.Addr()); !ok {
		return nil, fmt.Errorf("dial overlay %s: no peer has this address", to)
	}
	c, err := d.net.dial(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("dial overlay %s: %w", to, err)
	}
	return c, nil
}

// Close ends every connection and listener, forgets the sessions and closes
// the UDP sockets. Later calls do nothing.
func (d *Device) Close() error {
	d.once.Do(func() {
		close(d.closed)
		d.wg.Close()
	})
	return nil
}

// seen is called for each packet that came in.
func (d *Device) seen(src netip.Addr, packet []byte) bool {
	p := (*d.sources.Load())[src]
	if p == nil {
		return false
	}
	p.arrived()
	return !p.enrolling || isTCPTo(packet, EnrolPort)
}
