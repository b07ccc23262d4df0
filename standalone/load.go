package standalone

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"b8s/config"
	"b8s/sub/nameserver"
	"b8s/sub/zone"
	"b8s/zonefile"
)

// loader reads what is to be served, and keeps of each part what was good
// last. One goroutine uses it.
type loader struct {
	opts  Options
	files map[string]*zone.Zone // by apex: of --zone and --zones
	sites *sites                // of b8s.yaml; nil without one
}

func newLoader(o Options) *loader {
	return &loader{opts: o, files: map[string]*zone.Zone{}}
}

// source is a zone file to be served.
type source struct{ apex, path string }

// load reads everything anew. The view has the last good version of what is
// bad now, which the error tells all of.
func (l *loader) load(ctx context.Context) (*nameserver.View, error) {
	sources, err := l.sources()
	errs := []error{err}
	if err == nil {
		errs = append(errs, l.loadFiles(ctx, sources))
	}
	if l.opts.Config != "" {
		errs = append(errs, l.loadSites(ctx))
	}
	view := &nameserver.View{}
	var zones []*zone.Zone
	for _, z := range l.files {
		zones = append(zones, z)
	}
	if l.sites != nil {
		for _, z := range l.sites.zones {
			if l.files[z.Apex()] != nil {
				errs = append(errs, fmt.Errorf("zone %s is in %s and given by --zone or --zones too", z.Apex(), l.opts.Config))
			}
			zones = append(zones, z)
		}
		view.Policies = l.sites.policies
	}
	view.Zones = zone.NewSet(zones...)
	return view, errors.Join(errs...)
}

func (l *loader) loadSites(ctx context.Context) error {
	next, err := readSites(ctx, l.opts, l.sites)
	if next != nil {
		l.sites = next
	}
	return err
}

// hosts says how many names are answered by location.
func (l *loader) hosts() int {
	if l.sites == nil {
		return 0
	}
	return l.sites.hosts
}

// sources lists the zone files, each origin once.
func (l *loader) sources() ([]source, error) {
	var list []source
	var errs []error
	seen := map[string]bool{}
	add := func(origin, path, where string) {
		apex, err := config.ZoneName(origin)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", where, err))
		case seen[apex]:
			errs = append(errs, fmt.Errorf("%s: zone %s is given a second time", where, apex))
		default:
			seen[apex] = true
			list = append(list, source{apex, path})
		}
	}
	for _, z := range l.opts.Zones {
		origin, path, ok := strings.Cut(z, "=")
		if !ok || path == "" {
			errs = append(errs, fmt.Errorf("--zone %s: want ORIGIN=PATH, as in example.com=example.zone", z))
			continue
		}
		add(origin, path, "--zone "+z)
	}
	if l.opts.ZonesFile != "" {
		errs = append(errs, readList(l.opts.ZonesFile, add))
	}
	return list, errors.Join(errs...)
}

// readList reads lines of "ORIGIN PATH"; empty ones and those that start with #
// say nothing.
func readList(path string, add func(origin, path, where string)) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("list of zones: %w", err)
	}
	defer f.Close()
	var errs []error
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		where := fmt.Sprintf("%s:%d", path, n)
		i := strings.IndexAny(line, " \t")
		if i < 0 {
			errs = append(errs, fmt.Errorf("%s: want ORIGIN PATH", where))
			continue
		}
		file := strings.TrimSpace(line[i:])
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(path), file)
		}
		add(line[:i], file, where)
	}
	if err := lines.Err(); err != nil {
		errs = append(errs, fmt.Errorf("list of zones %s: %w", path, err))
	}
	return errors.Join(errs...)
}

// loadFiles compiles the zone files, as many at a time as there are
// processors, and forgets the zones that are not listed any more.
func (l *loader) loadFiles(ctx context.Context, sources []source) error {
	next := make(map[string]*zone.Zone, len(sources))
	var mu sync.Mutex
	var errs []error
	group := new(errgroup.Group)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, s := range sources {
		group.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			z, err := compile(s)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				z = l.files[s.apex]
			}
			if z != nil {
				next[s.apex] = z
			}
			return nil
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.files = next
	return errors.Join(errs...)
}

func compile(s source) (*zone.Zone, error) {
	file, err := zonefile.Read(s.apex, s.path)
	if err != nil {
		return nil, err
	}
	z, err := zone.FromFile(file, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	return z, nil
}
