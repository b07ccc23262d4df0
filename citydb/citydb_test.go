package citydb_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"b8s/citydb"
	"b8s/citydb/citymake"
	"b8s/place"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	built  = time.Date(2026, 11, 17, 0, 0, 0, 0, time.UTC)
	sydney = citymake.Network{Prefix: netip.MustParsePrefix("203.0.113.0/24"), City: "Sydney", Country: "Australia", Point: place.Point{Lat: -33.87, Lon: 151.21}, AccuracyKM: 20}
	tokyo  = citymake.Network{Prefix: netip.MustParsePrefix("2a00:1::/32"), City: "Tokyo", Country: "Japan", Point: place.Point{Lat: 35.68, Lon: 139.69}, AccuracyKM: 5}
	blank  = citymake.Network{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Country: "Nowhere", Nowhere: true}
)

func file(t testing.TB, kind string, built time.Time, networks ...citymake.Network) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := citymake.MakeType(&b, kind, networks, built); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t testing.TB, b []byte) *citydb.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "city.mmdb")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := citydb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestLookup(t *testing.T) {
	db := open(t, file(t, "GeoLite2-City", built, sydney, tokyo, blank))
	inSydney := citydb.Place{Found: true, Point: sydney.Point, AccuracyKM: 20, City: "Sydney", Country: "Australia", Network: sydney.Prefix}
	for addr, want := range map[string]citydb.Place{
		"203.0.113.77":        inSydney,
		"::ffff:203.0.113.77": inSydney,
		"2a00:1:2::3":         {Found: true, Point: tokyo.Point, AccuracyKM: 5, City: "Tokyo", Country: "Japan", Network: tokyo.Prefix},
		"198.51.100.1":        {Country: "Nowhere", Network: blank.Prefix},
		"128.0.0.1":           {Network: netip.MustParsePrefix("128.0.0.0/2")},
	} {
		got, err := db.Lookup(netip.MustParseAddr(addr))
		if err != nil || got != want {
			t.Errorf("Lookup(%s) = %+v, %v, want %+v", addr, got, err, want)
		}
	}
	if _, err := db.Lookup(netip.Addr{}); err == nil {
		t.Error("Lookup took the zero address")
	}
}

