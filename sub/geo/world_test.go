package geo

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"testing"
	"time"

	"b8s/citydb"
	"b8s/citydb/citymake"
	"b8s/place"
)

// world is a list of networks, and the plain reading of it that tables are
// held against: of the networks around an address, the last one counts.
type world struct {
	networks   []citymake.Network
	candidates []Candidate
	orders     map[place.Point][3]uint8 // what haversine said before
}

// aliases are the IPv6 networks that mmdbwriter lets stand for IPv4.
var aliases = []netip.Prefix{
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("::ffff:0:0/96"),
	netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("2002::/16"),
}

func randomPoint(rng *rand.Rand) place.Point {
	if rng.IntN(8) == 0 { // the corners of the map
		return place.Point{Lat: float64(rng.IntN(3)-1) * 90, Lon: float64(rng.IntN(3)-1) * 180}
	}
	return place.Point{Lat: rng.Float64()*180 - 90, Lon: rng.Float64()*360 - 180}
}

// randomAddr is more often near an edge of a wide prefix than chance has it.
func randomAddr(rng *rand.Rand, v6 bool) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], rng.Uint64())
	binary.BigEndian.PutUint64(b[8:], rng.Uint64())
	fill := byte(0)
	if rng.IntN(2) == 0 {
		fill = 0xff
	}
	if rng.IntN(3) == 0 {
		for i := 1 + rng.IntN(15); i < 16; i++ {
			b[i] = fill
		}
	}
	if v6 {
		if rng.IntN(2) == 0 { // crowd some of them into a few networks
			copy(b[:], []byte{0x2a, byte(rng.IntN(2)), 0, 1, 0, byte(rng.IntN(2)), 0, byte(rng.IntN(3))})
		}
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[:4]))
}

func overlapsAlias(p netip.Prefix) bool {
	return slices.ContainsFunc(aliases, func(a netip.Prefix) bool { return a.Overlaps(p) })
}

func randomWorld(rng *rand.Rand, v4, v6, candidates int) *world {
	w := &world{}
	for len(w.candidates) < candidates {
		c := Candidate{At: randomPoint(rng)}
		if len(w.candidates) > 0 && rng.IntN(6) == 0 { // two at one place
			c.At = w.candidates[rng.IntN(len(w.candidates))].At
		}
		w.candidates = append(w.candidates, c)
	}
	at := place.Point{}
	for i := range v4 + v6 {
		var p netip.Prefix
		if i < v4 {
			p = netip.PrefixFrom(randomAddr(rng, false), 1+rng.IntN(32)).Masked()
		} else if p = netip.PrefixFrom(randomAddr(rng, true), 2+rng.IntN(127)).Masked(); overlapsAlias(p) {
			continue
		}
		if rng.IntN(3) > 0 {
			at = randomPoint(rng)
		}
		w.networks = append(w.networks, citymake.Network{Prefix: p, Point: at, City: "x", Nowhere: rng.IntN(12) == 0})
	}
	// A wide network must not hide all that came before it.
	sort.SliceStable(w.networks, func(i, j int) bool { return w.networks[i].Prefix.Bits() < w.networks[j].Prefix.Bits() })
	return w
}

func (w *world) open(t testing.TB) *citydb.DB {
	t.Helper()
	var file bytes.Buffer
	if err := citymake.Make(&file, w.networks, time.Unix(1700000000, 0)); err != nil {
		t.Fatal(err)
	}
	db, err := citydb.OpenBytes(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// truth is the choice for an address, but for its scope.
func (w *world) truth(a netip.Addr) Choice {
	a = unalias(a)
	none := Choice{Order: [3]uint8{None, None, None}}
	for i := len(w.networks) - 1; i >= 0; i-- {
		if n := w.networks[i]; n.Prefix.Contains(a) {
			if n.Nowhere {
				return none
			}
			return Choice{Order: w.order(n.Point), Found: true}
		}
	}
	return none
}

func (w *world) order(p place.Point) [3]uint8 {
	o, ok := w.orders[p]
	if !ok {
		if w.orders == nil {
			w.orders = map[place.Point][3]uint8{}
		}
		o = haversine(w.candidates, p)
		w.orders[p] = o
	}
	return o
}

func haversine(candidates []Candidate, p place.Point) [3]uint8 {
	order := make([]int, len(candidates))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool {
		return place.Distance(p, candidates[order[i]].At) < place.Distance(p, candidates[order[j]].At)
	})
	nearest := [3]uint8{None, None, None}
	for i := range min(3, len(order)) {
		nearest[i] = uint8(order[i])
	}
	return nearest
}

func unalias(a netip.Addr) netip.Addr {
	for _, p := range aliases {
		if p.Contains(a) {
			b := a.As16()
			return netip.AddrFrom4([4]byte(b[p.Bits()/8:]))
		}
	}
	return a
}

// borders are all addresses of a family at which the truth may change, sorted.
func (w *world) borders(v6 bool) []netip.Addr {
	var all []netip.Addr
	add := func(p netip.Prefix) {
		all = append(all, p.Addr())
		if next := last(p).Next(); next.IsValid() {
			all = append(all, next)
		}
	}
	for _, n := range w.networks {
		if n.Prefix.Addr().Is6() == v6 {
			add(n.Prefix)
		} else if v6 {
			for _, alias := range aliases {
				b, v4 := alias.Addr().As16(), n.Prefix.Addr().As4()
				copy(b[alias.Bits()/8:], v4[:])
				add(netip.PrefixFrom(netip.AddrFrom16(b), alias.Bits()+n.Prefix.Bits()))
			}
		}
	}
	if v6 {
		for _, alias := range aliases {
			add(alias)
		}
		all = append(all, netip.IPv6Unspecified())
	} else {
		all = append(all, netip.IPv4Unspecified())
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// last is the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// uniform tells whether all of a prefix has one outcome, by looking at its
// first address and at every border within it.
func (w *world) uniform(p netip.Prefix, borders []netip.Addr) bool {
	p = p.Masked()
	want := w.truth(p.Addr())
	i, _ := slices.BinarySearchFunc(borders, p.Addr(), netip.Addr.Compare)
	for ; i < len(borders) && p.Contains(borders[i]); i++ {
		if w.truth(borders[i]) != want {
			return false
		}
	}
	return true
}
