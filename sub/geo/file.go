package geo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"b8s/citydb/mapfile"
	"b8s/state"
)

// Key tells what a table file was built from.
type Key struct {
	DB         string // digest of the database
	Candidates string // digest of the candidates, by Digest
}

func (k Key) sum() [32]byte {
	return sha256.Sum256([]byte(k.DB + "\n" + k.Candidates))
}

// Name is a short name for files: 32 hex digits, different for every key.
func (k Key) Name() string {
	sum := k.sum()
	return hex.EncodeToString(sum[:16])
}

// ErrBadFile is wrapped by what Map returns for a file that is not the wanted
// table, whole and unchanged. Build it again.
var ErrBadFile = errors.New("not a usable geo table")

// A file is a header of 128 bytes, then the blocks in the order of
// Table.blocks, each padded to 8 bytes. The header: magic (8), sum of the key
// (32), the length of each block in bytes (8 x uint32), SHA-256
// of all of the foregoing and of the blocks with their padding (32), zeros.
const (
	magic      = "b8sgeo1\n"
	keyAt      = 8
	lengthsAt  = 40
	sumAt      = 72
	headerSize = 128
	maxFile    = 256 << 20
)

func (t *Table) blocks() []*[]byte {
	return []*[]byte{&t.index4, &t.start4, &t.outcome4, &t.start6, &t.outcome6, &t.longAt, &t.longLow, &t.outcomes}
}

// WriteFile replaces path by this table, marked with the key. It returns when
// the file is on disk; a crash at any moment leaves the old file or the new.
func (t *Table) WriteFile(path string, key Key) error {
	header := t.header(key)
	sum := sha256.New()
	sum.Write(header[:sumAt])
	if err := t.writeBlocks(sum); err != nil {
		return err
	}
	copy(header[sumAt:], sum.Sum(nil))
	err := state.Replace(path, 0o600, func(w io.Writer) error {
		if _, err := w.Write(header[:]); err != nil {
			return err
		}
		return t.writeBlocks(w)
	})
	if err != nil {
		return fmt.Errorf("write geo table %s: %w", path, err)
	}
	return nil
}

func (t *Table) header(key Key) (h [headerSize]byte) {
	copy(h[:], magic)
	sum := key.sum()
	copy(h[keyAt:], sum[:])
	for i, b := range t.blocks() {
		le.PutUint32(h[lengthsAt+4*i:], uint32(len(*b)))
	}
	return h
}

func (t *Table) writeBlocks(w io.Writer) error {
	var zeros [8]byte
	for _, b := range t.blocks() {
		if _, err := w.Write(*b); err != nil {
			return err
		}
		if _, err := w.Write(zeros[:padding(len(*b))]); err != nil {
			return err
		}
	}
	return nil
}

func padding(n int) int { return -n & 7 }

// Map opens a file written by WriteFile for the same key. Everything in it is
// verified first, about 10 ms for GeoLite2-City; what is wrong with it is
// told by an error that wraps ErrBadFile, a missing one wraps fs.ErrNotExist.
func Map(path string, key Key) (*Table, error) {
	file, err := mapfile.Open(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("map geo table: %w", err)
	}
	t, err := parse(file.Bytes(), key)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("map geo table %s: %w: %w", path, ErrBadFile, err)
	}
	t.file = file
	return t, nil
}

func parse(b []byte, key Key) (*Table, error) {
	if len(b) < headerSize {
		return nil, fmt.Errorf("it has %d bytes, less than a header", len(b))
	}
	if string(b[:len(magic)]) != magic {
		return nil, errors.New("it is no geo table, or one of another version")
	}
	if want := key.sum(); !bytes.Equal(b[keyAt:keyAt+len(want)], want[:]) {
		return nil, errors.New("it was built from another database or for other candidates")
	}
	t := new(Table)
	if err := t.slice(b); err != nil {
		return nil, err
	}
	if got := sumOf(sha256.New(), b); !bytes.Equal(got, b[sumAt:sumAt+sha256.Size]) {
		return nil, errors.New("its checksum is wrong: the file was changed")
	}
	return t, t.validate()
}

func sumOf(h hash.Hash, file []byte) []byte {
	h.Write(file[:sumAt])
	h.Write(file[headerSize:])
	return h.Sum(nil)
}

// slice cuts a file into blocks by the lengths in its header.
func (t *Table) slice(b []byte) error {
	rest := b[headerSize:]
	for i, block := range t.blocks() {
		n := int(le.Uint32(b[lengthsAt+4*i:]))
		if n+padding(n) > len(rest) {
			return errors.New("it is cut short")
		}
		*block = rest[:n:n]
		rest = rest[n+padding(n):]
	}
	if len(rest) != 0 {
		return fmt.Errorf("%d bytes too many at its end", len(rest))
	}
	return nil
}
