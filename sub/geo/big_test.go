package geo

import (
	"encoding/csv"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"b8s/citydb"
	"b8s/place"
)

var cities = []Candidate{
	{"sydney", place.Point{Lat: -33.87, Lon: 151.21}}, {"london", place.Point{Lat: 51.51, Lon: -0.13}},
	{"new-york", place.Point{Lat: 40.71, Lon: -74.01}}, {"singapore", place.Point{Lat: 1.35, Lon: 103.82}},
	{"frankfurt", place.Point{Lat: 50.11, Lon: 8.68}}, {"sao-paulo", place.Point{Lat: -23.55, Lon: -46.63}},
	{"tokyo", place.Point{Lat: 35.68, Lon: 139.69}}, {"johannesburg", place.Point{Lat: -26.2, Lon: 28.05}},
	{"mumbai", place.Point{Lat: 19.08, Lon: 72.88}}, {"los-angeles", place.Point{Lat: 34.05, Lon: -118.24}},
}

// bigDB opens the database named by B8S_CITY_DB; without one, a made one of
// some thousand networks, so that the code runs at least.
func bigDB(t testing.TB) *citydb.DB {
	t.Helper()
	path := os.Getenv("B8S_CITY_DB")
	if path == "" {
		return randomWorld(rand.New(rand.NewPCG(1, 1)), 4000, 1000, 1).open(t)
	}
	db, err := citydb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// The rows of B8S_CITY_TRUTH (ip, network, lat, lon, ...) come from who made
// the database, not from reading it.
func TestAgreesWithTheMakersTruth(t *testing.T) {
	path := os.Getenv("B8S_CITY_TRUTH")
	if path == "" {
		t.Skip("set B8S_CITY_DB and B8S_CITY_TRUTH to a database and its rows")
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	table, err := Build(bigDB(t), cities)
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for _, row := range rows[1:] {
		got := table.Lookup(netip.MustParseAddr(row[0]))
		want := Choice{Order: [3]uint8{None, None, None}, Scope: got.Scope}
		if row[2] != "" {
			lat, _ := strconv.ParseFloat(row[2], 64)
			lon, _ := strconv.ParseFloat(row[3], 64)
			want.Order, want.Found = haversine(cities, place.Point{Lat: lat, Lon: lon}), true
		}
		if got != want {
			wrong++
			t.Errorf("Lookup(%s) = %+v, want %+v", row[0], got, want)
		}
	}
	t.Logf("%d of %d rows wrong", wrong, len(rows)-1)
}

func candidates(n int) []Candidate {
	rng := rand.New(rand.NewPCG(4, 4))
	c := cities[:min(n, len(cities))]
	for len(c) < n {
		c = append(c[:len(c):len(c)], Candidate{At: randomPoint(rng)})
	}
	return c
}

func BenchmarkBuild(b *testing.B) {
	db := bigDB(b)
	for _, n := range []int{4, 10, 30, 250} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table, err := Build(db, candidates(n))
				if err != nil {
					b.Fatal(err)
				}
				v4, v6 := table.Ranges()
				b.ReportMetric(float64(table.Size())/(1<<20), "MiB")
				b.ReportMetric(float64(v4+v6), "ranges")
			}
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	table, err := Build(bigDB(b), candidates(10))
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(2, 2))
	v4, v6 := make([]netip.Addr, 1<<16), make([]netip.Addr, 1<<16)
	for i := range v4 {
		a := [16]byte{byte(1 + rng.IntN(223)), byte(rng.Uint32()), byte(rng.Uint32())}
		v4[i] = netip.AddrFrom4([4]byte(a[:4]))
		a = [16]byte{[]byte{0x24, 0x26, 0x28, 0x2a, 0x2c}[rng.IntN(5)], byte(rng.IntN(16)), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())}
		v6[i] = netip.AddrFrom16(a)
	}
	for name, addrs := range map[string][]netip.Addr{"IPv4": v4, "IPv6": v6} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				table.Lookup(addrs[i&0xffff])
				i++
			}
		})
	}
}

func BenchmarkMap(b *testing.B) {
	path, key := filepath.Join(b.TempDir(), "t"), Key{"db", "c"}
	table, err := Build(bigDB(b), candidates(10))
	if err != nil {
		b.Fatal(err)
	}
	if err := table.WriteFile(path, key); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		t, err := Map(path, key)
		if err != nil {
			b.Fatal(err)
		}
		t.file.Close()
	}
}
