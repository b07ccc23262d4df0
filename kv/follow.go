package kv

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats.go"
)

const (
	livePending = 8 << 20 // bytes of live changes that wait; more are dropped, and found by the gap
	liveBurst   = 4096    // live changes that are taken before the watchers are called
	retryFirst  = 100 * time.Millisecond
	retryMax    = 30 * time.Second
)

// follow applies live changes and does full reads until ctx ends.
func (b *bucket) follow(ctx context.Context, nc *nats.Conn) error {
	live := make(chan *nats.Msg, 64)
	sub, err := nc.Subscribe(subjects.LiveAll(b.name), func(m *nats.Msg) {
		select {
		case live <- m:
		case <-ctx.Done():
		}
	})
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	if err := sub.SetPendingLimits(1<<16, livePending); err != nil {
		return err
	}
	var again, reapply retry
	defer again.stop()
	defer reapply.stop()
	if !b.allServed() {
		reapply.later()
	}
	for {
		changed := false
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-live:
			changed = b.takeLive(m, live)
		case <-b.read:
			changed = b.tryRead(ctx, nc, &again)
		case <-again.C():
			changed = b.tryRead(ctx, nc, &again)
		case <-reapply.C():
			changed = true
		}
		if !changed {
			continue
		}
		if b.publish() {
			reapply.clear()
		} else {
			reapply.later()
		}
		b.soil()
	}
}

// retry is a wait that doubles, with jitter.
type retry struct {
	wait  time.Duration
	timer *time.Timer
}

func (r *retry) C() <-chan time.Time {
	if r.timer == nil {
		return nil
	}
	return r.timer.C
}

func (r *retry) later() {
	r.stop()
	r.wait = min(max(2*r.wait, retryFirst), retryMax)
	r.timer = time.NewTimer(r.wait + rand.N(r.wait))
}

func (r *retry) clear() {
	r.stop()
	r.wait = 0
}

func (r *retry) stop() {
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
}

func (b *bucket) wantRead() {
	select {
	case b.read <- struct{}{}:
	default:
	}
}

func (b *bucket) soil() {
	select {
	case b.dirty <- struct{}{}:
	default:
	}
}

// takeLive takes m and the changes that wait behind it.
func (b *bucket) takeLive(m *nats.Msg, live <-chan *nats.Msg) (changed bool) {
	for range liveBurst {
		if b.step(m) {
			changed = true
		}
		select {
		case m = <-live:
		default:
			return changed
		}
	}
	return changed
}

// step applies one live change if it is the next one. The stream repeats every
// change of every key, so revisions that follow each other leave no gap; any
// other order means a full read.
func (b *bucket) step(m *nats.Msg) (changed bool) {
	key, ok := subjects.LiveKey(b.name, m.Subject)
	revision, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if !ok || err != nil {
		b.log.Warn("live change without a revision", "subject", m.Subject)
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := parseEntry(b.name, key, m.Header, m.Data, revision, time.Now())
	if b.fault != "" {
		if e.Epoch > b.held.epoch { // the operator forces the bucket
			b.wantRead()
		}
		return false
	}
	backwards := revision <= b.lastLive
	b.lastLive = revision
	switch {
	case backwards:
		b.log.Info("live changes went backwards", "revision", revision)
	case revision <= b.held.revision:
		return false
	case revision > b.held.revision+1:
		b.log.Info("live changes were lost", "held", b.held.revision, "revision", revision)
	case e.Epoch > b.held.epoch:
		b.log.Info("live change of a higher epoch", "held", b.held.epoch, "epoch", e.Epoch)
	default:
		b.held.keys[key] = b.judge(b.held.keys[key], e)
		b.held.revision = revision
		return true
	}
	b.wantRead()
	return false
}

func (b *bucket) judge(prev held, e Entry) held {
	next := judge(prev, e, time.Now())
	if next.fault != nil {
		b.log.Error("value is refused", "key", e.Key, "revision", e.Revision, "err", next.fault.Reason)
	}
	return next
}

// tryRead reads the bucket whole, and later again where that did not end.
func (b *bucket) tryRead(ctx context.Context, nc *nats.Conn, again *retry) (changed bool) {
	if !nc.IsConnected() {
		return false // its return asks for a read
	}
	reading, end := whileConnected(ctx, nc)
	changed, err := b.fullRead(reading, nc)
	end()
	if ctx.Err() != nil {
		return changed
	}
	text := ""
	if err != nil {
		text = err.Error()
		b.log.Info("full read did not end", "err", err)
		again.later()
	} else {
		again.clear()
	}
	b.mu.Lock()
	if told := b.readError != text; told {
		defer b.tell()
	}
	b.readError = text
	b.catchUp()
	b.mu.Unlock()
	return changed
}

// whileConnected ends with ctx, or as soon as nc breaks: an answer that was on
// its way will never come, and the next connection asks anew.
func whileConnected(ctx context.Context, nc *nats.Conn) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	broken := nc.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CLOSED)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-broken:
			cancel(nats.ErrDisconnected)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
		nc.RemoveStatusListener(broken)
	}
}

