package kv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"b8s/state"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"
)

// Replica is a sub's side: the last good state of each bucket, on disk and in
// memory, which follows the dom while it can be reached. All methods are safe
// for concurrent use.
type Replica struct {
	// ObjectConn gives the connection by which one object is fetched, which is
	// closed after it, so that small keys never wait behind a large object.
	// Nil: objects come by the connection of Follow. Set it before Follow.
	ObjectConn func(context.Context) (*nats.Conn, error)

	log     *slog.Logger
	buckets map[string]*bucket
	changed chan struct{}
	blobs   *blobs

	mu sync.Mutex
	nc *nats.Conn // of Follow, while it runs
}

// ApplyErrors is what a watcher returns when some keys of a snapshot could not
// be applied and the rest was: it shows in State as faults of those keys.
type ApplyErrors map[string]error

func (e ApplyErrors) Error() string {
	for _, key := range sortedKeys(e) {
		return fmt.Sprintf("%d keys not applied; %s: %v", len(e), key, e[key])
	}
	return "no key failed"
}

// OpenReplica reads what dir has of the buckets, and makes dir (0700) where it
// is missing; nil buckets are all that this version reads. A snapshot that is
// damaged is set aside and logged: the bucket starts empty, and shows it until
// it was read from the dom.
func OpenReplica(dir string, buckets []string, log *slog.Logger) (*Replica, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if buckets == nil {
		buckets = watched()
	}
	r := &Replica{log: log, buckets: map[string]*bucket{}, changed: make(chan struct{}, 1)}
	path := filepath.Join(dir, "buckets")
	err := os.MkdirAll(path, 0o700)
	if err == nil {
		err = state.Sweep(path)
	}
	if err == nil {
		r.blobs, err = openBlobs(filepath.Join(dir, "blobs"))
	}
	if err != nil {
		return nil, fmt.Errorf("open replica %s: %w", dir, err)
	}
	for _, name := range buckets {
		b := newBucket(name, path, log.With("bucket", name), r.touch)
		if err := b.load(); err != nil {
			return nil, fmt.Errorf("open replica %s: %w", dir, err)
		}
		r.buckets[name] = b
	}
	return r, nil
}

// Watch calls fn with the bucket as it is held now, before Watch returns, and
// after each change for as long as Follow runs; one call at a time for a
// bucket, in order, the last state of a burst at least. The bucket follows
// nothing while fn runs. What fn returns becomes the bucket's state: nil, all
// is served; ApplyErrors, all but those keys; another error, nothing of it. fn
// is called again with the same snapshot some seconds after an error.
func (r *Replica) Watch(bucket string, fn func(Snapshot) error) error {
	b, ok := r.buckets[bucket]
	if !ok {
		return fmt.Errorf("watch bucket %s: it is not replicated", bucket)
	}
	b.watch(fn)
	return nil
}

// Follow keeps the buckets as the dom has them, by nc, until ctx ends; then it
// writes what is not on disk yet and returns nil. nc may be away at any time.
// Follow returns an error when nc is closed by somebody else.
func (r *Replica) Follow(ctx context.Context, nc *nats.Conn) error {
	r.setConn(nc)
	defer r.setConn(nil)
	g, ctx := errgroup.WithContext(ctx)
	for _, b := range r.buckets {
		g.Go(func() error { return b.follow(ctx, nc) })
		g.Go(func() error { return b.keep(ctx) })
	}
	g.Go(func() error { return r.connections(ctx, nc) })
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	for _, b := range r.buckets { // what was applied after keep ended
		err = errors.Join(err, b.saveLast())
	}
	if err != nil {
		return fmt.Errorf("follow the dom: %w", err)
	}
	return nil
}

// connections has every bucket read whole each time that nc comes back.
func (r *Replica) connections(ctx context.Context, nc *nats.Conn) error {
	status := nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer nc.RemoveStatusListener(status)
	if nc.IsConnected() {
		r.readAll()
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-status:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if s != nats.CONNECTED {
				return nats.ErrConnectionClosed
			}
			r.readAll()
		}
	}
}

func (r *Replica) readAll() {
	for _, b := range r.buckets {
		b.wantRead()
	}
}

// Heads tells how far the dom is, from its heartbeat. A bucket that is behind
// for one beat, or whose stream or epoch is another, is read whole.
func (r *Replica) Heads(heads Heads) {
	for name, h := range heads {
		if b, ok := r.buckets[name]; ok {
			b.heard(h)
		}
	}
}

// State is what is served of each bucket.
func (r *Replica) State() map[string]BucketStatus {
	all := make(map[string]BucketStatus, len(r.buckets))
	for name, b := range r.buckets {
		all[name] = b.status()
	}
	return all
}

// Changed has a value after State changed, once for any number of changes. It
// is for one receiver.
func (r *Replica) Changed() <-chan struct{} { return r.changed }

func (r *Replica) touch() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *Replica) setConn(nc *nats.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nc = nc
}
