package geo

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"b8s/citydb/citymake"
	"b8s/place"
)

// check holds the table's answer for an address against the plain reading.
func check(t *testing.T, w *world, table *Table, a netip.Addr, borders []netip.Addr) {
	t.Helper()
	got := table.Lookup(a)
	want := w.truth(a)
	want.Scope = got.Scope
	if got != want {
		t.Fatalf("Lookup(%s) = %+v, want %+v", a, got, want)
	}
	if !w.uniform(netip.PrefixFrom(a, int(got.Scope)), borders) {
		t.Fatalf("Lookup(%s): scope /%d holds other outcomes", a, got.Scope)
	}
	if got.Scope > 0 && w.uniform(netip.PrefixFrom(a, int(got.Scope)-1), borders) {
		t.Fatalf("Lookup(%s): scope /%d, but /%d holds no other outcome either", a, got.Scope, got.Scope-1)
	}
}

func checkWorld(t *testing.T, rng *rand.Rand, w *world, samples int) {
	t.Helper()
	table, err := Build(w.open(t), w.candidates)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.validate(); err != nil {
		t.Fatal(err)
	}
	for _, v6 := range []bool{false, true} {
		borders := w.borders(v6)
		for i, a := range borders {
			if samples < len(borders) && rng.IntN(len(borders)) >= samples {
				continue
			}
			for _, a := range []netip.Addr{a.Prev(), a, a.Next()} {
				if a.IsValid() && !a.Is4In6() {
					check(t, w, table, a, borders)
				}
			}
			if i%2 == 0 {
				check(t, w, table, randomAddr(rng, v6), borders)
			}
		}
	}
}

func TestTableAgreesWithTheNetworks(t *testing.T) {
	for seed := range uint64(21) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n := []int{1, 2, 3, 4, 7, 30, 250}[seed%7]
		w := randomWorld(rng, rng.IntN(90), rng.IntN(60), n)
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { checkWorld(t, rng, w, 1<<30) })
	}
}

func TestTableOfManyNetworks(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	checkWorld(t, rng, randomWorld(rng, 1500, 700, 12), 150)
}

func TestNetworksLongerThan64Bits(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	w := &world{candidates: []Candidate{{At: place.Point{Lat: 1}}, {At: place.Point{Lat: 40}}, {At: place.Point{Lat: -40}}}}
	for range 120 { // several within one /64, some at its very start and end
		b := netip.MustParseAddr("2a00:1:0:1::").As16()
		for i := 8; i < 16; i++ {
			b[i] = byte([]int{0, 0xff, rng.IntN(256)}[rng.IntN(3)])
		}
		b[7] = byte(rng.IntN(3))
		w.networks = append(w.networks, citymake.Network{
			Prefix: netip.PrefixFrom(netip.AddrFrom16(b), 65+rng.IntN(64)).Masked(), Point: randomPoint(rng), City: "x"})
	}
	checkWorld(t, rng, w, 1<<30)
}

// Where all of IPv4 has one outcome, the networks that stand for it merge with
// their neighbours.
func TestConstantIPv4(t *testing.T) {
	here := place.Point{Lat: 10, Lon: 10}
	for name, networks := range map[string][]citymake.Network{
		"empty":       {},
		"IPv4 only":   {{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Point: here}},
		"IPv6 only":   {{Prefix: netip.MustParsePrefix("2a00::/16"), Point: here}},
		"same as 6":   {{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Point: here}, {Prefix: netip.MustParsePrefix("2003::/16"), Point: here}},
		"half of it":  {{Prefix: netip.MustParsePrefix("128.0.0.0/1"), Point: here}, {Prefix: netip.MustParsePrefix("2003::/16"), Point: here}},
		"one address": {{Prefix: netip.MustParsePrefix("255.255.255.255/32"), Point: here}},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(5, 5))
			checkWorld(t, rng, &world{networks: networks, candidates: []Candidate{{At: here}}}, 1<<30)
		})
	}
}

func TestLookupForms(t *testing.T) {
	w := &world{
		networks:   []citymake.Network{{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Point: place.Point{Lat: 50}}},
		candidates: []Candidate{{At: place.Point{Lat: -50}}, {At: place.Point{Lat: 49}}},
	}
	table, err := Build(w.open(t), w.candidates)
	if err != nil {
		t.Fatal(err)
	}
	here := Choice{Order: [3]uint8{1, 0, None}, Scope: 24, Found: true}
	six := here
	six.Scope = 40
	nowhere := Choice{Order: [3]uint8{None, None, None}}
	for _, c := range []struct {
		addr netip.Addr
		want Choice
	}{
		{netip.MustParseAddr("203.0.113.9"), here},
		{netip.MustParseAddr("::ffff:203.0.113.9"), here},
		{netip.MustParseAddr("2002:cb00:7109::1"), six}, // 6to4 of the same
		{netip.Addr{}, nowhere},
	} {
		if got := table.Lookup(c.addr); got != c.want {
			t.Errorf("Lookup(%s) = %+v, want %+v", c.addr, got, c.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { table.Lookup(netip.MustParseAddr("203.0.113.9")) }); n != 0 {
		t.Errorf("Lookup allocates %v times", n)
	}
}

func TestBuildRefuses(t *testing.T) {
	w := &world{networks: []citymake.Network{{Prefix: netip.MustParsePrefix("1.0.0.0/8")}}}
	db := w.open(t)
	for name, candidates := range map[string][]Candidate{
		"none":     nil,
		"too many": make([]Candidate, MaxCandidates+1),
		"nowhere":  {{Name: "x", At: place.Point{Lat: 91}}},
	} {
		if _, err := Build(db, candidates); err == nil {
			t.Errorf("%s: Build took the candidates", name)
		}
	}
	db.Close()
	if _, err := Build(db, []Candidate{{}}); err == nil {
		t.Error("Build took a closed database")
	}
}

// The quick comparison must agree with the haversine wherever that decides,
// equal places, poles and the date line included.
func TestRankAgreesWithHaversine(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 300 {
		w := randomWorld(rng, 0, 0, 1+rng.IntN(40))
		r := newRanker(w.candidates)
		for range 50 {
			p := randomPoint(rng)
			if rng.IntN(4) == 0 { // at a candidate, or metres from it
				p = w.candidates[rng.IntN(len(w.candidates))].At
				p.Lat = max(-90, min(90, p.Lat+[]float64{0, 1e-9, 1e-5}[rng.IntN(3)]))
			}
			if got, want := r.nearest(p), haversine(w.candidates, p); got != want {
				t.Fatalf("nearest(%s) = %v, want %v among %v", p, got, want, w.candidates)
			}
		}
	}
}

// When orderings run out the third choice goes, never the first two.
func TestOrderingsBeyondNumbers(t *testing.T) {
	b := &builder{table: new(Table), outcomes: map[outcome]uint16{}}
	for i := range fewThirds {
		o := outcome{order: [3]uint8{uint8(i), uint8(i >> 8), 1}, kind: found}
		if _, err := b.intern(o); err != nil {
			t.Fatal(err)
		}
	}
	id, err := b.intern(outcome{order: [3]uint8{7, 8, 9}, kind: found})
	if got, want := b.table.outcome(int(id)), (outcome{[3]uint8{7, 8, None}, found}); err != nil || got != want {
		t.Errorf("intern = %v, %v, want %v", got, err, want)
	}
}
