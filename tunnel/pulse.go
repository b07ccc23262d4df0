package tunnel

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// BeatInterval is how often the dom beats to each sub.
	BeatInterval = 5 * time.Second

	// LiveFor is how long after an answered beat a sub counts as live.
	LiveFor = 15 * time.Second
)

// A Pulse is the dom's half of the heartbeat. It beats to every peer of its
// Device, measures the answers, and dials anew when they stay away: after two
// beats in a row without an answer, or any other packet, it forgets the
// session and makes a new one at once, and from then on alternates between the
// peer's endpoints.
//
// A peer that is set while it runs gets a beat at once, and so does one that
// says that it has just come up. Set the fields, then call Run; the methods
// are safe for concurrent use, before Run too.
type Pulse struct {
	Device *Device

	// Interval between two beats to one peer. Zero means BeatInterval.
	Interval time.Duration

	// Patience is how long an answer may take before the next beat is sent
	// early: four times the usual round trip, but no less than this and no more
	// than ten times this, which is also for an answer that waits for a
	// handshake. Zero means 250 ms.
	Patience time.Duration

	// Payload is what a beat to a peer carries, at most MaxBeat bytes. Nil
	// means nothing.
	Payload func(to PublicKey) []byte

	// OnBeat is called for each answer, with its payload, which is valid until
	// it returns. It must not block. Nil does nothing.
	OnBeat func(from PublicKey, payload []byte)

	// Log takes one line when a peer falls silent and one when it is back. Nil
	// discards them.
	Log *slog.Logger

	// Name is what the log calls a peer. Nil: by its key.
	Name func(PublicKey) string

	mu      sync.Mutex
	vitals  map[PublicKey]*vital
	changed chan struct{} // closed and replaced at each answer
	wake    chan struct{}
}

// init makes what the zero value lacks, and begins to follow the device.
func (p *Pulse) init() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.vitals != nil {
		return
	}
	p.vitals = make(map[PublicKey]*vital)
	p.changed = make(chan struct{})
	p.wake = make(chan struct{}, 1)
	p.Interval = cmp.Or(p.Interval, BeatInterval)
	p.Patience = cmp.Or(p.Patience, 250*time.Millisecond)
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
}

// Run beats until ctx ends, and then returns nil.
func (p *Pulse) Run(ctx context.Context) error {
	p.init()
	c, err := p.Device.ListenPacket(BeatPort)
	if err != nil {
		return err
	}
	for _, key := range p.Device.followPeers(p.peerChanged) {
		p.peerChanged(key, true)
	}
	defer p.Device.followPeers(nil)
	received := make(chan error, 1)
	go func() { received <- p.receive(c) }()
	err = p.send(ctx, c, received)
	c.Close()
	if err == nil {
		<-received
	}
	return err
}

// peerChanged is called with the device's lock held.
func (p *Pulse) peerChanged(key PublicKey, set bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !set {
		delete(p.vitals, key)
		return
	}
	v := p.vitals[key]
	if v == nil {
		v = &vital{Vital: Vital{PublicKey: key}, fresh: true}
		p.vitals[key] = v
	}
	v.answered, v.next = v.seq, time.Time{}
	p.nudge()
}

func (p *Pulse) name(key PublicKey) string {
	if p.Name == nil {
		return key.String()
	}
	return p.Name(key)
}

func (p *Pulse) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Beat beats to a peer now, and not only when its turn comes.
func (p *Pulse) Beat(key PublicKey) {
	p.init()
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.vitals[key]; v != nil {
		v.next = time.Time{}
		p.nudge()
	}
}

// send beats and redials as each peer's time comes.
func (p *Pulse) send(ctx context.Context, c net.PacketConn, received <-chan error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(p.turn(c)))
		select {
		case <-ctx.Done():
			return nil
		case err := <-received:
			return fmt.Errorf("receive heartbeat: %w", err)
		case <-p.wake:
		case <-timer.C:
		}
	}
}

// turn does what is due, and returns when something will be again.
func (p *Pulse) turn(c net.PacketConn) time.Time {
	p.mu.Lock()
	now := time.Now()
	soonest := now.Add(p.Interval)
	var due []PublicKey
	for key, v := range p.vitals {
		if !v.next.After(now) {
			due = append(due, key)
		} else if v.next.Before(soonest) {
			soonest = v.next
		}
	}
	p.mu.Unlock()
	if len(due) == 0 {
		return soonest
	}
	for _, key := range due {
		p.visit(c, key)
	}
	return now // look again: each visit has set a new time
}

