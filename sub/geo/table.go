package geo

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"runtime"

	"b8s/citydb/mapfile"
)

// Table holds, for all IPv4 and all IPv6 addresses, sorted ranges with one
// outcome each; neighbours differ. All numbers are little-endian. Made by
// Build or Map; its memory is given back when nobody holds the Table any more,
// so it can be swapped under concurrent readers without a word to them.
type Table struct {
	file *mapfile.File // what the blocks lie in, if not in memory

	index4   []byte // uint32 each: for h in 0..65536, how many IPv4 ranges start below h<<16
	start4   []byte // uint32 each: first address of the range; the first is 0
	outcome4 []byte // uint16 each

	start6   []byte // uint64 each: upper half of the range's first address; the first is 0
	outcome6 []byte // uint16 each
	longAt   []byte // uint32 each, sorted: the IPv6 ranges whose start has a lower half
	longLow  []byte // uint64 each: that lower half

	outcomes []byte // 4 bytes each: see outcome
}

// outcome is what ranges have in common: the order and one of the three kinds.
type outcome struct {
	order [3]uint8 // for an alias: the length of its prefix, 0, 0
	kind  uint8
}

const (
	missing uint8 = iota // not in the database
	found
	alias // IPv6 only: the 32 bits behind the prefix are an IPv4 address
)

var notFound = outcome{order: [3]uint8{None, None, None}, kind: missing}

var le = binary.LittleEndian

func u16(b []byte, i int) int    { return int(le.Uint16(b[2*i:])) }
func u32(b []byte, i int) uint32 { return le.Uint32(b[4*i:]) }
func u64(b []byte, i int) uint64 { return le.Uint64(b[8*i:]) }

func (t *Table) outcome(i int) outcome {
	b := t.outcomes[4*i : 4*i+4]
	return outcome{[3]uint8{b[0], b[1], b[2]}, b[3]}
}

// Lookup returns the choice for an address, which the caller has masked to
// the length that it trusts. An IPv4 address mapped into IPv6 is taken as
// IPv4, with the scope counted in its 32 bits. The zero Addr is not found, with
// scope 0.
func (t *Table) Lookup(addr netip.Addr) Choice {
	addr = addr.Unmap()
	var o outcome
	var scope int
	switch {
	case addr.Is4():
		b := addr.As4()
		o, scope = t.lookup4(binary.BigEndian.Uint32(b[:]))
	case addr.Is6():
		b := addr.As16()
		o, scope = t.lookup6(binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]))
	default:
		o = notFound
	}
	runtime.KeepAlive(t) // the blocks must not be unmapped before here
	return Choice{Order: o.order, Scope: uint8(scope), Found: o.kind == found}
}

// lookup4 finds the last range that starts at a or before. The prefix around
// a of length n stays within it if it leaves out the address before its start
// and the address after its end: both differ from a within the first n bits.
func (t *Table) lookup4(a uint32) (outcome, int) {
	lo, hi := int(u32(t.index4, int(a>>16))), int(u32(t.index4, int(a>>16)+1))
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if u32(t.start4, mid) <= a {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	at, scope := lo-1, 0
	if at > 0 {
		scope = bits.LeadingZeros32(a^(u32(t.start4, at)-1)) + 1
	}
	if 4*lo < len(t.start4) {
		scope = max(scope, bits.LeadingZeros32(a^u32(t.start4, lo))+1)
	}
	return t.outcome(u16(t.outcome4, at)), scope
}

func (t *Table) lookup6(hi, lo uint64) (outcome, int) {
	at := t.range6(hi, lo)
	o := t.outcome(u16(t.outcome6, at))
	if o.kind == alias {
		depth := int(o.order[0])
		o, scope := t.lookup4(embedded(hi, lo, depth))
		return o, depth + scope
	}
	scope := 0
	if at > 0 {
		h, l := t.start6At(at)
		before, borrow := bits.Sub64(l, 1, 0)
		h, _ = bits.Sub64(h, 0, borrow)
		scope = common(hi^h, lo^before) + 1
	}
	if 8*(at+1) < len(t.start6) {
		h, l := t.start6At(at + 1)
		scope = max(scope, common(hi^h, lo^l)+1)
	}
	return o, scope
}

// embedded is the IPv4 address in the 32 bits behind the first depth.
func embedded(hi, lo uint64, depth int) uint32 {
	switch {
	case depth <= 32:
		return uint32(hi >> (32 - depth))
	case depth < 64:
		return uint32(hi<<(depth-32) | lo>>(96-depth))
	default:
		return uint32(lo >> (96 - depth))
	}
}

// common counts the leading zero bits of 128.
func common(hi, lo uint64) int {
	if hi != 0 {
		return bits.LeadingZeros64(hi)
	}
	return 64 + bits.LeadingZeros64(lo)
}

// range6 returns the last IPv6 range that starts at (hi, lo) or before.
func (t *Table) range6(hi, lo uint64) int {
	at := t.after6(hi) - 1
	if len(t.longAt) == 0 || u64(t.start6, at) != hi {
		return at
	}
	// Several ranges may start within this /64: their lower halves decide.
	first := 0
	if hi > 0 {
		first = t.after6(hi - 1)
	}
	for first < at {
		mid := int(uint(first+at+1) >> 1)
		if t.low6(mid) <= lo {
			first = mid
		} else {
			at = mid - 1
		}
	}
	if t.low6(at) > lo { // even the first of them starts later
		return at - 1
	}
	return at
}

// after6 counts the ranges whose upper half is at most hi.
func (t *Table) after6(hi uint64) int {
	lo, n := 0, len(t.start6)/8
	for lo < n {
		mid := int(uint(lo+n) >> 1)
		if u64(t.start6, mid) <= hi {
			lo = mid + 1
		} else {
			n = mid
		}
	}
	return lo
}

func (t *Table) start6At(at int) (hi, lo uint64) { return u64(t.start6, at), t.low6(at) }

// low6 is the lower half of a range's start: 0 but for those in longAt.
func (t *Table) low6(at int) uint64 {
	lo, n := 0, len(t.longAt)/4
	for lo < n {
		mid := int(uint(lo+n) >> 1)
		if int(u32(t.longAt, mid)) < at {
			lo = mid + 1
		} else {
			n = mid
		}
	}
	if 4*lo < len(t.longAt) && int(u32(t.longAt, lo)) == at {
		return u64(t.longLow, lo)
	}
	return 0
}

// Size is the table's memory in bytes.
func (t *Table) Size() int {
	n := 0
	for _, b := range t.blocks() {
		n += len(*b)
	}
	return n
}

// Ranges tells how many IPv4 and IPv6 ranges the table has.
func (t *Table) Ranges() (v4, v6 int) { return len(t.start4) / 4, len(t.start6) / 8 }
