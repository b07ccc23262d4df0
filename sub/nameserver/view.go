package nameserver

import (
	"net/netip"

	"b8s/sub/geo"
	"b8s/sub/zone"
)

// View is everything that answers are made of. It is immutable: a change is a
// new View, handed to Swap, and each question is answered from one of them.
type View struct {
	Zones    *zone.Set
	Policies []Policy // by zone.Host.Policy; a host whose policy is missing has no addresses
}

// Policy says where the askers of a host are sent, for each address family.
type Policy struct{ A, AAAA Target }

// Target is the candidates of one address family. With no addresses the host
// has no record of the family (NODATA).
type Target struct {
	Locator Locator      // nil: no database yet, everyone is sent to the default
	Addrs   []netip.Addr // by the candidate's index in the Locator; all of one family
	Up      []bool       // by candidate: healthy; nil: all are
	Default int          // the candidate for addresses that are not located
}

// Locator orders candidates by nearness to an address. *geo.Table is one. It
// must be safe for concurrent use, and should not allocate.
type Locator interface {
	Lookup(netip.Addr) geo.Choice
}

// choose gives the address for an asker, and the scope of that decision: the
// first healthy one of the nearest three, else any healthy one, else the
// default. An invalid asker is one that wants no location told.
func (t *Target) choose(asker netip.Addr) (addr netip.Addr, scope uint8) {
	choice := geo.Choice{}
	if t.Locator != nil && asker.IsValid() {
		choice = t.Locator.Lookup(asker)
	}
	if choice.Found {
		for _, i := range choice.Order {
			if int(i) < len(t.Addrs) && t.up(int(i)) {
				return t.Addrs[i], choice.Scope
			}
		}
	}
	return t.Addrs[t.fallback()], choice.Scope
}

func (t *Target) fallback() int {
	def := t.Default
	if def < 0 || def >= len(t.Addrs) {
		def = 0
	}
	if t.up(def) {
		return def
	}
	for i := range t.Addrs {
		if t.up(i) {
			return i
		}
	}
	return def
}

func (t *Target) up(i int) bool { return i >= len(t.Up) || t.Up[i] }
