// Package geo decides which candidates are nearest to an address, once for
// every network of a city database, so that a question costs a short search.
//
// A Table belongs to one database and one list of candidates. It is immutable
// and safe for concurrent use, Lookup allocates nothing, and the collector
// finds no pointers in it: it is a few blocks of bytes, in memory when built,
// mapped when read from a file. A candidate that goes down changes no table:
// the caller takes the first healthy one of the three in a Choice.
//
// A file that was cut, changed, or made for other data or candidates is
// refused by Map with the reason, and is then to be built again; Cache does so.
package geo

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"b8s/place"
)

// Candidate is a place that addresses can be sent to.
type Candidate struct {
	Name string // for people; takes no part in the decision
	At   place.Point
}

// None stands in a Choice for "no further candidate".
const None = 0xff

// MaxCandidates is the most that one table takes.
const MaxCandidates = 250

// Choice is the answer for one address.
type Choice struct {
	// Order has the indices of the nearest three candidates, nearest first, by
	// place.Distance from the coordinates that the database has for the
	// address; equally near ones in the order of the list. None where there
	// are fewer candidates, and everywhere if not Found.
	Order [3]uint8
	// Scope is the length of the widest prefix around the address in which
	// every address has the same Order and Found: 0 to 32 for IPv4, 0 to 128
	// for IPv6.
	Scope uint8
	// Found tells that the database has coordinates for the address.
	Found bool
}

// ErrNoCandidates is returned by Build for an empty list.
var ErrNoCandidates = errors.New("no candidates to choose from")

// Digest is a short name for a list of candidates as far as a table depends
// on it: their coordinates, in order. Lists that differ in names alone share
// their tables.
func Digest(candidates []Candidate) string {
	h := sha256.New()
	for _, c := range candidates {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], math.Float64bits(c.At.Lat))
		binary.BigEndian.PutUint64(b[8:], math.Float64bits(c.At.Lon))
		h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func validate(candidates []Candidate) error {
	if len(candidates) == 0 {
		return ErrNoCandidates
	}
	if len(candidates) > MaxCandidates {
		return fmt.Errorf("%d candidates, more than the limit of %d", len(candidates), MaxCandidates)
	}
	for i, c := range candidates {
		if err := c.At.Validate(); err != nil {
			return fmt.Errorf("candidate %d (%s): %w", i+1, c.Name, err)
		}
	}
	return nil
}
