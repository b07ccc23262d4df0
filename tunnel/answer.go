package tunnel

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A Beat is one that a sub got from its dom.
type Beat struct {
	From     PublicKey
	At       time.Time
	Endpoint netip.AddrPort // the dom's UDP address now: the hint for the next boot
	Payload  []byte         // valid until OnBeat returns
}

// Answer is the sub's half of the heartbeat: it answers the beats of its
// peers. Set the fields, then call Run; the methods are safe for concurrent
// use from then on.
type Answer struct {
	Device *Device

	// OnBeat is called for each beat, in order, before its answer leaves. It
	// must not block. Nil does nothing.
	OnBeat func(Beat)

	// Payload is what the answer to a beat carries, at most MaxBeat bytes. Nil
	// means nothing.
	Payload func(to PublicKey) []byte

	// Log takes what goes wrong. Nil discards it.
	Log *slog.Logger

	mu   sync.Mutex
	last map[PublicKey]time.Time
}

// LastBeat returns when a beat of the dom came last; zero if none came since
// Run began.
func (a *Answer) LastBeat(dom PublicKey) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last[dom]
}

// Run answers until ctx ends, and then returns nil. At its start it tells each
// peer that has an endpoint that this sub is up, which takes WireGuard through
// a handshake: so a sub with a hint where its dom was is back at once.
func (a *Answer) Run(ctx context.Context) error {
	if a.Log == nil {
		a.Log = slog.New(slog.DiscardHandler)
	}
	c, err := a.Device.ListenPacket(BeatPort)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	a.greet(c)
	buf := make([]byte, MTU)
	for {
		b, from, err := receiveBeat(a.Device, c, buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive heartbeat: %w", err)
		}
		if b.kind == beatAsk {
			a.answer(c, b, from)
		}
	}
}

func (a *Answer) greet(c net.PacketConn) {
	hello, _ := beat{kind: beatHello}.append(nil)
	for _, p := range a.Device.Peers() {
		if p.Endpoint.IsValid() {
			c.WriteTo(hello, beatAddr(p.PublicKey))
		}
	}
}

func (a *Answer) answer(c net.PacketConn, b beat, from PublicKey) {
	now := time.Now()
	a.mu.Lock()
	if a.last == nil {
		a.last = make(map[PublicKey]time.Time)
	}
	a.last[from] = now
	a.mu.Unlock()
	if a.OnBeat != nil {
		endpoint := a.Device.status()[from].Endpoint
		a.OnBeat(Beat{From: from, At: now, Endpoint: endpoint, Payload: b.payload})
	}
	var payload []byte
	if a.Payload != nil {
		payload = a.Payload(from)
	}
	out, err := beat{kind: beatAnswer, seq: b.seq, payload: payload}.append(nil)
	if err == nil {
		_, err = c.WriteTo(out, beatAddr(from))
	}
	if err != nil {
		a.Log.Warn("answer heartbeat", "peer", from, "err", err)
	}
}
