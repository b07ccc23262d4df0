package dom

import (
	"sync"

	"b8s/zonefile"
)

// zoneCache keeps the published zones parsed, by the digest of their text, so
// that a publish parses only what it brings. The zero value is ready; safe for
// concurrent use, as zones are values.
type zoneCache struct {
	mu    sync.Mutex
	zones map[string]*zonefile.Zone
}

// maxCached is how many records the cache holds, at some 200 bytes each. A
// fleet with more is parsed anew at each publish.
const maxCached = 100_000

// Get is the zone of a digest, nil if it isn't kept.
func (c *zoneCache) Get(digest string) *zonefile.Zone {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.zones[digest]
}

// Keep makes the cache hold these zones and no others.
func (c *zoneCache) Keep(zones map[string]*zonefile.Zone) {
	records := 0
	for _, z := range zones {
		if records += len(z.Records); records > maxCached {
			zones = nil
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.zones = zones
}
