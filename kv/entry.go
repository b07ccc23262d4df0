// Package kv keeps typed buckets and objects on the bus: a Store on the dom,
// which is the source of truth, and a Replica on each sub, which holds the last
// good state of each bucket on its own disk.
//
// What a caller may rely on:
//
//   - A value that Put accepted decodes and can be served: Validate runs before
//     it is stored, and again on the sub before it is applied.
//   - A Replica starts from its disk alone, and what it serves only changes for
//     a state of the bus that follows from the one it holds, or for one of a
//     higher epoch, which only Store.Force makes. Anything else (a wiped dom, an
//     old backup) is a fault of that bucket: the last good state goes on.
//   - One bad value is that key's fault alone: its last good value goes on, and
//     the other keys follow the dom.
//   - A watch sees the bucket's states in order, one call at a time, and after a
//     burst at least the last one. It does not see each one between.
//   - A snapshot or a blob on disk is complete or absent, never half.
//
// Not promised: that a sub sees each revision; that a snapshot is on disk
// before it is applied (it follows within a second or so; a sub killed between
// boots with the one before and catches up).
package kv

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

var (
	// ErrNotFound is returned for a key or an object that is not there.
	ErrNotFound = errors.New("not found")
	// ErrChanged is returned by Update when the key has another revision.
	ErrChanged = errors.New("changed by somebody else")
	// ErrInvalid is wrapped by what Validate returns.
	ErrInvalid = errors.New("invalid value")
)

// Entry is one revision of one key.
type Entry struct {
	Bucket, Key string
	Value       []byte // not to be written to
	Revision    uint64 // rises with each change in the bucket
	Epoch       uint64 // of the bucket when it was put
	Digest      string // SHA-256 of the value, in hex
	Schema      int    // major version of the value's form
	Created     time.Time
	Deleted     bool // a marker: the key was deleted at that revision

	name string // the key that its header says
}

// The headers of a stored value, so that the value itself stays bare.
const (
	headerEpoch     = "B8s-Epoch"
	headerDigest    = "B8s-Digest"
	headerSchema    = "B8s-Schema"
	headerKey       = "B8s-Key"
	headerOperation = "KV-Operation" // as nats.go writes it
	headerExpected  = "Nats-Expected-Last-Subject-Sequence"
)

// Digest is the SHA-256 of a value, in hex.
func Digest(value []byte) string {
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:])
}

func (e Entry) header() nats.Header {
	h := nats.Header{
		headerEpoch:  {strconv.FormatUint(e.Epoch, 10)},
		headerDigest: {e.Digest},
		headerSchema: {strconv.Itoa(e.Schema)},
		headerKey:    {e.Key},
	}
	if e.Deleted {
		h.Set(headerOperation, "DEL")
	}
	return h
}

// parseEntry makes an entry of a stored message. What only the header says is
// not checked here: see check.
func parseEntry(bucket, key string, h nats.Header, value []byte, revision uint64, created time.Time) Entry {
	e := Entry{
		Bucket: bucket, Key: key, Value: value,
		Revision: revision, Created: created,
		Digest: h.Get(headerDigest), name: h.Get(headerKey),
	}
	e.Epoch, _ = strconv.ParseUint(h.Get(headerEpoch), 10, 64)
	e.Schema, _ = strconv.Atoi(h.Get(headerSchema))
	if op := h.Get(headerOperation); op == "DEL" || op == "PURGE" {
		e.Deleted, e.Value = true, nil
	}
	return e
}

// check says why an entry can't be applied: it was not put by a Store, its
// bytes are not those of its digest, or its value is not valid.
func (e Entry) check() error {
	if e.Deleted {
		return nil
	}
	if e.Epoch == 0 || e.Digest == "" {
		return fmt.Errorf("%w: no epoch or digest with it: it was not put by b8s", ErrInvalid)
	}
	if e.name != e.Key {
		return fmt.Errorf("%w: it was put as key %q", ErrInvalid, e.name)
	}
	if got := Digest(e.Value); got != e.Digest {
		return fmt.Errorf("%w: its bytes have digest %.12s…, its header says %.12s…", ErrInvalid, got, e.Digest)
	}
	if e.Schema > majorSchema {
		return fmt.Errorf("%w: schema %d is newer than this b8s, which reads %d: update it", ErrInvalid, e.Schema, majorSchema)
	}
	return Validate(e.Bucket, e.Key, e.Value)
}

// Head is how far a bucket is on the dom.
type Head struct {
	Created int64  `json:"c"` // when its stream was created, Unix nanoseconds
	Last    uint64 `json:"l"` // its last revision
	Epoch   uint64 `json:"e"`
}

// Heads is the head of each bucket that subs read. As JSON it rides in the
// heartbeat: below 1,000 bytes for eight buckets.
type Heads map[string]Head

// SumDigest is one digest for the values of a bucket, by key: equal when two
// sides serve the same.
func SumDigest(digests map[string]string) string {
	keys := make([]string, 0, len(digests))
	for k := range digests {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	h := sha256.New()
	for _, k := range keys {
		fmt.Fprintf(h, "%s %s\n", k, digests[k])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