func TestClose(t *testing.T) {
	db := open(t, file(t, "GeoLite2-City", built, sydney))
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				if _, err := db.Lookup(sydney.Prefix.Addr()); err != nil {
					if !errors.Is(err, citydb.ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	db.Close()
	readers.Wait()
	if err := db.Close(); err != nil || db.Digest() != "" {
		t.Errorf("second Close: %v, digest %q", err, db.Digest())
	}
	if _, err := db.Check(citydb.Limits{}); !errors.Is(err, citydb.ErrClosed) {
		t.Errorf("Check: %v", err)
	}
	if err := db.Networks(func(citydb.Networks) error { return nil }); !errors.Is(err, citydb.ErrClosed) {
		t.Errorf("Networks: %v", err)
	}
}

func TestCheck(t *testing.T) {
	now := built.Add(48 * time.Hour)
	good := file(t, "GeoLite2-City", built, sydney, tokyo)
	for name, c := range map[string]struct {
		b             []byte
		limits        citydb.Limits
		err, warnings string
	}{
		"good":           {good, citydb.Limits{Now: now}, "", ""},
		"thorough":       {good, citydb.Limits{Now: now, Thorough: true}, "", ""},
		"commercial":     {file(t, "GeoIP2-City-Europe", built, sydney), citydb.Limits{Now: now}, "", ""},
		"old":            {good, citydb.Limits{Now: now.AddDate(3, 0, 0)}, "", "1098 days ago"},
		"too old":        {good, citydb.Limits{Now: now.AddDate(11, 0, 0)}, "more than the limit of 3653", ""},
		"stricter":       {good, citydb.Limits{Now: now, MaxAge: 24 * time.Hour}, "more than the limit of 1", ""},
		"clock is late":  {good, citydb.Limits{Now: built.Add(-47 * time.Hour)}, "", ""},
		"future":         {good, citydb.Limits{Now: built.Add(-49 * time.Hour)}, "in the future", ""},
		"other type":     {file(t, "GeoLite2-ASN", built, sydney), citydb.Limits{Now: now}, "not a city database", ""},
		"no networks":    {file(t, "GeoLite2-City", built), citydb.Limits{Now: now}, "no networks", ""},
		"no coordinates": {file(t, "GeoLite2-City", built, blank), citydb.Limits{Now: now}, "only 0 of its 1 places", ""},
		"web page":       {[]byte("<html>"), citydb.Limits{Now: now}, "not a MaxMind DB", ""},
		"empty":          {nil, citydb.Limits{Now: now}, "is empty", ""},
		"half":           {good[:len(good)/2], citydb.Limits{Now: now}, "not a MaxMind DB", ""},
		"front missing":  {good[len(good)/2:], citydb.Limits{Now: now}, "invalid metadata", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			if err := os.WriteFile(path, c.b, 0o600); err != nil {
				t.Fatal(err)
			}
			info, err := citydb.Check(path, c.limits)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if (info.Warning == "") != (c.warnings == "") || !strings.Contains(info.Warning, c.warnings) {
				t.Errorf("warning %q, want %q", info.Warning, c.warnings)
			}
		})
	}
	info, err := open(t, good).Check(citydb.Limits{Now: now})
	want := citydb.Info{Type: "GeoLite2-City", Built: built, Networks: 2, Places: 2, Size: int64(len(good)), Digest: open(t, good).Digest(), IPVersion: 6}
	if err != nil || info != want || len(info.Digest) != 64 {
		t.Errorf("Check = %+v, %v, want %+v", info, err, want)
	}
}

// A tree whose nodes point at one another stands for 2^128 networks, or never
// ends. Both must be refused quickly.
func TestHostileTrees(t *testing.T) {
	good := file(t, "GeoLite2-City", built, tokyo)
	for name, nodes := range map[string][2]byte{"itself twice": {0, 0}, "the next twice": {1, 1}} {
		b := bytes.Clone(good)
		end := bytes.Index(b, make([]byte, 16)) / 7 * 7
		for i := 0; i+7 <= end; i += 7 {
			node := uint32(i / 7)
			if nodes[0] == 1 {
				node = min(node+1, uint32(end/7)-1)
			}
			var n [4]byte
			binary.BigEndian.PutUint32(n[:], node)
			copy(b[i:], []byte{n[1], n[2], n[3], 0, n[1], n[2], n[3]})
		}
		db, err := citydb.OpenBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Check(citydb.Limits{Now: built}); err == nil || !strings.Contains(err.Error(), "broken search tree") {
			t.Errorf("%s: Check = %v", name, err)
		}
	}
}

// Whatever bytes are changed: an error or an answer, in bounded time.
func FuzzOpenBytes(f *testing.F) {
	good := file(f, "GeoLite2-City", built, sydney, tokyo, blank)
	f.Add(good)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		b := bytes.Clone(good)
		for range 1 + rng.IntN(4) {
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		db, err := citydb.OpenBytes(b)
		if err != nil {
			return
		}
		_, err = db.Check(citydb.Limits{Now: built})
		for _, a := range []string{"203.0.113.1", "2a00:1::1", "::", "255.255.255.255"} {
			p, lookupErr := db.Lookup(netip.MustParseAddr(a))
			if err == nil && lookupErr == nil && p.Found && p.Point.Validate() != nil {
				t.Errorf("Lookup(%s) = %+v", a, p)
			}
		}
		db.Close()
	})
}

func BenchmarkCheck(b *testing.B) {
	path := os.Getenv("B8S_CITY_DB")
	if path == "" {
		b.Skip("set B8S_CITY_DB to a database")
	}
	for name, thorough := range map[string]bool{"plain": false, "thorough": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := citydb.Check(path, citydb.Limits{Thorough: thorough}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
