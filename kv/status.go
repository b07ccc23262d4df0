package kv

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"b8s/subjects"
)

// MaxStatus is how large a status may be, in bytes.
const MaxStatus = 32 << 10

// Status is what a sub says of itself. Encode keeps it below MaxStatus.
type Status struct {
	Schema   float64 `json:"schema"`
	Sub      string  `json:"sub"`
	Version  string  `json:"version"`
	Platform string  `json:"platform"` // as in linux/amd64

	Recipient string   `json:"recipient,omitempty"` // age's, for what is sealed to it
	DNS       []string `json:"dns,omitempty"`       // ADDRESS:PORT where it answers

	Boot    time.Time               `json:"boot"`   // when the process started
	Time    time.Time               `json:"time"`   // when this was written, by the sub's clock
	Uptime  int64                   `json:"uptime"` // of the process, seconds
	Buckets map[string]BucketStatus `json:"buckets"`
	Zones   ZoneStatus              `json:"zones"`
	GeoLite GeoLiteStatus           `json:"geolite"`

	DiskFree   int64 `json:"disk_free"` // bytes, where the state folder is
	DiskTotal  int64 `json:"disk_total"`
	MemoryFree int64 `json:"memory_free"` // bytes, of the machine
	MemoryUsed int64 `json:"memory_used"` // bytes, by the process

	Problems    []string `json:"problems,omitempty"`
	ProblemsCut int      `json:"problems_cut,omitempty"` // how many more there are
}

// BucketStatus is what a sub serves of one bucket.
type BucketStatus struct {
	Epoch       uint64     `json:"epoch"`
	Created     int64      `json:"created"`  // of the stream, Unix nanoseconds
	Revision    uint64     `json:"revision"` // everything up to it is applied
	Digest      string     `json:"digest"`   // SumDigest of what is served
	BehindSince time.Time  `json:"behind_since,omitzero"`
	BehindError string     `json:"behind_error,omitempty"` // why the dom's state can't be read
	DiskError   string     `json:"disk_error,omitempty"`   // why the snapshot on disk is older
	Fault       string     `json:"fault,omitempty"`        // why the whole bucket stands still
	FaultSince  time.Time  `json:"fault_since,omitzero"`
	Faults      []KeyFault `json:"faults,omitempty"`
	FaultsCut   int        `json:"faults_cut,omitempty"` // how many more there are
}

// KeyFault is one key whose newest value is not served; the one before is.
type KeyFault struct {
	Key      string    `json:"key"`
	Revision uint64    `json:"revision"` // that is not served
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
}

// ZoneStatus is the serial of each zone that a sub serves, by apex.
type ZoneStatus struct {
	Count   int               `json:"count"`
	Digest  string            `json:"digest"`            // over apexes and serials
	Serials map[string]uint32 `json:"serials,omitempty"` // left out when there are many
}

// GeoLiteStatus is the city database that a sub uses; the zero value is none.
type GeoLiteStatus struct {
	Digest string    `json:"digest,omitempty"`
	Built  time.Time `json:"built,omitzero"`
	Since  time.Time `json:"since,omitzero"` // when the sub swapped to it
}

// maxSerials is up to how many zones a status lists their serials.
const maxSerials = 500

// ZoneSerials makes a ZoneStatus of serials by apex.
func ZoneSerials(serials map[string]uint32) ZoneStatus {
	h := sha256.New()
	for _, apex := range slices.Sorted(maps.Keys(serials)) {
		fmt.Fprintf(h, "%s %d\n", apex, serials[apex])
	}
	z := ZoneStatus{Count: len(serials), Digest: hex.EncodeToString(h.Sum(nil)[:16])}
	if len(serials) <= maxSerials {
		z.Serials = serials
	}
	return z
}

// Encode makes the status's JSON, below MaxStatus bytes whatever it holds:
// lists are cut, with a count of what was left out, until it fits. s itself is
// not changed.
func (s Status) Encode() ([]byte, error) {
	s.Schema = schemaOr(s.Schema)
	for _, keep := range []struct{ list, text int }{{100, 400}, {20, 300}, {8, 200}, {3, 100}, {0, 0}} {
		b, err := json.Marshal(s.cut(keep.list, keep.text))
		if err != nil || len(b) <= MaxStatus {
			return b, err
		}
		s.Zones.Serials = nil
	}
	return nil, fmt.Errorf("status of sub %.63s: above %d bytes with all lists left out", s.Sub, MaxStatus)
}

// cut is s with at most list items in each list and text bytes in each text.
func (s Status) cut(list, text int) Status {
	s.Version, s.Platform = shorten(s.Version, 64), shorten(s.Platform, 64)
	s.Problems, s.ProblemsCut = head(s.Problems, list, s.ProblemsCut)
	s.Problems = slices.Clone(s.Problems)
	for i, p := range s.Problems {
		s.Problems[i] = shorten(p, text)
	}
	buckets := map[string]BucketStatus{}
	for name, b := range s.Buckets {
		if _, ok := subjects.LookupBucket(name); !ok {
			continue
		}
		b.Fault = shorten(b.Fault, max(text, 100))
		b.BehindError, b.DiskError = shorten(b.BehindError, max(text, 100)), shorten(b.DiskError, max(text, 100))
		b.Faults, b.FaultsCut = head(b.Faults, list, b.FaultsCut)
		b.Faults = slices.Clone(b.Faults)
		for i := range b.Faults {
			b.Faults[i].Reason = shorten(b.Faults[i].Reason, text)
		}
		buckets[name] = b
	}
	s.Buckets = buckets
	return s
}

func head[T any](list []T, n, cut int) ([]T, int) {
	if len(list) <= n {
		return list, cut
	}
	return list[:n], cut + len(list) - n
}

// shorten cuts s to n bytes or less, at a rune, with an ellipsis.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n = max(n-len("…"), 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// DecodeStatus reads a status.
func DecodeStatus(value []byte) (Status, error) {
	if len(value) > MaxStatus {
		return Status{}, fmt.Errorf("%w: status of %d bytes, at most %d", ErrInvalid, len(value), MaxStatus)
	}
	s, err := decode[Status](value)
	if err != nil {
		return s, err
	}
	if err := subjects.ValidName(s.Sub); err != nil {
		return s, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return s, nil
}
