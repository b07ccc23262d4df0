package kv

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats.go"
)

// SubStatus is the newest status of a sub.
type SubStatus struct {
	Status
	Received time.Time // by the dom's clock
}

// StatusKeeper takes the status of each sub as it comes and keeps the newest:
// in memory, and in bucket status for who looks from outside. A sub can only
// speak under its own name: the subject comes from its account. Whatever it
// sends, at most maxStatusRate statuses a second of one sub are looked at, and
// always the newest; headers are dropped. All methods are safe for concurrent
// use.
type StatusKeeper struct {
	store *Store
	log   *slog.Logger
	wake  chan struct{}

	mu      sync.Mutex
	coming  map[string][]byte // by sub, not yet looked at
	all     map[string]SubStatus
	changed chan struct{} // closed at the next change
}

const maxStatusRate = 50

// NewStatusKeeper makes a keeper that puts into store.
func NewStatusKeeper(store *Store, log *slog.Logger) *StatusKeeper {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &StatusKeeper{
		store: store, log: log, wake: make(chan struct{}, 1),
		coming: map[string][]byte{}, all: map[string]SubStatus{}, changed: make(chan struct{}),
	}
}

// Run keeps statuses until ctx ends, then returns nil.
func (k *StatusKeeper) Run(ctx context.Context) error {
	sub, err := k.store.nc.Subscribe(subjects.StatusAll(), k.receive)
	if err != nil {
		return fmt.Errorf("keep status: %w", err)
	}
	defer sub.Unsubscribe()
	if err := sub.SetPendingLimits(1<<14, 16<<20); err != nil {
		return fmt.Errorf("keep status: %w", err)
	}
	pending := map[string][]byte{} // looked at, not yet in the bucket
	var store <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-store:
			k.put(ctx, pending)
			clear(pending)
			store = nil
			continue
		case <-k.wake:
		}
		maps.Copy(pending, k.look())
		if store == nil && len(pending) > 0 {
			store = time.After(storeStatus)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second / maxStatusRate):
		}
	}
}

// storeStatus is how long a status waits to be put in its bucket, which is for
// people to look at: while a publish goes out to many subs, their statuses must
// not take the time of those who have yet to hear of it.
const storeStatus = 300 * time.Millisecond

func (k *StatusKeeper) receive(m *nats.Msg) {
	name, ok := subjects.StatusSub(m.Subject)
	if !ok || len(m.Data) > MaxStatus {
		k.log.Warn("status is refused", "subject", m.Subject, "bytes", len(m.Data))
		return
	}
	k.mu.Lock()
	k.coming[name] = m.Data
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// look takes in what came and returns it as bytes by sub.
func (k *StatusKeeper) look() map[string][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	came := k.coming
	k.coming = map[string][]byte{}
	for name, b := range came {
		s, err := DecodeStatus(b)
		if err == nil && s.Sub != name {
			err = fmt.Errorf("%w: it says that it is of sub %q", ErrInvalid, s.Sub)
		}
		if err != nil {
			k.log.Warn("status is refused", "sub", name, "err", err)
			delete(came, name)
			continue
		}
		k.all[name] = SubStatus{s, time.Now()}
	}
	if len(came) > 0 {
		close(k.changed)
		k.changed = make(chan struct{})
	}
	return came
}

func (k *StatusKeeper) put(ctx context.Context, came map[string][]byte) {
	for name, b := range came {
		if _, err := k.store.Put(ctx, subjects.StatusKV, name, b); err != nil && ctx.Err() == nil {
			k.log.Warn("status is not in its bucket", "sub", name, "err", err)
		}
	}
}

// Get returns the newest status of a sub.
func (k *StatusKeeper) Get(sub string) (SubStatus, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.all[sub]
	return s, ok
}

// All returns the newest status of each sub that spoke since the start.
func (k *StatusKeeper) All() map[string]SubStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.all)
}

// Changed is closed at the next status. Take it before All, and no change is
// missed.
func (k *StatusKeeper) Changed() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changed
}

// HighestEpoch is the highest epoch of bucket that any sub reported, for
// Store.Force.
func (k *StatusKeeper) HighestEpoch(bucket string) (highest uint64) {
	for _, s := range k.All() {
		highest = max(highest, s.Buckets[bucket].Epoch)
	}
	return highest
}

// Forget drops a sub that was removed.
func (k *StatusKeeper) Forget(ctx context.Context, sub string) error {
	k.mu.Lock()
	delete(k.all, sub)
	delete(k.coming, sub)
	k.mu.Unlock()
	_, err := k.store.Delete(ctx, subjects.StatusKV, sub)
	return err
}
