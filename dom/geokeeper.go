package dom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"b8s/citydb"
	"b8s/control"
	"b8s/dom/geolite"
	"b8s/kv"
	"b8s/state"
	"b8s/subjects"
)

// geoliteKeeper keeps the city database that is published: on the dom's disk
// for its own look-ups, on the bus for the subs, and, with credentials, fresh.
type geoliteKeeper struct {
	d    *Dom
	wake chan struct{}
	busy sync.Mutex // one publish or refresh at a time

	mu       sync.Mutex
	problem  error
	failures int
	retryAt  time.Time
}

// geoliteFile is what the keeper remembers over a restart (0600: it has the
// licence key).
type geoliteFile struct {
	Schema      int                 `json:"schema"`
	Credentials *GeoLiteCredentials `json:"credentials,omitempty"`
	Refreshed   time.Time           `json:"refreshed,omitzero"` // last time that MaxMind was asked with success
}

func newGeoLiteKeeper(d *Dom) *geoliteKeeper {
	return &geoliteKeeper{d: d, wake: make(chan struct{}, 1)}
}

// database is where the published database is on this dom's disk.
func (k *geoliteKeeper) database() string { return k.d.dir.File(dirGeoLite, "city.mmdb") }

func (k *geoliteKeeper) load() (f geoliteFile, err error) {
	text, err := os.ReadFile(k.d.dir.File(fileGeoLite))
	if errors.Is(err, fs.ErrNotExist) {
		return geoliteFile{Schema: 1}, nil
	}
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return f, fmt.Errorf("%s: %w: remove it and publish GeoLite with its credentials again", k.d.dir.File(fileGeoLite), err)
	}
	return f, nil
}

func (k *geoliteKeeper) save(f geoliteFile) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return state.WriteFile(k.d.dir.File(fileGeoLite), text, 0o600)
}

// Problem is why the last refresh by itself failed; nil when it didn't.
func (k *geoliteKeeper) Problem() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.problem
}

// Run refreshes the database weekly while there are credentials, until ctx
// ends. A refresh that fails is a problem in the status and is tried again.
func (k *geoliteKeeper) Run(ctx context.Context) error {
	for {
		wait, err := k.untilRefresh(time.Now())
		if err != nil {
			k.d.log.Error("GeoLite refresh", "err", err)
			wait = time.Hour
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-k.wake:
			timer.Stop()
		case <-timer.C:
			if err == nil {
				k.refresh(ctx)
			}
		}
	}
}

// never is the wait of a dom without credentials; new ones wake it.
const never = 365 * 24 * time.Hour

