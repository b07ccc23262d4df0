package tunnel

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Peer is the other end of a tunnel, as this end wants it.
type Peer struct {
	PublicKey PublicKey

	// PresharedKey is mixed into each handshake. Zero means none.
	PresharedKey PresharedKey

	// Endpoints are the UDP addresses where the peer may be found, best first.
	// Empty means that it will find us; then a known endpoint stays.
	Endpoints []netip.AddrPort

	// Keepalive is the longest silence towards the peer; whole seconds from 1
	// to 65535. Zero means that silence may last. A device that keeps alive
	// starts its first handshake by itself.
	Keepalive time.Duration
}

// PeerStatus is what the device knows of a peer at one moment.
type PeerStatus struct {
	PublicKey     PublicKey
	Overlay       netip.Addr
	Endpoint      netip.AddrPort // where it was last heard or is looked for; zero if unknown
	LastHandshake time.Time      // zero if none since the peer was set
	LastPacket    time.Time      // zero if no packet came through the tunnel
	Received      uint64         // bytes, of WireGuard's messages
	Sent          uint64
}

// A peer is a Peer that is set.
type peer struct {
	Peer
	at        int  // index of the endpoint in use
	enrolling bool // a bootstrap peer: it reaches EnrolPort and nothing else

	lastPacket atomic.Int64 // since began, monotonic; 0 for none
	first      chan struct{}
	firstOnce  sync.Once
}

// began is the zero of peer.lastPacket.
var began = time.Now()

// arrived notes a packet through the tunnel.
func (p *peer) arrived() {
	p.lastPacket.Store(int64(time.Since(began)))
	p.firstOnce.Do(func() { close(p.first) })
}

// lastHeard returns when a packet last came through the tunnel; zero if none
// did.
func (p *peer) lastHeard() time.Time {
	if at := p.lastPacket.Load(); at != 0 {
		return began.Add(time.Duration(at))
	}
	return time.Time{}
}

// SetPeer adds a peer, or changes one without touching its session. The peer
// may send from its overlay address and from no other.
func (d *Device) SetPeer(p Peer) error { return d.setPeer(p, false) }

func (d *Device) setPeer(p Peer, enrolling bool) error {
	if err := p.check(d.key); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	set := &peer{Peer: p, enrolling: enrolling, first: make(chan struct{})}
	set.Endpoints = slices.Clone(p.Endpoints)
	old := d.peers[p.PublicKey]
	if old != nil {
		set.lastPacket.Store(old.lastPacket.Load())
	}
	d.peers[p.PublicKey] = set
	d.publishSources()
	if err := d.wg.IpcSet(set.uapi()); err != nil {
		return fmt.Errorf("set peer %s: %w", p.PublicKey, err)
	}
	if d.follow != nil {
		d.follow(p.PublicKey, true)
	}
	return nil
}

func (p *Peer) check(own PublicKey) error {
	switch {
	case p.PublicKey.IsZero():
		return fmt.Errorf("set peer: no public key")
	case p.PublicKey == own:
		return fmt.Errorf("set peer %s: that is this device's own key", p.PublicKey)
	case p.Keepalive < 0 || p.Keepalive > 65535*time.Second:
		return fmt.Errorf("set peer %s: keepalive of %s, 0 s to 65535 s are possible", p.PublicKey, p.Keepalive)
	}
	for _, e := range p.Endpoints {
		if !e.IsValid() || e.Port() == 0 {
			return fmt.Errorf("set peer %s: endpoint %s is no address and port", p.PublicKey, e)
		}
	}
	return nil
}

// uapi is the peer in WireGuard's configuration protocol.
func (p *peer) uapi() string {
	var b strings.Builder
	fmt.Fprintf(&b, "public_key=%x\n", p.PublicKey[:])
	fmt.Fprintf(&b, "preshared_key=%x\n", p.PresharedKey[:])
	if len(p.Endpoints) > 0 {
		fmt.Fprintf(&b, "endpoint=%s\n", p.Endpoints[p.at])
	}
	fmt.Fprintf(&b, "allowed_ip=%s/128\n", OverlayAddr(p.PublicKey))
	seconds := (p.Keepalive + time.Second - 1) / time.Second
	fmt.Fprintf(&b, "persistent_keepalive_interval=%d\n", seconds)
	return b.String()
}

