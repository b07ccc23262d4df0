package zone

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// Bounds of a name on the wire (RFC 1035, 2.3.4).
const (
	maxName   = 255
	maxLabels = 127
)

// Name is a domain name ready for lookups: lower case on the wire, where each
// label starts, and a hash of each of its suffixes. Read and Join fill it; it
// is reused from query to query and allocates nothing. Not safe for concurrent
// use.
type Name struct {
	wire   [maxName + 9]byte // eight octets more, so that a label is read in words
	off    [maxLabels + 1]uint8
	hash   [maxLabels + 1]uint64 // hash[i] is that of the suffix which starts with label i
	size   int
	labels int
}

// seed makes the hashes of one process unlike those of another, so that nobody
// can prepare names that collide.
var seed = [3]uint64{rand.Uint64(), rand.Uint64() | 1, rand.Uint64() | 1}

// lower maps an octet to lower case, ASCII only (RFC 4343).
var lower = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			t[i] = byte(i) + 'a' - 'A'
		}
	}
	return t
}()

// Read takes the uncompressed name at the start of b and says how many octets
// it has. It fails for a name that is cut off, too long, or has a compression
// pointer.
func (n *Name) Read(b []byte) (int, bool) {
	if !n.scan(b) {
		return 0, false
	}
	n.rehash()
	return n.size, true
}

// scan copies the name and notes where its labels start.
func (n *Name) scan(b []byte) bool {
	at, labels := 0, 0
	for {
		if at >= len(b) || at >= maxName {
			return false
		}
		length := int(b[at])
		n.off[labels] = uint8(at)
		n.wire[at] = byte(length)
		at++
		if length == 0 {
			break
		}
		if length > 63 || at+length >= maxName || at+length > len(b) {
			return false
		}
		for end := at + length; at < end; at++ {
			n.wire[at] = lower[b[at]]
		}
		labels++
	}
	n.size, n.labels = at, labels
	return true
}

func (n *Name) rehash() {
	h := seed[0]
	n.hash[n.labels] = h
	for i := n.labels - 1; i >= 0; i-- {
		h = hashLabel(h, &n.wire, int(n.off[i]))
		n.hash[i] = h
	}
}

// hashLabel adds the label at wire[at], its length octet included, to the hash
// of what follows it.
func hashLabel(h uint64, wire *[maxName + 9]byte, at int) uint64 {
	left := int(wire[at]) + 1
	for ; left > 8; left, at = left-8, at+8 {
		h = mix(h^binary.LittleEndian.Uint64(wire[at:at+8]), seed[1])
	}
	word := binary.LittleEndian.Uint64(wire[at:at+8]) & (^uint64(0) >> (64 - 8*uint(left)))
	return mix(h^word, seed[2])
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// starHash is the hash of the label "*" before a suffix with the hash h.
func starHash(h uint64) uint64 { return mix(h^('*'<<8|1), seed[2]) }

// Join makes n the first octets of prefix, which are whole labels, before the
// suffix. It fails when the name would be too long.
func (n *Name) Join(prefix, suffix []byte) bool {
	if len(prefix)+len(suffix) > maxName {
		return false
	}
	var b [maxName]byte
	k := copy(b[:], prefix)
	k += copy(b[k:], suffix)
	_, ok := n.Read(b[:k])
	return ok
}

// Wire is the name in lower case, valid until n is filled again.
func (n *Name) Wire() []byte { return n.wire[:n.size] }

// Labels says how many labels the name has; the root has none.
func (n *Name) Labels() int { return n.labels }

// Offset is where label i starts on the wire; i = Labels() is the root.
func (n *Name) Offset(i int) int { return int(n.off[i]) }

// Hash is that of the whole name, equal within this process for equal names.
func (n *Name) Hash() uint64 { return n.hash[0] }

// SuffixHash is that of the suffix which starts with label i.
func (n *Name) SuffixHash(i int) uint64 { return n.hash[i] }

// Equal compares two names without regard to case.
func (n *Name) Equal(o *Name) bool {
	return n.size == o.size && string(n.wire[:n.size]) == string(o.wire[:o.size])
}
