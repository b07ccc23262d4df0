package edge

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// sites is what is served by host and path; never changed.
type sites struct {
	all      []*site
	exact    map[string]*site
	wildcard map[string]*site // by what follows "*."
}

// site is a Site made ready: its fields as they are sent, its counters, and
// what its routes lead to.
type site struct {
	Site
	routes []route // the longest first
	counts *siteCounts
	hsts   []string
	sub    []string // B8s-Sub
	vers   []string // B8s-Version
}

// route is where a path leads.
type route struct {
	path   string // without the last slash; "" for all
	strip  bool
	target http.Handler
}

// find is the site for a canonical host, or nil.
func (t *sites) find(host string) *site {
	if s := t.exact[host]; s != nil {
		return s
	}
	if _, parent, ok := strings.Cut(host, "."); ok {
		return t.wildcard[parent]
	}
	return nil
}

// find is the route for a path, or nil.
func (s *site) find(path string) *route {
	for i := range s.routes {
		r := &s.routes[i]
		if strings.HasPrefix(path, r.path) && (len(path) == len(r.path) || r.path == "" || path[len(r.path)] == '/') {
			return r
		}
	}
	return nil
}

// SetSites serves these sites and no others, from the next request on. One
// that is wrong in itself, or has a host of another, is in the Errors
// returned, and what was served under its name goes on.
func (s *Server) SetSites(list []Site) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs, next := Errors{}, &sites{exact: map[string]*site{}, wildcard: map[string]*site{}}
	held := map[string]*site{}
	for _, old := range s.sites.Load().all {
		held[old.Name] = old
	}
	s.caches.begin()
	for _, config := range slices.SortedFunc(slices.Values(list), func(a, b Site) int { return cmp.Compare(a.Name, b.Name) }) {
		ready, err := s.newSite(config)
		if err == nil {
			err = next.add(ready)
		}
		if err == nil {
			continue
		}
		errs[config.Name] = err
		s.log.Error("site not taken", "site", config.Name, "err", err)
		if old := held[config.Name]; old != nil && next.add(old) == nil {
			s.keep(old)
		}
	}
	s.sites.Store(next)
	s.caches.finish()
	s.meters.forget(maps.Keys(held), next)
	return errs.orNil()
}

// add takes a site whose hosts are all free.
func (t *sites) add(ready *site) error {
	for _, host := range ready.Hosts {
		index, key := t.index(host)
		if other := index[key]; other != nil && other != ready {
			return fmt.Errorf("host %s is of site %s already", host, other.Name)
		}
	}
	for _, other := range t.all {
		if other.Name == ready.Name {
			return errors.New("site is there twice")
		}
	}
	for _, host := range ready.Hosts {
		index, key := t.index(host)
		index[key] = ready
	}
	t.all = append(t.all, ready)
	return nil
}

func (t *sites) index(host string) (map[string]*site, string) {
	if parent, ok := strings.CutPrefix(host, "*."); ok {
		return t.wildcard, parent
	}
	return t.exact, host
}

// newSite checks a site and makes it ready.
func (s *Server) newSite(config Site) (*site, error) {
	if err := checkSite(config); err != nil {
		return nil, err
	}
	config.Limits = config.Limits.withDefaults()
	ready := &site{Site: config, counts: s.meters.site(config.Name), hsts: config.HSTS.field()}
	if !config.NoHeaders {
		ready.sub = valueOf(s.opts.Name)
		ready.vers = valueOf(cmp.Or(config.Version, s.opts.Version))
	}
	for _, r := range config.Routes {
		target, err := s.caches.target(s, ready, r)
		if err != nil {
			return nil, fmt.Errorf("route %q: %w", r.Path, err)
		}
		ready.routes = append(ready.routes, route{path: strings.TrimSuffix(r.Path, "/"), strip: r.Strip, target: target})
	}
	slices.SortStableFunc(ready.routes, func(a, b route) int { return len(b.path) - len(a.path) })
	return ready, nil
}

// keep marks what a site from before leads to as in use.
func (s *Server) keep(old *site) {
	for _, r := range old.Routes {
		s.caches.keep(r)
	}
}

func checkSite(config Site) error {
	switch {
	case config.Name == "":
		return errors.New("site has no name")
	case len(config.Hosts) == 0:
		return errors.New("site has no host")
	case len(config.Routes) == 0:
		return errors.New("site has no route")
	}
	for _, host := range config.Hosts {
		name := strings.TrimPrefix(host, "*.")
		if name == "" || hostOf(name) != name || strings.ContainsAny(name, ":[]") {
			return fmt.Errorf("host %q is not a name in lower case", host)
		}
	}
	seen := map[string]bool{}
	for _, r := range config.Routes {
		if err := checkRoute(r); err != nil {
			return err
		}
		path := strings.TrimSuffix(r.Path, "/")
		if seen[path] {
			return fmt.Errorf("route %q is there twice", r.Path)
		}
		seen[path] = true
	}
	return nil
}

func checkRoute(r Route) error {
	switch {
	case r.Path != "" && r.Path[0] != '/':
		return fmt.Errorf("route %q doesn't begin with a slash", r.Path)
	case (r.Upstream == "") == (r.Folder == nil):
		return fmt.Errorf("route %q needs an upstream or a folder", r.Path)
	case r.Folder != nil && r.Digest == "":
		return fmt.Errorf("route %q has a folder without digest", r.Path)
	case r.Upstream == "":
		return nil
	}
	_, port, err := net.SplitHostPort(r.Upstream)
	if err != nil {
		return fmt.Errorf("upstream %q: %w", r.Upstream, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("upstream %q has no port number", r.Upstream)
	}
	return nil
}

// field is the value of Strict-Transport-Security, nil for none.
func (h HSTS) field() []string {
	if h.MaxAge <= 0 {
		return nil
	}
	value := "max-age=" + strconv.FormatInt(int64(h.MaxAge.Seconds()), 10)
	if h.IncludeSubDomains {
		value += "; includeSubDomains"
	}
	if h.Preload {
		value += "; preload"
	}
	return []string{value}
}

// valueOf is the values of a field, nil for none.
func valueOf(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}
