package edge

import (
	"net/http"
	"strings"

	"b8s/sub/edge/static"
	"b8s/sub/edge/upstream"
)

// caches are what outlives SetSites: the connections to upstreams and what is
// known of static files. Those that no site leads to any more are dropped.
// Server.mu guards it, but for what has locks of its own.
type caches struct {
	files *static.Cache
	pools map[poolKey]*upstream.Pool

	// of the SetSites that runs
	usedPools   map[poolKey]bool
	usedFolders map[string]bool
	folders     map[string]bool // of the one before
	leaving     map[poolKey]*upstream.Pool
}

type poolKey struct {
	address string
	h2c     bool
}

func (c *caches) init(l ServerLimits) {
	c.files = static.NewCache(l.StaticCache, l.CompressedCache)
	c.pools, c.folders, c.leaving = map[poolKey]*upstream.Pool{}, map[string]bool{}, map[poolKey]*upstream.Pool{}
}

// begin begins a SetSites.
func (c *caches) begin() { c.usedPools, c.usedFolders = map[poolKey]bool{}, map[string]bool{} }

// target is where a route leads.
func (c *caches) target(s *Server, ready *site, r Route) (http.Handler, error) {
	if r.Upstream != "" {
		return &proxy{server: s, site: ready, pool: c.pool(r, ready.Limits)}, nil
	}
	c.usedFolders[r.Digest] = true
	return &static.Folder{
		FS: r.Folder, NotFound: r.NotFound, SinglePage: r.SinglePage, Plain: ready.NoCompression,
		Cache: c.files, Digest: r.Digest,
		Missing: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			s.page(w, req, http.StatusNotFound, "There is nothing here.")
		}),
	}, nil
}

// pool is the upstream of a route, with the limits of the site.
func (c *caches) pool(r Route, l SiteLimits) *upstream.Pool {
	key := poolKey{r.Upstream, r.H2C}
	limits := upstream.Limits{Connect: l.Connect, Head: l.Head, Idle: l.Idle, Kept: l.IdleConnections}
	c.usedPools[key] = true
	pool := c.pools[key]
	if pool == nil {
		pool = c.leaving[key]
		delete(c.leaving, key)
	}
	switch {
	case pool != nil:
		pool.SetLimits(limits)
		pool.Open()
	case r.H2C:
		pool = upstream.NewH2C(r.Upstream, limits)
	default:
		pool = upstream.New(r.Upstream, limits)
	}
	c.pools[key] = pool
	return pool
}

// keep marks a route of a site that stays as it was.
func (c *caches) keep(r Route) {
	if r.Upstream == "" {
		c.usedFolders[r.Digest] = true
		return
	}
	key := poolKey{r.Upstream, r.H2C}
	c.usedPools[key] = true
	if pool := c.leaving[key]; pool != nil {
		pool.Open()
		c.pools[key] = pool
		delete(c.leaving, key)
	}
}

// finish drops what isn't used. A pool with requests stays known until they
// have ended, so that the state tells when an upstream has drained.
func (c *caches) finish() {
	for key, pool := range c.pools {
		if !c.usedPools[key] {
			pool.Close()
			delete(c.pools, key)
			c.leaving[key] = pool
		}
	}
	c.forgetDrained()
	for digest := range c.folders {
		if !c.usedFolders[digest] {
			c.files.Drop(digest)
		}
	}
	c.folders = c.usedFolders
}

func (c *caches) forgetDrained() {
	for key, pool := range c.leaving {
		if pool.State().Active == 0 {
			pool.Close()
			delete(c.leaving, key)
		}
	}
}

// upstreamStates adds the state of each upstream.
func (s *Server) upstreamStates(to map[string]UpstreamState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.caches.forgetDrained()
	for _, pools := range []map[poolKey]*upstream.Pool{s.caches.leaving, s.caches.pools} {
		for key, pool := range pools {
			st := pool.State()
			have := to[key.address]
			to[key.address] = UpstreamState{
				Active: have.Active + st.Active, Idle: have.Idle + st.Idle,
				Failing: st.Failing, Err: strings.TrimPrefix(st.Err, "upstream "+key.address+": "),
			}
		}
	}
}

// closeCaches closes the connections that wait.
func (s *Server) closeCaches() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pools := range []map[poolKey]*upstream.Pool{s.caches.leaving, s.caches.pools} {
		for _, pool := range pools {
			pool.Close()
		}
	}
}
