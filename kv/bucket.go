package kv

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"b8s/state"
)

// bucket is a replica's part for one bucket. What it holds is changed by
// follow's goroutine alone; mu lets others look.
type bucket struct {
	name string
	path string // of the snapshot on disk
	log  *slog.Logger
	tell func() // State changed

	read  chan struct{} // a full read is wanted
	dirty chan struct{} // the snapshot on disk is older

	apply    sync.Mutex // one watcher runs at a time
	watchers []func(Snapshot) error

	mu       sync.Mutex
	held     image
	lastLive uint64 // the newest live change since the last full read

	fault      string // why the bucket stands still
	faultSince time.Time
	rejected   Head   // what was offered when it was refused
	readError  string // why the last full read did not end
	diskError  string

	head        Head   // the newest of the dom's
	awaited     uint64 // the revision that the heartbeat before this one told
	behindSince time.Time

	served  map[string]string // key: digest, of what the watchers have applied
	sum     string            // SumDigest of served
	applied image             // epoch, created and revision of that
	unable  map[string]KeyFault
	stuck   string // why the watchers applied nothing of the last snapshot
}

func newBucket(name, dir string, log *slog.Logger, tell func()) *bucket {
	return &bucket{
		name: name, path: filepath.Join(dir, name), log: log, tell: tell,
		read: make(chan struct{}, 1), dirty: make(chan struct{}, 1),
		held:   image{keys: map[string]held{}},
		served: map[string]string{}, sum: SumDigest(nil),
	}
}

// load reads the snapshot on disk. One that is damaged is set aside.
func (b *bucket) load() error {
	f, err := os.Open(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	im, err := readImage(f, b.name)
	if err == nil {
		b.held = im
		return nil
	}
	b.log.Error("snapshot on disk is damaged and set aside", "path", b.path+".damaged", "err", err)
	b.fault, b.faultSince = "the snapshot on disk is damaged: "+err.Error(), time.Now()
	return os.Rename(b.path, b.path+".damaged")
}

// save writes the snapshot.
func (b *bucket) save() error {
	b.mu.Lock()
	im := b.held
	im.keys = maps.Clone(im.keys)
	b.mu.Unlock()
	err := state.Replace(b.path, 0o600, func(w io.Writer) error { return im.write(w, b.name) })
	text := ""
	if err != nil {
		text = err.Error()
	}
	b.mu.Lock()
	changed := b.diskError != text
	b.diskError = text
	b.mu.Unlock()
	if changed {
		b.tell()
	}
	return err
}

// snapshot is what is to be served of what is held.
func (b *bucket) snapshot() (Snapshot, image) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Snapshot{Bucket: b.name, Epoch: b.held.epoch, Revision: b.held.revision}
	for _, key := range sortedKeys(b.held.keys) {
		k := b.held.keys[key]
		if k.good != nil {
			s.Entries = append(s.Entries, *k.good)
		}
		if k.fault != nil {
			s.Faults = append(s.Faults, *k.fault)
		}
	}
	return s, image{epoch: b.held.epoch, created: b.held.created, revision: b.held.revision}
}

func (b *bucket) watch(fn func(Snapshot) error) {
	b.apply.Lock()
	defer b.apply.Unlock()
	b.watchers = append(b.watchers, fn)
	s, at := b.snapshot()
	b.feedback(s, at, b.call(s, fn))
}

// publish gives the watchers what is held, and says whether all of it is
// served now.
func (b *bucket) publish() bool {
	b.apply.Lock()
	defer b.apply.Unlock()
	s, at := b.snapshot()
	return b.feedback(s, at, b.call(s, b.watchers...))
}

func (b *bucket) call(s Snapshot, watchers ...func(Snapshot) error) error {
	unable := ApplyErrors{}
	for _, fn := range watchers {
		err := fn(s)
		var some ApplyErrors
		if errors.As(err, &some) {
			maps.Copy(unable, some)
		} else if err != nil {
			return err
		}
	}
	if len(unable) > 0 {
		return unable
	}
	return nil
}

// feedback keeps what the watchers said of a snapshot.
func (b *bucket) feedback(s Snapshot, at image, err error) bool {
	defer b.tell()
	b.mu.Lock()
	defer b.mu.Unlock()
	var some ApplyErrors
	if err != nil && !errors.As(err, &some) {
		b.log.Error("change is not applied", "revision", s.Revision, "err", err)
		b.stuck = err.Error()
		return false
	}
	b.stuck = ""
	unable := make(map[string]KeyFault, len(some))
	served := make(map[string]string, len(s.Entries))
	for _, e := range s.Entries {
		bad := some[e.Key]
		if bad == nil {
			served[e.Key] = e.Digest
			continue
		}
		if old, ok := b.served[e.Key]; ok {
			served[e.Key] = old
		}
		f := KeyFault{Key: e.Key, Revision: e.Revision, Reason: "not applied: " + bad.Error(), Since: time.Now()}
		if old, ok := b.unable[e.Key]; ok {
			f.Since = old.Since
		} else {
			b.log.Error("key is not applied", "key", e.Key, "revision", e.Revision, "err", bad)
		}
		unable[e.Key] = f
	}
	b.served, b.sum, b.unable, b.applied = served, SumDigest(served), unable, at
	b.catchUp()
	return len(unable) == 0
}

// allServed says whether the watchers applied all of what they were last given.
func (b *bucket) allServed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stuck == "" && len(b.unable) == 0
}

// catchUp ends being behind once all that the dom told of is applied. mu is
// held.
func (b *bucket) catchUp() {
	if b.fault == "" && b.applied.revision >= b.head.Last && b.applied.epoch >= b.head.Epoch && b.readError == "" {
		b.behindSince, b.awaited = time.Time{}, 0
	}
}

func (b *bucket) status() BucketStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := BucketStatus{
		Epoch: b.applied.epoch, Created: b.applied.created, Revision: b.applied.revision,
		Digest:      b.sum,
		BehindSince: b.behindSince, BehindError: b.readError, DiskError: b.diskError,
		Fault: b.fault, FaultSince: b.faultSince,
	}
	if b.stuck != "" && st.Fault == "" {
		st.Fault = "not applied: " + b.stuck
	}
	for _, key := range sortedKeys(b.held.keys) {
		if f := b.held.keys[key].fault; f != nil {
			st.Faults = append(st.Faults, *f)
		} else if f, ok := b.unable[key]; ok {
			st.Faults = append(st.Faults, f)
		}
	}
	return st
}
