package sub

import (
	"maps"
	"net/netip"
	"slices"

	"b8s/kv"
	"b8s/sub/geo"
	"b8s/sub/nameserver"
	"b8s/sub/zone"
)

// sites is the hosts and subs of the fleet as the buckets have them, and the
// numbers by which zones refer to sites. Not safe for concurrent use.
type sites struct {
	hosts   map[string]kv.Hosts // by site
	subs    map[string]kv.Sub   // by name
	numbers map[string]uint16   // of a site's policy: once given, kept
}

// hostList is every host name with the number of its site.
func (s *sites) hostList() (list []zone.Host) {
	for _, site := range slices.Sorted(maps.Keys(s.hosts)) {
		h := s.hosts[site]
		for _, name := range h.Hosts {
			list = append(list, zone.Host{Name: name, Policy: s.number(site), TTL: h.TTL})
		}
	}
	return list
}

func (s *sites) number(site string) uint16 {
	n, ok := s.numbers[site]
	if !ok {
		n = uint16(len(s.numbers))
		s.numbers[site] = n
	}
	return n
}

// family picks one address of a sub.
type family func(kv.Sub) netip.Addr

func ipv4(s kv.Sub) netip.Addr { return s.IPv4 }
func ipv6(s kv.Sub) netip.Addr { return s.IPv6 }

// candidates are the site's subs that have an address of the family, by name.
func (s *sites) candidates(site kv.Hosts, of family) (names []string, set []geo.Candidate) {
	for _, name := range slices.Sorted(slices.Values(site.Subs)) {
		if sub, ok := s.subs[name]; ok && of(sub).IsValid() {
			names = append(names, name)
			set = append(set, geo.Candidate{Name: name, At: sub.Coordinates})
		}
	}
	return names, set
}

// sets are all distinct candidate sets in use.
func (s *sites) sets() (sets [][]geo.Candidate) {
	seen := map[string]bool{}
	for _, site := range slices.Sorted(maps.Keys(s.hosts)) {
		for _, of := range []family{ipv4, ipv6} {
			_, set := s.candidates(s.hosts[site], of)
			if digest := geo.Digest(set); len(set) > 0 && !seen[digest] {
				seen[digest] = true
				sets = append(sets, set)
			}
		}
	}
	return sets
}

// policies answer the sites by their numbers, with the tables that are there.
func (s *sites) policies(tables map[string]*geo.Table) []nameserver.Policy {
	out := make([]nameserver.Policy, len(s.numbers))
	for site, h := range s.hosts {
		out[s.number(site)] = nameserver.Policy{A: s.target(h, ipv4, tables), AAAA: s.target(h, ipv6, tables)}
	}
	return out
}

func (s *sites) target(h kv.Hosts, of family, tables map[string]*geo.Table) nameserver.Target {
	names, set := s.candidates(h, of)
	t := nameserver.Target{Default: max(0, slices.Index(names, h.Default))}
	if table := tables[geo.Digest(set)]; table != nil {
		t.Locator = table
	}
	for _, name := range names {
		t.Addrs = append(t.Addrs, of(s.subs[name]))
		t.Up = append(t.Up, !s.subs[name].Drained)
	}
	return t
}