// fullRead reads the bucket as of one revision and takes it when it follows
// from what is held. An error means that nothing was learned; a state that is
// not believed is no error, but the bucket's fault.
func (b *bucket) fullRead(ctx context.Context, nc *nats.Conn) (changed bool, err error) {
	flush, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := nc.FlushWithContext(flush); err != nil { // live changes from here on reach us
		return false, err
	}
	b.mu.Lock()
	b.lastLive = 0
	b.mu.Unlock()
	r := reader{nc}
	st, err := r.state(ctx, b.name, true)
	if errors.Is(err, ErrNotFound) {
		return b.noBucket(err), nil
	}
	if err != nil {
		return false, err
	}
	msgs, err := r.last(ctx, b.name, st.Keys, st.Last)
	if err != nil {
		return false, err
	}
	offered := make(map[string]Entry, len(msgs))
	for _, e := range entries(b.name, msgs) {
		if e.Epoch > st.Epoch {
			return false, fmt.Errorf("bucket %s: epoch %d is being raised to %d", b.name, st.Epoch, e.Epoch)
		}
		offered[e.Key] = e
	}
	if len(offered) < len(st.Keys) {
		return false, fmt.Errorf("bucket %s: %d of %d keys changed while they were read", b.name, len(st.Keys)-len(offered), len(st.Keys))
	}
	return b.take(st, offered), nil
}

// noBucket handles a dom without the bucket: a fault for one who holds it.
func (b *bucket) noBucket(err error) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held.epoch == 0 {
		return false
	}
	b.refuse(Head{}, err)
	return false
}

// take judges a full read and makes it what is held.
func (b *bucket) take(st streamState, offered map[string]Entry) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.held.accept(st.Epoch, offered); err != nil {
		b.refuse(Head{st.Created.UnixNano(), st.Last, st.Epoch}, err)
		return false
	}
	next := image{st.Epoch, st.Created.UnixNano(), st.Last, make(map[string]held, len(offered))}
	for key, e := range offered {
		prev := b.held.keys[key]
		if prev.revision == e.Revision && prev.digest == e.Digest && prev.fault == nil && b.held.created == next.created {
			next.keys[key] = prev
			continue
		}
		next.keys[key] = b.judge(prev, e)
	}
	b.held = next
	if b.fault != "" {
		b.log.Info("bucket follows the dom again", "epoch", next.epoch, "revision", next.revision)
	}
	b.fault, b.faultSince, b.rejected = "", time.Time{}, Head{}
	return true
}

// refuse makes err the bucket's fault. mu is held.
func (b *bucket) refuse(offered Head, err error) {
	if b.fault != err.Error() {
		b.log.Error("the dom's state is refused, the last good one goes on", "err", err)
		defer b.tell()
	}
	if b.fault == "" {
		b.faultSince = time.Now()
	}
	b.fault, b.rejected = err.Error(), offered
	if b.behindSince.IsZero() {
		b.behindSince = time.Now()
	}
}

// heard compares what is held with the dom's heartbeat. What was refused is
// read again only when the dom has something else.
func (b *bucket) heard(h Head) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.head = h
	other := h.Created != b.held.created || h.Epoch != b.held.epoch || h.Last < b.held.revision
	switch {
	case b.fault != "" && h == b.rejected:
		return
	case b.fault != "" || other:
		b.wantRead()
	case b.awaited > b.held.revision:
		b.wantRead()
	}
	b.awaited = h.Last
	if (other || h.Last > b.applied.revision) && b.behindSince.IsZero() {
		b.behindSince = time.Now()
		b.tell()
	} else if !b.behindSince.IsZero() {
		b.catchUp()
	}
}

// saveAfter is how long a change waits for others before it is written, so
// that serving it comes first.
const saveAfter = 100 * time.Millisecond

// keep writes the snapshot after changes until ctx ends; saveLast writes what
// is left then. A burst costs few writes: the next one waits some times as long as the last
// one took.
func (b *bucket) keep(ctx context.Context) error {
	var again retry
	defer again.stop()
	wait := saveAfter
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.dirty:
		case <-again.C():
		}
		select {
		case <-ctx.Done():
			b.soil()
			return ctx.Err()
		case <-time.After(wait):
		}
		began := time.Now()
		if err := b.save(); err != nil {
			b.log.Error("snapshot is not written", "path", b.path, "err", err)
			again.later()
			continue
		}
		again.clear()
		wait = max(saveAfter, 4*time.Since(began))
	}
}

// saveLast writes what was not written yet.
func (b *bucket) saveLast() error {
	select {
	case <-b.dirty:
		return b.save()
	default:
		return nil
	}
}