// RemovePeer ends a peer's session and forgets it. A peer that isn't set is no
// error.
func (d *Device) RemovePeer(key PublicKey) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.peers[key] == nil {
		return nil
	}
	delete(d.peers, key)
	d.publishSources()
	if d.follow != nil {
		d.follow(key, false)
	}
	if err := d.wg.IpcSet(removal(key)); err != nil {
		return fmt.Errorf("remove peer %s: %w", key, err)
	}
	return nil
}

func removal(key PublicKey) string { return fmt.Sprintf("public_key=%x\nremove=true\n", key[:]) }

// redial forgets the session with a peer and begins a new one, at its next
// endpoint if turn is set. It reports the endpoint; zero if none is known.
func (d *Device) redial(key PublicKey, turn bool) (netip.AddrPort, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.peers[key]
	if p == nil {
		return netip.AddrPort{}, fmt.Errorf("redial %s: not a peer", key)
	}
	if len(p.Endpoints) == 0 {
		return netip.AddrPort{}, nil
	}
	if turn {
		p.at = (p.at + 1) % len(p.Endpoints)
	}
	return p.Endpoints[p.at], d.wg.IpcSet(removal(key) + p.uapi())
}

func (d *Device) publishSources() {
	sources := make(map[netip.Addr]*peer, len(d.peers))
	for key, p := range d.peers {
		sources[OverlayAddr(key)] = p
	}
	d.sources.Store(&sources)
}

// PeerAt returns the key of the peer with an overlay address. A bootstrap peer
// of an enrolment is not one.
func (d *Device) PeerAt(overlay netip.Addr) (PublicKey, bool) {
	p := (*d.sources.Load())[overlay]
	if p == nil || p.enrolling {
		return PublicKey{}, false
	}
	return p.PublicKey, true
}

// lastPacket returns when a packet last came from a peer through its tunnel.
func (d *Device) lastPacket(key PublicKey) time.Time {
	if p := (*d.sources.Load())[OverlayAddr(key)]; p != nil {
		return p.lastHeard()
	}
	return time.Time{}
}

// trouble returns why no packet leaves for a peer: the clock, or the error of
// the last one that was sent to its endpoint.
func (d *Device) trouble(key PublicKey) error {
	if err := d.bind.clock.Check(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.peers[key]
	if p == nil || len(p.Endpoints) == 0 {
		return nil
	}
	return d.bind.failure(p.Endpoints[p.at])
}

// FirstPacket returns a channel that is closed when the first packet since the
// last SetPeer came from the peer through its tunnel. It is nil for no peer.
func (d *Device) FirstPacket(key PublicKey) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.peers[key]; p != nil {
		return p.first
	}
	return nil
}

// Peers returns the state of every peer, bootstrap peers left out, ordered by
// key. It takes about 10 µs a peer.
func (d *Device) Peers() []PeerStatus {
	all := d.status()
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]PeerStatus, 0, len(d.peers))
	keys := slices.SortedFunc(maps.Keys(d.peers), func(a, b PublicKey) int {
		return slices.Compare(a[:], b[:])
	})
	for _, key := range keys {
		p := d.peers[key]
		s, ok := all[key]
		if !ok || p.enrolling {
			continue
		}
		s.LastPacket = p.lastHeard()
		out = append(out, s)
	}
	return out
}

// status asks WireGuard for all its peers, bootstrap peers too.
func (d *Device) status() map[PublicKey]PeerStatus {
	text, err := d.wg.IpcGet()
	if err != nil {
		d.log.Error("read tunnel state", "err", err)
		return nil
	}
	return parseStatus(text)
}

func parseStatus(text string) map[PublicKey]PeerStatus {
	all := make(map[PublicKey]PeerStatus)
	var s PeerStatus
	var seconds int64
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		number, _ := strconv.ParseUint(value, 10, 64)
		switch name {
		case "public_key":
			s = PeerStatus{}
			hex.Decode(s.PublicKey[:], []byte(value))
			s.Overlay = OverlayAddr(s.PublicKey)
		case "endpoint":
			s.Endpoint, _ = netip.ParseAddrPort(value)
		case "last_handshake_time_sec":
			seconds = int64(number)
		case "last_handshake_time_nsec":
			if seconds != 0 {
				s.LastHandshake = time.Unix(seconds, int64(number))
			}
		case "tx_bytes":
			s.Sent = number
		case "rx_bytes":
			s.Received = number
		}
		if !s.PublicKey.IsZero() {
			all[s.PublicKey] = s
		}
	}
	return all
}
