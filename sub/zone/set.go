package zone

import (
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// Set is the zones of a nameserver: from one to tens of thousands. With and
// Without make a new one that shares the zones with the old. The zero value
// and nil have no zones.
type Set struct {
	byApex map[string]*Zone
	zones  []*Zone
	table  []uint64  // upper half: the lower one of the apex's hash; lower half: index in zones + 1
	depths [2]uint64 // bit i: a zone with i labels is there
}

// NewSet makes a set; of two zones with one apex the later one counts.
func NewSet(zones ...*Zone) *Set {
	byApex := make(map[string]*Zone, len(zones))
	for _, z := range zones {
		byApex[z.apex] = z
	}
	return newSet(byApex)
}

func newSet(byApex map[string]*Zone) *Set {
	s := &Set{byApex: byApex, zones: make([]*Zone, 0, len(byApex))}
	s.table = make([]uint64, len(byApex)*2+1)
	for _, z := range byApex {
		s.zones = append(s.zones, z)
		s.depths[z.labels>>6] |= 1 << (z.labels & 63)
		i := slot(uint32(z.hash), len(s.table))
		for s.table[i] != 0 {
			i = (i + 1) % len(s.table)
		}
		s.table[i] = uint64(uint32(z.hash))<<32 | uint64(len(s.zones))
	}
	return s
}

// With gives a set with these zones in place of those with the same apexes.
func (s *Set) With(zones ...*Zone) *Set {
	byApex := make(map[string]*Zone, s.Len()+len(zones))
	if s != nil {
		maps.Copy(byApex, s.byApex)
	}
	for _, z := range zones {
		byApex[z.apex] = z
	}
	return newSet(byApex)
}

// Without gives a set without the zone of that apex, absolute and lower case.
func (s *Set) Without(apex string) *Set {
	if s == nil {
		return nil
	}
	byApex := maps.Clone(s.byApex)
	delete(byApex, apex)
	return newSet(byApex)
}

// Get gives the zone of an apex (absolute, lower case), or nil.
func (s *Set) Get(apex string) *Zone {
	if s == nil {
		return nil
	}
	return s.byApex[apex]
}

// Len says how many zones there are.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.zones)
}

// Zones lists the zones by apex.
func (s *Set) Zones() []*Zone {
	if s == nil {
		return nil
	}
	return slices.SortedFunc(maps.Values(s.byApex), func(a, b *Zone) int { return strings.Compare(a.apex, b.apex) })
}

// Find gives the deepest zone that holds n, and the label of n at which its
// apex starts; nil when there is none.
func (s *Set) Find(n *Name) (z *Zone, label int) { return s.FindFrom(n, 0) }

// FindFrom is Find for the suffix of n that starts with label: from the label
// after a zone's apex it finds the zone around that zone.
func (s *Set) FindFrom(n *Name, label int) (*Zone, int) {
	if s == nil {
		return nil, 0
	}
	for depth := n.labels - label; depth >= 0; depth-- {
		if depth = s.depth(depth); depth < 0 {
			break
		}
		if z := s.exact(n, n.labels-depth); z != nil {
			return z, n.labels - depth
		}
	}
	return nil, 0
}

// depth gives the greatest number of labels, up to most, that a zone has; -1
// for none.
func (s *Set) depth(most int) int {
	if most >= 64 {
		if d := s.depths[1] << (127 - most); d != 0 {
			return most - bits.LeadingZeros64(d)
		}
		most = 63
	}
	if d := s.depths[0] << (63 - most); d != 0 {
		return most - bits.LeadingZeros64(d)
	}
	return -1
}

func (s *Set) exact(n *Name, label int) *Zone {
	h := uint32(n.hash[label])
	for i := slot(h, len(s.table)); ; {
		e := s.table[i]
		if e == 0 {
			return nil
		}
		if uint32(e>>32) == h {
			z := s.zones[uint32(e)-1]
			if string(n.wire[n.off[label]:n.size]) == string(z.wire) {
				return z
			}
		}
		if i++; i == len(s.table) {
			i = 0
		}
	}
}
