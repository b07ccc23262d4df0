package sub

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"b8s/citydb"
	"b8s/kv"
	"b8s/state"
	"b8s/sub/geo"
	"b8s/subjects"
)

// placer keeps the tables that say which sub is nearest: of the published
// database, for the candidate sets in use. It fetches and builds in the
// background; until the new tables stand, the old ones serve. Safe for
// concurrent use.
type placer struct {
	cache   *geo.Cache
	replica *kv.Replica
	log     *slog.Logger
	wake    chan struct{} // buffered: something is wanted anew

	mu      sync.Mutex
	want    wanted
	tables  map[string]*geo.Table // by digest of their candidates
	served  kv.GeoLiteStatus
	problem *problem
}

// wanted is what the tables should be made of.
type wanted struct {
	city kv.City
	sets [][]geo.Candidate
}

// problem is why the tables aren't what is wanted.
type problem struct {
	err   error
	since time.Time
}

func newPlacer(dir *state.Dir, replica *kv.Replica, log *slog.Logger) *placer {
	return &placer{
		cache:   &geo.Cache{Dir: dir.File(dirGeo), Log: log},
		replica: replica, log: log,
		wake:   make(chan struct{}, 1),
		tables: map[string]*geo.Table{},
	}
}

// SetDatabase wants the tables to be of another database.
func (p *placer) SetDatabase(city kv.City) { p.set(func(w *wanted) { w.city = city }) }

// SetCandidates wants tables for other candidate sets.
func (p *placer) SetCandidates(sets [][]geo.Candidate) { p.set(func(w *wanted) { w.sets = sets }) }

func (p *placer) set(change func(*wanted)) {
	p.mu.Lock()
	change(&p.want)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Boot takes the tables that are on disk for what is wanted, without building.
func (p *placer) Boot(sets [][]geo.Candidate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want.sets = sets
	if p.want.city.Digest == "" {
		return
	}
	found := p.cache.Mapped(p.want.city.Digest, sets...)
	for i, table := range found {
		if table != nil {
			p.tables[geo.Digest(sets[i])] = table
		}
	}
	if len(found) > 0 && !slices.Contains(found, nil) {
		p.served = kv.GeoLiteStatus{Digest: p.want.city.Digest, Built: p.want.city.Built, Since: time.Now().UTC()}
	}
}

// Tables are those that serve now.
func (p *placer) Tables() map[string]*geo.Table {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.tables)
}

// Needs are the objects that are wanted.
func (p *placer) Needs() (digests []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.want.city.Digest; d != "" {
		digests = append(digests, d)
	}
	return digests
}

// State is the database that serves, and why it isn't the wanted one, if so.
func (p *placer) State() (kv.GeoLiteStatus, *problem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.served, p.problem
}

// retryTables bounds the wait after tables could not be made.
const retryTables = 5 * time.Minute

// Run makes the tables that are wanted, as long as ctx lasts, and calls swapped
// each time that others serve.
func (p *placer) Run(ctx context.Context, swapped func()) error {
	wait := time.Second
	for {
		err := p.make(ctx)
		if ctx.Err() != nil {
			return nil
		}
		p.note(err)
		swapped()
		var again <-chan time.Time
		if err != nil {
			p.log.Error("geo tables not made, the ones before serve", "err", err, "again", wait)
			again, wait = time.After(wait), min(2*wait, retryTables)
		} else {
			wait = time.Second
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		case <-again:
		}
	}
}

func (p *placer) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.problem = nil
	case p.problem == nil || p.problem.err.Error() != err.Error():
		p.problem = &problem{err, time.Now()}
	}
}

// make brings the wanted database here, checks it, makes the tables, and has
// them serve.
func (p *placer) make(ctx context.Context) error {
	p.mu.Lock()
	want := p.want
	p.mu.Unlock()
	if want.city.Digest == "" {
		return nil
	}
	tables, err := p.build(ctx, want)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tables = map[string]*geo.Table{}
	for i, set := range want.sets {
		p.tables[geo.Digest(set)] = tables[i]
	}
	if p.served.Digest != want.city.Digest {
		p.served = kv.GeoLiteStatus{Digest: want.city.Digest, Built: want.city.Built, Since: time.Now().UTC()}
		p.log.Info("visitors are placed by another database", "digest", want.city.Digest, "built", want.city.Built)
	}
	return nil
}

// build returns a table for each candidate set. The database is read only
// where a table isn't on disk yet.
func (p *placer) build(ctx context.Context, want wanted) ([]*geo.Table, error) {
	mapped := p.cache.Mapped(want.city.Digest, want.sets...)
	if _, here := p.replica.Blob(want.city.Digest); here && !slices.Contains(mapped, nil) {
		return mapped, nil
	}
	path, err := p.replica.Object(ctx, subjects.ObjectGeoLite, want.city.Digest, want.city.Size)
	if err != nil {
		return nil, fmt.Errorf("database %.12s…: %w", want.city.Digest, err)
	}
	if _, err := citydb.Check(path, citydb.Limits{}); err != nil {
		return nil, fmt.Errorf("database %.12s…: %w", want.city.Digest, err)
	}
	tables, err := p.cache.Tables(ctx, path, want.city.Digest, want.sets...)
	if err != nil {
		return nil, err
	}
	debug.FreeOSMemory()
	return tables, nil
}