func (k *geoliteKeeper) untilRefresh(now time.Time) (time.Duration, error) {
	f, err := k.load()
	if err != nil {
		return 0, err
	}
	if f.Credentials == nil {
		return never, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failures > 0 {
		return k.retryAt.Sub(now), nil
	}
	return geolite.Next(f.Refreshed, now).Sub(now), nil
}

func (k *geoliteKeeper) refresh(ctx context.Context) {
	_, err := k.publish(ctx, GeoLiteRequest{}, func(any) {})
	if ctx.Err() != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.problem = err; err == nil {
		k.failures = 0
		return
	}
	k.failures++
	k.retryAt = geolite.Retry(k.failures, err, time.Now())
	k.d.log.Error("GeoLite refresh", "err", err, "again", k.retryAt)
}

// publish gets a database, checks it, and puts it on the bus.
func (k *geoliteKeeper) publish(ctx context.Context, req GeoLiteRequest, report func(any)) (r GeoLiteResult, err error) {
	k.busy.Lock()
	defer k.busy.Unlock()
	var db geolite.Database
	if req.Upload != "" {
		upload := k.d.dir.File(dirUploads, filepath.Base(req.Upload))
		defer os.Remove(upload)
		report(Event{Stage: "check"})
		db, err = geolite.FromFile(upload, k.d.dir.File(dirGeoLite), citydb.Limits{})
	} else {
		db, err = k.download(ctx, req.Credentials, report)
	}
	if err != nil {
		return r, err
	}
	if err := k.keep(db); err != nil {
		return r, err
	}
	return k.put(ctx, db.Info, report)
}

func (k *geoliteKeeper) download(ctx context.Context, fresh *GeoLiteCredentials, report func(any)) (db geolite.Database, err error) {
	f, err := k.load()
	if err != nil {
		return db, err
	}
	if fresh != nil {
		f.Credentials = fresh
	}
	if f.Credentials == nil {
		return db, control.Usage(geolite.ErrNoCredentials, "or publish a file:  b8s dom geolite --file GeoLite2-City.mmdb")
	}
	db, err = geolite.Download(ctx, geolite.Options{
		Credentials: geolite.Credentials{AccountID: f.Credentials.Account, LicenceKey: f.Credentials.Key},
		URL:         f.Credentials.URL,
		Dir:         k.d.dir.File(dirGeoLite, "download"),
		Progress: func(done, total int64) {
			report(Event{Stage: "download", Detail: progressText(done, total)})
		},
	})
	if err != nil {
		return db, err
	}
	f.Refreshed = time.Now().UTC()
	if err := k.save(f); err != nil {
		return db, err
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
	return db, nil
}

// keep copies a checked database to where the dom looks addresses up.
func (k *geoliteKeeper) keep(db geolite.Database) error {
	if db.Path == k.database() {
		return nil
	}
	if err := os.MkdirAll(k.d.dir.File(dirGeoLite), 0o700); err != nil {
		return err
	}
	return state.CopyFile(k.database(), db.Path, 0o600)
}

// put publishes the kept database, unless it is the published one.
func (k *geoliteKeeper) put(ctx context.Context, info citydb.Info, report func(any)) (r GeoLiteResult, err error) {
	r = GeoLiteResult{Digest: info.Digest, Type: info.Type, Built: info.Built, Size: info.Size}
	if info.Warning != "" {
		r.Warnings = append(r.Warnings, info.Warning)
	}
	old, had, err := k.d.city(ctx)
	if err != nil {
		return r, err
	}
	if r.Unchanged = had && old.Digest == info.Digest; r.Unchanged {
		return r, nil
	}
	f, err := os.Open(k.database())
	if err != nil {
		return r, err
	}
	defer f.Close()
	report(Event{Stage: "publish"})
	object, err := k.d.store.PutObject(ctx, subjects.ObjectGeoLite, f)
	if err != nil {
		return r, err
	}
	if object.Digest != info.Digest {
		return r, fmt.Errorf("%s changed while it was published: publish it again", k.database())
	}
	value, err := kv.Encode(kv.City{Digest: info.Digest, Size: info.Size, Built: info.Built, Type: info.Type, Networks: info.Networks})
	if err != nil {
		return r, err
	}
	if _, err := k.d.store.Put(ctx, subjects.GeoLite, subjects.CityKey, value); err != nil {
		return r, err
	}
	k.d.log.Info("GeoLite published", "digest", info.Digest, "built", info.Built)
	return r, k.dropOld(ctx, info.Digest)
}

// keepDatabases is how many databases stay on the bus: the new one, and the one before
// for subs that are in the middle of it.
const keepDatabases = 2

func (k *geoliteKeeper) dropOld(ctx context.Context, current string) error {
	history, err := k.d.store.History(ctx, subjects.GeoLite, subjects.CityKey)
	if err != nil {
		return err
	}
	keep := map[string]bool{current: true}
	for i := len(history) - 1; i >= 0 && len(keep) < keepDatabases; i-- {
		if c, err := kv.DecodeCity(history[i].Value); err == nil {
			keep[c.Digest] = true
		}
	}
	objects, err := k.d.store.Objects(ctx, subjects.ObjectGeoLite)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if !keep[o.Digest] {
			if err := k.d.store.DeleteObject(ctx, subjects.ObjectGeoLite, o.Digest); err != nil {
				return err
			}
		}
	}
	return nil
}

// city is the published database; ok is false before the first. An entry that
// this version can't read counts as absent: it is published anew, and the subs
// name it as a fault.
func (d *Dom) city(ctx context.Context) (c kv.City, ok bool, err error) {
	e, err := d.store.Get(ctx, subjects.GeoLite, subjects.CityKey)
	if errors.Is(err, kv.ErrNotFound) {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	if c, err = kv.DecodeCity(e.Value); err != nil {
		return kv.City{}, false, nil
	}
	return c, true, nil
}

// publishGeoLite carries out "publish geolite": it ends when all nameserver
// subs have swapped.
func (d *Dom) publishGeoLite(ctx context.Context, req GeoLiteRequest, report func(any)) (GeoLiteResult, error) {
	r, err := d.geolite.publish(ctx, req, report)
	if err != nil {
		return r, err
	}
	r.Verdict, err = d.await(ctx, time.Now(), req.Wait, report, swappedTo(r.Digest))
	return r, err
}

// swappedTo is the condition that a nameserver places visitors by a database.
func swappedTo(digest string) condition {
	return func(m member, s *kv.SubStatus) (bool, string) {
		switch {
		case !m.DNS:
			return true, ""
		case s == nil:
			return false, "it told nothing since this dom started"
		case s.GeoLite.Digest == digest:
			return true, ""
		case len(s.Problems) > 0:
			return false, s.Problems[0]
		}
		return false, "it has not swapped to it yet"
	}
}

func progressText(done, total int64) string {
	const mib = 1 << 20
	if total <= 0 {
		return fmt.Sprintf("%.1f MiB", float64(done)/mib)
	}
	return fmt.Sprintf("%.1f of %.1f MiB", float64(done)/mib, float64(total)/mib)
}
