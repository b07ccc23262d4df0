package geo

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"b8s/citydb/citymake"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// written is a world, its database on disk, and its table in a file.
func written(t *testing.T, seed uint64) (w *world, db string, table *Table, path string, key Key) {
	t.Helper()
	w = randomWorld(rand.New(rand.NewPCG(seed, 0)), 60, 40, 5)
	var b bytes.Buffer
	if err := citymake.Make(&b, w.networks, time.Unix(1700000000, 0)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	db = filepath.Join(dir, "city.mmdb")
	if err := os.WriteFile(db, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := Build(w.open(t), w.candidates)
	if err != nil {
		t.Fatal(err)
	}
	path, key = filepath.Join(dir, "table"), Key{"db", Digest(w.candidates)}
	if err := table.WriteFile(path, key); err != nil {
		t.Fatal(err)
	}
	return w, db, table, path, key
}

func TestMappedEqualsBuilt(t *testing.T) {
	w, _, table, path, key := written(t, 1)
	mapped, err := Map(path, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, v6 := range []bool{false, true} {
		for _, a := range w.borders(v6) {
			if got, want := mapped.Lookup(a), table.Lookup(a); got != want {
				t.Fatalf("Lookup(%s) = %+v, want %+v", a, got, want)
			}
		}
	}
	if _, err := Map(path+".missing", key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestMapRefuses(t *testing.T) {
	_, _, _, path, key := written(t, 2)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, b []byte, key Key, want string) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Map(path, key); !errors.Is(err, ErrBadFile) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	refused("other database", good, Key{"other", key.Candidates}, "another database")
	refused("other candidates", good, Key{key.DB, "other"}, "other candidates")
	refused("foreign", []byte(strings.Repeat("hello", 99)), key, "no geo table")
	refused("header cut", good[:100], key, "less than a header")
	refused("cut", good[:len(good)-8], key, "cut short")
	refused("longer", append(bytes.Clone(good), 0), key, "too many")
	rng := rand.New(rand.NewPCG(1, 1))
	for range 300 { // any bit of header or content; what follows the sum is unused
		at := rng.IntN(len(good))
		if rng.IntN(2) == 0 {
			at = rng.IntN(sumAt + 32)
		}
		if at >= sumAt+32 && at < headerSize {
			continue
		}
		b := bytes.Clone(good)
		b[at] ^= 1 << rng.IntN(8)
		refused("flipped", b, key, "")
	}
}

// Even a file with a right checksum can't make Lookup leave its blocks.
func TestValidateCatchesWhatChecksumsDoNot(t *testing.T) {
	_, _, table, path, key := written(t, 3)
	rng := rand.New(rand.NewPCG(2, 2))
	for range 60 {
		broken := *table
		for _, block := range broken.blocks() {
			*block = bytes.Clone(*block)
		}
		all := broken.blocks()
		block := all[1+rng.IntN(len(all)-1)] // index4 is large: rarely hit by chance
		if rng.IntN(8) == 0 {
			block = all[0]
		}
		if len(*block) > 0 {
			(*block)[rng.IntN(len(*block))] = byte(rng.Uint32())
		}
		if err := broken.WriteFile(path, key); err != nil {
			t.Fatal(err)
		}
		mapped, err := Map(path, key)
		if err != nil {
			continue
		}
		for range 200 {
			mapped.Lookup(randomAddr(rng, rng.IntN(2) == 0))
		}
	}
}

func FuzzParse(f *testing.F) {
	table := &Table{outcomes: []byte{None, None, None, missing}, start4: make([]byte, 4), outcome4: make([]byte, 2), start6: make([]byte, 8), outcome6: make([]byte, 2)}
	(&builder{table: table}).index4()
	var b bytes.Buffer
	h := table.header(Key{})
	b.Write(h[:])
	table.writeBlocks(&b)
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		table := new(Table)
		if len(b) < headerSize || table.slice(b) != nil || table.validate() != nil {
			return
		}
		for _, a := range []string{"0.0.0.0", "255.255.255.255", "::", "2002::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
			table.Lookup(netip.MustParseAddr(a))
		}
	})
}

func TestCache(t *testing.T) {
	w, db, _, _, _ := written(t, 4)
	var log bytes.Buffer
	dir := filepath.Join(t.TempDir(), "geo")
	open := func() *Cache { return &Cache{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))} }
	a, b := w.candidates, w.candidates[:2]
	ctx := context.Background()

	if got := open().Mapped("d1", a); got[0] != nil {
		t.Error("a table before any was built")
	}
	tables, err := open().Tables(ctx, db, "d1", a, b, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	if tables[0] != tables[2] || tables[0] == tables[1] || tables[3] != nil {
		t.Errorf("tables are not shared as the sets are: %p", tables)
	}
	for _, addr := range w.borders(false) {
		want := w.truth(addr)
		want.Scope = tables[0].Lookup(addr).Scope
		if got := tables[0].Lookup(addr); got != want {
			t.Fatalf("Lookup(%s) = %+v, want %+v", addr, got, want)
		}
	}
	if got := tableFiles(t, dir); got != 2 {
		t.Errorf("%d files, want 2", got)
	}

	// The boot needs no database.
	if got, err := open().Tables(ctx, "/nowhere", "d1", a, b); err != nil || got[0] == nil || got[1] == nil {
		t.Errorf("from disk: %v, %v", got, err)
	}
	// A damaged file is built again, and that is told.
	name := filepath.Join(dir, Key{"d1", Digest(b)}.Name()+suffix)
	if err := os.Truncate(name, 200); err != nil {
		t.Fatal(err)
	}
	if _, err := open().Tables(ctx, db, "d1", a, b); err != nil || !strings.Contains(log.String(), "cut short") {
		t.Errorf("damaged file: %v, log %q", err, log.String())
	}
	// Where building fails, nothing is lost.
	if _, err := open().Tables(ctx, "/nowhere", "d2", a); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no database: %v", err)
	}
	if got := open().Mapped("d1", a, b); got[0] == nil || got[1] == nil {
		t.Error("tables were dropped by a failed build")
	}
	// Another database and fewer sets leave no old files.
	if _, err := open().Tables(ctx, db, "d2", a); err != nil {
		t.Fatal(err)
	}
	if got := tableFiles(t, dir); got != 1 {
		t.Errorf("%d files, want 1", got)
	}
}

func tableFiles(t *testing.T, dir string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func TestBuildEndsWithContext(t *testing.T) {
	w := &world{candidates: []Candidate{{}}}
	for i := range 1 << 16 {
		w.networks = append(w.networks, citymake.Network{
			Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(i >> 8), byte(i), 0}), 25)})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := BuildContext(ctx, w.open(t), w.candidates); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Tables are swapped under readers that know nothing of it, and unmapped by
// the collector: no reader may ever touch memory that is gone.
func TestSwapUnderReaders(t *testing.T) {
	_, _, table, path, key := written(t, 5)
	addr := netip.MustParseAddr("20.1.2.3")
	want := table.Lookup(addr)
	first, err := Map(path, key)
	if err != nil {
		t.Fatal(err)
	}
	var serving atomic.Pointer[Table]
	serving.Store(first)
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for ; !stop.Load(); runtime.Gosched() {
				if got := serving.Load().Lookup(addr); got != want {
					t.Errorf("Lookup = %+v, want %+v", got, want)
					return
				}
			}
		})
	}
	for range 15 {
		next, err := Map(path, key)
		if err != nil {
			t.Error(err)
			break
		}
		serving.Store(next)
		runtime.GC()
	}
	stop.Store(true)
	readers.Wait()
}
