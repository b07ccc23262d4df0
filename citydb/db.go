// Package citydb reads a city database in the MaxMind DB format (GeoLite2-City
// and its like): opens and checks the file, finds the place of an address, and
// walks all networks fast enough to build tables from them.
//
// A DB is immutable and safe for concurrent use. The file must not change
// while it is open; replace it by renaming another over it. Nothing in a file,
// however broken or hostile, makes this package panic or run without end: it
// ends in an error. Check tells beforehand whether a file is worth opening.
package citydb

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"b8s/citydb/mapfile"

	"github.com/oschwald/maxminddb-golang/v2"
)

// ErrClosed is returned by every method after Close.
var ErrClosed = errors.New("city database is closed")

// MaxSize is the largest database that is opened, in bytes. GeoLite2-City has
// about 60 MiB, the largest commercial city database about 130.
const MaxSize = 512 << 20

// DB is an open city database.
type DB struct {
	mu     sync.RWMutex // held for reading by whoever reads buf, for writing by Close
	buf    []byte
	file   *mapfile.File // nil when opened from bytes
	reader *maxminddb.Reader
	tree   tree

	digest func() string
}

// Open maps the database at path. Only its metadata is read; a file that is
// not a MaxMind DB is refused here, a broken one by Check or where it is used.
func Open(path string) (*DB, error) {
	file, err := mapfile.Open(path, MaxSize)
	if err != nil {
		return nil, fmt.Errorf("open city database: %w", err)
	}
	db, err := OpenBytes(file.Bytes())
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("open city database %s: %w", path, err)
	}
	db.file = file
	return db, nil
}

// OpenBytes opens a database held in memory, which must not change any more.
func OpenBytes(b []byte) (*DB, error) {
	// The format has the metadata in the last 128 KiB.
	if !bytes.Contains(b[max(0, len(b)-128<<10):], []byte("\xab\xcd\xefMaxMind.com")) {
		return nil, errors.New("not a MaxMind DB file: it has no metadata")
	}
	reader, err := maxminddb.OpenBytes(b, maxminddb.DisableStringCache())
	if err != nil {
		return nil, err
	}
	t, err := newTree(b, reader.Metadata)
	if err != nil {
		return nil, err
	}
	db := &DB{buf: b, reader: reader, tree: t}
	db.digest = sync.OnceValue(func() string {
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:])
	})
	return db, nil
}

// Digest is the SHA-256 of the file in lower-case hex, computed at the first
// call (about 50 ms for GeoLite2-City). It is empty after Close.
func (db *DB) Digest() string {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.buf == nil {
		return ""
	}
	return db.digest()
}

// Close gives the memory back, after waiting for lookups and walks under way.
// A second Close does nothing.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.buf == nil {
		return nil
	}
	db.buf, db.tree.nodes = nil, nil
	err := db.reader.Close()
	if db.file != nil {
		db.file.Close()
	}
	return err
}
