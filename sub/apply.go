package sub

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"b8s/kv"
	"b8s/state"
	"b8s/sub/nameserver"
	"b8s/subjects"
)

// apply is where bucket and setter meet: each bucket's snapshot becomes a
// value of the feature that serves it. Features are handed complete values and
// never hear of the bus; what can't be applied is returned to the replica,
// which names it in the status, while what was served before goes on.
type apply struct {
	replica *kv.Replica
	dns     *nameserver.Server
	places  *placer
	objects *fetcher
	log     *slog.Logger
	changes changes // of what is served, other than by a bucket's change: the replica tells of those

	mu      sync.Mutex
	read    map[string]bool // buckets that this sub has ever read
	texts   map[string]zoneText
	kept    []string // objects that the last prune left
	zones   zones
	sites   sites
	refused map[string]error // zones that could not be compiled, told by no bucket
}

func newApply(dir *state.Dir, replica *kv.Replica, dns *nameserver.Server, log *slog.Logger) (*apply, error) {
	a := &apply{
		replica: replica, dns: dns, log: log,
		places:  newPlacer(dir, replica, log),
		objects: &fetcher{replica: replica, log: log, wake: make(chan struct{}, 1), want: map[string]int64{}},
		read:    map[string]bool{},
		texts:   map[string]zoneText{},
		sites:   sites{hosts: map[string]kv.Hosts{}, subs: map[string]kv.Sub{}, numbers: map[string]uint16{}},
	}
	a.zones.fetch = a.objects.read
	for bucket, set := range map[string]func(kv.Snapshot) error{
		subjects.Subs:    a.setSubs,
		subjects.GeoLite: a.setGeoLite,
		subjects.Hosts:   a.setHosts,
		subjects.Records: a.setRecords,
	} {
		if err := replica.Watch(bucket, set); err != nil {
			return nil, err
		}
	}
	a.places.Boot(a.sites.sets())
	a.serve()
	return a, nil
}

// Run does what takes time beside serving, until ctx ends: it fetches
// objects and builds tables, and swaps them in.
func (a *apply) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.places.Run(ctx, func() { a.serve(); a.changes.note(); a.prune() }) })
	g.Go(func() error { return a.objects.Run(ctx, func() { a.serve(); a.changes.note() }) })
	return g.Wait()
}

// prune drops the objects on disk that nothing served or wanted refers to any
// more.
func (a *apply) prune() {
	keep := a.places.Needs()
	a.mu.Lock()
	keep = append(keep, a.zones.needs(a.texts)...)
	slices.Sort(keep)
	same := a.kept != nil && slices.Equal(keep, a.kept)
	a.kept = append([]string{}, keep...)
	a.mu.Unlock()
	if same {
		return
	}
	if err := a.replica.Prune(keep...); err != nil {
		a.log.Warn("drop objects that are not used any more", "err", err)
	}
}

// setRecords serves the zones of bucket records.
func (a *apply) setRecords(s kv.Snapshot) error {
	texts, errs := map[string]zoneText{}, kv.ApplyErrors{}
	for _, e := range s.Entries {
		name, err := subjects.Name(e.Key)
		if err != nil {
			errs[e.Key] = err
			continue
		}
		texts[absolute(name)] = zoneText{key: e.Key, digest: e.Digest, value: e.Value}
	}
	a.mu.Lock()
	a.texts = texts
	a.mu.Unlock()
	for apex, err := range a.serve() {
		errs[texts[apex].key] = err
	}
	a.mu.Lock()
	a.refused = nil // the bucket tells them
	a.mu.Unlock()
	a.prune()
	return some(errs)
}

// some is nil where no key failed.
func some(errs kv.ApplyErrors) error {
	if len(errs) == 0 {
		return nil
	}
	return errs
}

// setHosts answers the sites' hosts of bucket hosts.
func (a *apply) setHosts(s kv.Snapshot) error {
	return setAll(a, s, kv.DecodeHosts, func(hosts map[string]kv.Hosts) { a.sites.hosts = hosts })
}

// setSubs answers with the subs of bucket subs.
func (a *apply) setSubs(s kv.Snapshot) error {
	return setAll(a, s, kv.DecodeSub, func(subs map[string]kv.Sub) { a.sites.subs = subs })
}

// setAll decodes a bucket whole, sets it, and serves by it.
func setAll[T any](a *apply, s kv.Snapshot, decode func([]byte) (T, error), set func(map[string]T)) error {
	values, errs := map[string]T{}, kv.ApplyErrors{}
	for _, e := range s.Entries {
		v, err := decode(e.Value)
		if err != nil {
			errs[e.Key] = err
			continue
		}
		values[e.Key] = v
	}
	a.mu.Lock()
	set(values)
	a.read[s.Bucket] = s.Epoch > 0
	sets := a.sites.sets()
	a.mu.Unlock()
	a.places.SetCandidates(sets)
	a.serve()
	return some(errs)
}

// setGeoLite places visitors with the database of bucket geolite.
func (a *apply) setGeoLite(s kv.Snapshot) error {
	e, ok := s.Get(subjects.CityKey)
	if !ok {
		return nil // a database that was served stays: there is none better
	}
	city, err := kv.DecodeCity(e.Value)
	if err != nil {
		return kv.ApplyErrors{subjects.CityKey: err}
	}
	a.places.SetDatabase(city)
	return nil
}

// serve hands the nameserver all of it as one new view. It returns the zones
// that could not be compiled, which stay as they were. A new sub answers for no zone
// before it has read the hosts: that a site's host does not exist is an answer
// that resolvers would keep.
func (a *apply) serve() map[string]error {
	a.mu.Lock()
	texts := a.texts
	if !a.read[subjects.Hosts] || !a.read[subjects.Subs] {
		texts = nil
	}
	errs := a.zones.update(texts, a.sites.hostList())
	a.refused = errs
	a.dns.Swap(&nameserver.View{Zones: a.zones.set, Policies: a.sites.policies(a.places.Tables())})
	a.mu.Unlock()
	for apex, err := range errs {
		a.log.Error("zone not taken, the one before is served", "bucket", subjects.Records, "key", apex, "err", err)
	}
	return errs
}

// Served is what the status tells of what is served.
func (a *apply) Served() (kv.ZoneStatus, kv.GeoLiteStatus, []string) {
	a.mu.Lock()
	serials := a.zones.serials()
	var problems []string
	for _, apex := range slices.Sorted(maps.Keys(a.refused)) {
		problems = append(problems, fmt.Sprintf("zone %s is served as it was before: %v", apex, a.refused[apex]))
	}
	a.mu.Unlock()
	geo, problem := a.places.State()
	if problem != nil {
		problems = append(problems, fmt.Sprintf("geolite: %v, since %s", problem.err, problem.since.UTC().Format(time.RFC3339)))
	}
	return kv.ZoneSerials(serials), geo, problems
}

// Subs is how many subs the fleet has, as far as this one knows.
func (a *apply) Subs() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.sites.subs)
}

// absolute is a name with its last dot.
func absolute(name string) string { return strings.TrimSuffix(name, ".") + "." }
