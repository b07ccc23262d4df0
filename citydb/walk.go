package citydb

import (
	"fmt"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Record is the identity of a record within one open database: equal Records
// are the same data, so a caller decodes each distinct one once.
type Record uint32

const (
	// None stands for a network that the database has no record for.
	None Record = 0
	// IPv4 stands, in Walk6 alone, for an IPv6 network whose next 32 bits are
	// an IPv4 address, to be looked up as such: ::/96, 2002::/16 (6to4),
	// 2001::/32 (Teredo's server), ::ffff:0:0/96 and what else the database
	// aliases.
	IPv4 Record = 1<<32 - 1
)

// tree is the search tree of a database: binary, one level an address bit,
// each node a pair of pointers. A pointer below count is a node, count itself
// means no record, and anything above is a record.
type tree struct {
	nodes     []byte // count nodes of size bytes
	count     uint32
	size      uint32 // bytes a node: 6, 7 or 8
	version   uint
	v4        uint32 // where the IPv4 addresses start, maybe not a node
	dataBytes uint32
}

// separator is the number of bytes between tree and data, which count as
// offsets in a record's pointer.
const separator = 16

func newTree(b []byte, m maxminddb.Metadata) (tree, error) {
	if m.RecordSize != 24 && m.RecordSize != 28 && m.RecordSize != 32 {
		return tree{}, fmt.Errorf("record size %d is not 24, 28 or 32 bits", m.RecordSize)
	}
	if m.IPVersion != 4 && m.IPVersion != 6 {
		return tree{}, fmt.Errorf("IP version %d is not 4 or 6", m.IPVersion)
	}
	size := m.RecordSize / 4
	if m.NodeCount == 0 || m.NodeCount > uint(len(b))/size {
		return tree{}, fmt.Errorf("a tree of %d nodes does not fit in a file of %d bytes", m.NodeCount, len(b))
	}
	end := m.NodeCount * size
	t := tree{nodes: b[:end:end], count: uint32(m.NodeCount), size: uint32(size), version: m.IPVersion}
	t.dataBytes = uint32(uint(len(b)) - end)
	if m.IPVersion == 6 {
		for range 96 {
			if t.v4 >= t.count {
				break
			}
			t.v4, _ = t.children(t.v4)
		}
	}
	return t, nil
}

// children returns the pointers of a node below count.
func (t *tree) children(node uint32) (left, right uint32) {
	switch b := t.nodes[uint(node)*uint(t.size):]; t.size {
	case 6:
		_ = b[5]
		return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]),
			uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5])
	case 7:
		_ = b[6]
		return uint32(b[3]&0xf0)<<20 | uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]),
			uint32(b[3]&0x0f)<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6])
	default:
		_ = b[7]
		return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]),
			uint32(b[4])<<24 | uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7])
	}
}

// record turns a pointer of at least count into a Record.
func (t *tree) record(p uint32) Record {
	if p == t.count {
		return None
	}
	return Record(p)
}

// Networks gives the networks of an open database to whoever computes
// something from all of them. It is valid only within DB.Networks.
type Networks struct{ db *DB }

// Networks calls f, and keeps the database from being closed until f returns.
// f must not call methods of db itself.
func (db *DB) Networks(f func(Networks) error) error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.buf == nil {
		return ErrClosed
	}
	return f(Networks{db})
}

// Walk4 calls visit for every network of the IPv4 address space in address
// order, those without a record included, so that each ends where the next
// starts and the first starts at 0. It stops when visit returns an error, and
// returns that error; a tree that is not one ends in an error too.
func (n Networks) Walk4(visit func(start uint32, r Record) error) error {
	w := newWalker(&n.db.tree)
	w.visit = func(_, lo uint64, r Record) error { return visit(uint32(lo), r) }
	return w.from(w.v4, 0, 0, 96)
}

// Walk6 is Walk4 for the IPv6 address space, with the start's upper and lower
// half. Networks that stand for IPv4 addresses are not entered: they are
// visited as one Record IPv4, with bits as the length of their prefix.
func (n Networks) Walk6(visit func(hi, lo uint64, bits uint8, r Record) error) error {
	if n.db.tree.version == 4 {
		return visit(0, 0, 0, None)
	}
	w := newWalker(&n.db.tree)
	w.visit = func(hi, lo uint64, r Record) error { return visit(hi, lo, w.bits, r) }
	w.alias = w.v4 < w.count
	return w.from(0, 0, 0, 0)
}

func newWalker(t *tree) *walker { return &walker{tree: t, left: 4 * uint64(t.count)} }

type walker struct {
	*tree
	visit func(hi, lo uint64, r Record) error
	alias bool   // the node v4 is visited as IPv4
	bits  uint8  // length of the prefix being visited
	left  uint64 // nodes that may still be entered: a graph that shares its branches could take for ever
}

// from visits what is below pointer p, which stands for the addresses whose
// first bits bits are those of hi and lo.
func (w *walker) from(p uint32, hi, lo uint64, bits uint8) error {
	if p >= w.count || w.alias && p == w.v4 {
		return w.leaf(p, hi, lo, bits)
	}
	if bits == 128 {
		return fmt.Errorf("broken search tree: node %d is deeper than an address has bits", p)
	}
	if w.left == 0 {
		return fmt.Errorf("broken search tree: its %d nodes are reached more than four times each", w.count)
	}
	w.left--
	left, right := w.children(p)
	if err := w.from(left, hi, lo, bits+1); err != nil {
		return err
	}
	if bits < 64 {
		hi |= 1 << (63 - bits)
	} else {
		lo |= 1 << (127 - bits)
	}
	return w.from(right, hi, lo, bits+1)
}

func (w *walker) leaf(p uint32, hi, lo uint64, bits uint8) error {
	w.bits = bits
	if w.alias && p == w.v4 {
		return w.visit(hi, lo, IPv4)
	}
	if p > w.count && (p-w.count < separator || p-w.count-separator >= w.dataBytes) {
		return fmt.Errorf("broken search tree: it points outside the file's data")
	}
	return w.visit(hi, lo, w.record(p))
}
