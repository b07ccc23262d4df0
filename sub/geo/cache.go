package geo

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"b8s/citydb"
	"b8s/state"
)

// Cache keeps the tables of one database and the candidate sets in use as
// files in a folder of their own, one for each distinct set.
//
// It is safe for concurrent use; calls wait for one another. Tables that were
// handed out stay valid for whoever holds them, whatever happens to the cache
// and its files.
type Cache struct {
	Dir string       // made if missing
	Log *slog.Logger // nil: nothing is logged

	mu   sync.Mutex
	held map[Key]*Table // of the last call
}

const suffix = ".geotable"

// Mapped returns the table for each of the sets as far as its file is there
// and whole, nil for the others. It never builds, and takes some 10 ms a
// table: for the boot, so that what can be answered is answered at once.
func (c *Cache) Mapped(dbDigest string, sets ...[]Candidate) []*Table {
	c.mu.Lock()
	defer c.mu.Unlock()
	tables := make([]*Table, len(sets))
	for i, set := range sets {
		if len(set) > 0 {
			tables[i] = c.have(Key{dbDigest, Digest(set)})
		}
	}
	return tables
}

// Tables returns the table for each of the sets, in their order; equal sets
// share one. What is not on disk is built from the database at path, whose
// digest the caller knows, and written. Then files and tables of other
// databases and sets are dropped. An empty set has no table: nil.
//
// If one can't be built, or ctx ends, the files built so far stay, nothing is
// dropped, and the error is returned. A table that can't be written is served
// from memory, with a warning. A build leaves garbage of several times a table's
// size; a caller short of memory returns it by debug.FreeOSMemory.
func (c *Cache) Tables(ctx context.Context, path, dbDigest string, sets ...[]Candidate) ([]*Table, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	source := &source{path: path}
	defer source.close()
	tables := make([]*Table, len(sets))
	used := map[Key]*Table{}
	for i, set := range sets {
		if len(set) == 0 {
			continue
		}
		key := Key{dbDigest, Digest(set)}
		if used[key] == nil {
			t, err := c.table(ctx, source, key, set)
			if err != nil {
				return nil, err
			}
			used[key] = t
		}
		tables[i] = used[key]
	}
	c.held = used
	return tables, c.prune()
}

// source opens the database when the first table has to be built.
type source struct {
	path string
	db   *citydb.DB
}

func (s *source) open() (*citydb.DB, error) {
	if s.db != nil {
		return s.db, nil
	}
	db, err := citydb.Open(s.path)
	s.db = db
	return db, err
}

func (s *source) close() {
	if s.db != nil {
		s.db.Close()
	}
}

func (c *Cache) table(ctx context.Context, from *source, key Key, set []Candidate) (*Table, error) {
	if t := c.have(key); t != nil {
		return t, nil
	}
	db, err := from.open()
	if err != nil {
		return nil, err
	}
	t, err := BuildContext(ctx, db, set)
	if err != nil {
		return nil, err
	}
	return c.keep(key, t), nil
}

// have returns the table if it is in memory or on disk.
func (c *Cache) have(key Key) *Table {
	if t := c.held[key]; t != nil {
		return t
	}
	t, err := Map(c.file(key), key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log().Warn("geo table is built again", "err", err)
	}
	if err != nil {
		return nil
	}
	c.hold(key, t)
	return t
}

// keep writes a table and returns it mapped, which leaves its memory to the
// kernel; or as it is, if the disk won't have it.
func (c *Cache) keep(key Key, t *Table) *Table {
	err := t.WriteFile(c.file(key), key)
	if err == nil {
		var mapped *Table
		if mapped, err = Map(c.file(key), key); err == nil {
			t = mapped
		}
	}
	if err != nil {
		c.log().Warn("geo table is served from memory alone", "err", err)
	}
	c.hold(key, t)
	return t
}

func (c *Cache) hold(key Key, t *Table) {
	if c.held == nil {
		c.held = map[Key]*Table{}
	}
	c.held[key] = t
}

// prune removes the files of tables that are not held.
func (c *Cache) prune() error {
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for key := range c.held {
		keep[filepath.Base(c.file(key))] = true
	}
	var errs []error
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) && !keep[e.Name()] {
			errs = append(errs, state.Remove(filepath.Join(c.Dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

func (c *Cache) file(key Key) string {
	return filepath.Join(c.Dir, key.Name()+suffix)
}

func (c *Cache) log() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}
