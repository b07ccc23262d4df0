package kv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// StoreOptions are the settings of NewStore.
type StoreOptions struct {
	EpochFile string       // where epochs are kept beside the store; empty: in the store alone
	MaxStore  int64        // bytes that all buckets and objects share; 0: 1 GiB
	Log       *slog.Logger // nil: nothing is logged
}

// Store is the dom's side: the source of truth. Its methods are safe for
// concurrent use; what Put acknowledged is on the dom's disk.
type Store struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	r    reader
	log  *slog.Logger
	opts StoreOptions

	stop context.CancelFunc
	done sync.WaitGroup

	force   sync.RWMutex // Force holds it alone; Put and Delete share it
	objects sync.Mutex   // one upload at a time, so that an object's chunks are in one run

	mu     sync.Mutex
	heads  map[string]Head
	epochs *epochs
}

// headsEvery is how often the heads are read anew. Between, the live changes
// move them; this finds a stream that was made anew behind our back.
const headsEvery = 5 * time.Second

// NewStore opens the buckets and objects of this version over the dom's own
// connection, and makes the missing ones. A Force that was cut is finished.
// The store keeps a goroutine until Close; ctx is for the opening only.
func NewStore(ctx context.Context, nc *nats.Conn, opts StoreOptions) (*Store, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.MaxStore <= 0 {
		opts.MaxStore = 1 << 30
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{nc: nc, js: js, r: reader{nc}, log: opts.Log, opts: opts, heads: map[string]Head{}}
	if s.epochs, err = readEpochs(opts.EpochFile); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	run, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.done.Go(func() { s.follow(run) })
	return s, nil
}

// Close ends the store's goroutine. The connection stays open.
func (s *Store) Close() {
	s.stop()
	s.done.Wait()
}

func (s *Store) open(ctx context.Context) error {
	for _, b := range subjects.Buckets() {
		if !b.Used {
			continue
		}
		if err := s.openBucket(ctx, b); err != nil {
			return fmt.Errorf("bucket %s: %w", b.Name, err)
		}
	}
	for _, k := range subjects.Kinds() {
		if !k.Used {
			continue
		}
		if err := s.openKind(ctx, k); err != nil {
			return fmt.Errorf("objects %s: %w", k.Name, err)
		}
	}
	for bucket, epoch := range maps.Clone(s.epochs.Forcing) {
		s.log.Warn("finish force", "bucket", bucket, "epoch", epoch)
		if err := s.raise(ctx, bucket, epoch); err != nil {
			return fmt.Errorf("finish force of bucket %s: %w", bucket, err)
		}
	}
	return nil
}

// streamConfig makes a bucket's stream. A purge or a roll-up can't be made in
// it, by anybody: they are not told to those who watch.
func (s *Store) streamConfig(b subjects.Bucket, epoch uint64) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name:              subjects.Stream(b.Name),
		Subjects:          []string{subjects.StoredAll(b.Name)},
		MaxMsgsPerSubject: int64(b.History),
		MaxMsgSize:        MaxZoneText + 16<<10,
		MaxBytes:          s.opts.MaxStore / 1000 * int64(b.Share),
		Discard:           jetstream.DiscardNew,
		DenyDelete:        true,
		DenyPurge:         true,
		AllowDirect:       true,
		RePublish: &jetstream.RePublish{
			Source:      subjects.StoredAll(b.Name),
			Destination: subjects.LiveAll(b.Name),
		},
		Metadata: map[string]string{metadataEpoch: strconv.FormatUint(epoch, 10)},
	}
	if b.Memory {
		c.Storage, c.MaxBytes, c.MaxMsgSize = jetstream.MemoryStorage, 48<<20, MaxStatus+4<<10
	}
	return c
}

// openBucket makes a bucket's stream where it is missing, and lets it grow to
// its share where it is there. It is never made smaller: that would take
// entries away.
func (s *Store) openBucket(ctx context.Context, b subjects.Bucket) error {
	want := s.streamConfig(b, s.epochs.of(b.Name))
	st, err := s.openStream(ctx, want)
	if err != nil {
		return err
	}
	info := st.CachedInfo()
	epoch, err := strconv.ParseUint(info.Config.Metadata[metadataEpoch], 10, 64)
	if err != nil {
		return fmt.Errorf("stream %s says no epoch: it was not made by b8s", want.Name)
	}
	if known := s.epochs.Epochs[b.Name]; epoch < known {
		s.log.Warn("bucket is of an older epoch than was known: the store was restored from a backup",
			"bucket", b.Name, "epoch", epoch, "known", known)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heads[b.Name] = Head{Created: info.Created.UnixNano(), Last: info.State.LastSeq, Epoch: epoch}
	if s.epochs.Epochs[b.Name] >= epoch {
		return nil
	}
	return s.epochs.set(func(e *epochs) { e.Epochs[b.Name] = epoch })
}

func (s *Store) openStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
	st, err := s.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return s.js.CreateStream(ctx, want)
	}
	if err != nil {
		return nil, err
	}
	have := st.CachedInfo().Config
	if want.MaxBytes <= have.MaxBytes {
		return st, nil
	}
	have.MaxBytes = want.MaxBytes
	grown, err := s.js.UpdateStream(ctx, have)
	if err != nil {
		s.log.Warn("stream keeps its size", "stream", want.Name, "bytes", have.MaxBytes, "err", err)
		return st, nil
	}
	return grown, nil
}

// follow keeps the heads until ctx ends.
func (s *Store) follow(ctx context.Context) {
	for _, b := range watched() {
		sub, err := s.nc.Subscribe(subjects.LiveAll(b), func(m *nats.Msg) {
			if last, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64); err == nil {
				s.advance(b, last)
			}
		})
		if err == nil {
			defer sub.Unsubscribe()
		}
	}
	tick := time.NewTicker(headsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("read heads of the buckets", "err", err)
		}
	}
}

// watched are the buckets that subs read in this version.
func watched() []string {
	return slices.DeleteFunc(subjects.SubReads(), func(name string) bool {
		b, _ := subjects.LookupBucket(name)
		return !b.Used
	})
}

func (s *Store) advance(bucket string, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.heads[bucket]
	h.Last = max(h.Last, last)
	s.heads[bucket] = h
}

// Heads is the head of each bucket that subs read, from memory: it is cheap,
// and never behind what Put returned.
func (s *Store) Heads() Heads {
	s.mu.Lock()
	defer s.mu.Unlock()
	heads := Heads{}
	for _, b := range watched() {
		heads[b] = s.heads[b]
	}
	return heads
}

// Refresh reads the heads from the streams. It runs by itself every 5 s.
func (s *Store) Refresh(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, b := range watched() {
		g.Go(func() error {
			st, err := s.r.state(ctx, b, false)
			if err != nil {
				return err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			now := Head{Created: st.Created.UnixNano(), Last: st.Last, Epoch: st.Epoch}
			if old := s.heads[b]; old.Created == now.Created && old.Epoch >= now.Epoch {
				now.Last, now.Epoch = max(old.Last, now.Last), old.Epoch
			}
			s.heads[b] = now
			return nil
		})
	}
	return g.Wait()
}

// Epoch is the epoch of a bucket.
func (s *Store) Epoch(bucket string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heads[bucket].Epoch
}