// visit redials a peer that two beats found silent, and beats.
func (p *Pulse) visit(c net.PacketConn, key PublicKey) {
	misses := p.judge(key)
	if misses >= 2 {
		p.redial(key, misses > 2)
	}
	var payload []byte
	if p.Payload != nil {
		payload = p.Payload(key)
	}
	seq, ok := p.begin(key)
	if !ok {
		return
	}
	out, err := beat{kind: beatAsk, seq: seq, payload: payload}.append(nil)
	if err == nil {
		_, err = c.WriteTo(out, beatAddr(key))
	}
	p.noteError(key, err)
}

// judge counts a miss if the last beat went unanswered and nothing else came
// either, and returns how many there are in a row.
func (p *Pulse) judge(key PublicKey) int {
	heard := p.Device.lastPacket(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.vitals[key]
	if v == nil || !v.waiting() || heard.After(v.lastSent()) || time.Since(v.lastSent()) < p.patience(v) {
		return 0
	}
	v.Misses++
	if v.Misses == 2 {
		p.Log.Warn("sub is silent", "sub", p.name(key), "last", v.LastBeat, "err", v.Err)
	}
	return v.Misses
}

func (p *Pulse) redial(key PublicKey, turn bool) {
	endpoint, err := p.Device.redial(key, turn)
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.vitals[key]; v != nil && err == nil {
		v.Redials++
		v.Endpoint, v.fresh = endpoint, true
	}
}

// begin gives a beat its number and time, and sets when the peer's turn comes
// again: when the answer is late if that is news, else at the next beat.
func (p *Pulse) begin(key PublicKey) (seq uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.vitals[key]
	if v == nil {
		return 0, false
	}
	now := time.Now()
	v.seq++
	v.sent[v.seq%recent] = now
	v.next = now.Add(p.patience(v))
	if v.Misses >= 2 {
		v.next = now.Add(max(p.Interval, 10*p.Patience))
	}
	return v.seq, true
}

// noteError keeps why beats can't leave: err, the clock, or the network.
func (p *Pulse) noteError(key PublicKey, err error) {
	if err == nil {
		err = p.Device.trouble(key)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.vitals[key]; v != nil {
		v.Err = err
	}
}

// patience is how long the answer to v's last beat may take.
func (p *Pulse) patience(v *vital) time.Duration {
	if v.fresh {
		return 10 * p.Patience
	}
	return min(max(4*v.Smoothed, p.Patience), 10*p.Patience)
}

func (p *Pulse) receive(c net.PacketConn) error {
	buf := make([]byte, MTU)
	for {
		b, from, err := receiveBeat(p.Device, c, buf)
		if err != nil {
			return err
		}
		switch b.kind {
		case beatHello:
			p.Beat(from)
		case beatAnswer:
			if p.answered(from, b.seq) && p.OnBeat != nil {
				p.OnBeat(from, b.payload)
			}
		}
	}
}

// answered notes the answer to a beat, and reports whether it is news.
func (p *Pulse) answered(from PublicKey, seq uint64) bool {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.vitals[from]
	if v == nil || seq <= v.answered || seq > v.seq || seq+recent <= v.seq {
		return false
	}
	if v.Misses >= 2 {
		p.Log.Info("sub is back", "sub", p.name(from), "misses", v.Misses, "redials", v.Redials)
	}
	sent := v.sent[seq%recent]
	v.measure(now.Sub(sent))
	v.answered, v.fresh = seq, false
	v.LastBeat, v.Misses, v.Redials, v.Err = now, 0, 0, nil
	v.next = sent.Add(p.Interval)
	close(p.changed)
	p.changed = make(chan struct{})
	return true
}

// State returns what is known of every peer, ordered by key.
func (p *Pulse) State() []Vital {
	p.init()
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Vital, 0, len(p.vitals))
	for _, v := range p.vitals {
		out = append(out, v.Vital)
	}
	now := time.Now()
	for i := range out {
		out[i].Live = !out[i].LastBeat.IsZero() && now.Sub(out[i].LastBeat) <= LiveFor
	}
	slices.SortFunc(out, func(a, b Vital) int { return slices.Compare(a.PublicKey[:], b.PublicKey[:]) })
	return out
}

// Await beats to a peer at once and waits until it has answered. It returns
// ctx's error when that comes first. A re-run of
// add-sub asks so whether the tunnel stands already.
func (p *Pulse) Await(ctx context.Context, key PublicKey) error {
	p.init()
	since := time.Now()
	p.Beat(key)
	for {
		p.mu.Lock()
		changed := p.changed
		v := p.vitals[key]
		answered := v != nil && v.LastBeat.After(since)
		p.mu.Unlock()
		if answered {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("await heartbeat of %s: %w", key, ctx.Err())
		}
	}
}

// followPeers calls f for each later change of peers, and returns those that
// are set now. Nil ends it.
func (d *Device) followPeers(f func(PublicKey, bool)) []PublicKey {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.follow = f
	return slices.Collect(maps.Keys(d.peers))
}
