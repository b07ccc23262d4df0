// Package zone holds authoritative zones in the form that a nameserver answers
// from: all nodes and RRsets of a zone in one arena of octets, found by an
// open-addressing table of hashes. There are no pointers in either, so that a
// million records cost the garbage collector nothing, and an RRset is stored
// as it goes on the wire.
//
// A Zone and a Set are immutable once made, and safe for concurrent use. A
// Builder is not. Lookups allocate nothing.
//
// Lookup follows RFC 1034 4.3.2 as made precise by RFC 2181, 4592 (wildcards,
// empty non-terminals) and 6672 (DNAME). Names below a zone cut or a DNAME are
// occluded: they are never answered, but serve as glue.
package zone

import (
	"encoding/binary"
	"fmt"

	"b8s/zonefile"
)

// Host is an owner name whose A and AAAA are answered by the place of the
// asker. Its node exists though no static address stands there; other types at
// the name come from the zone. "*.example.com." is a wildcard as in RFC 4592.
type Host struct {
	Name   string // absolute; upper and lower case are equal
	Policy uint16 // which of the nameserver's policies answers
	TTL    uint32 // of the answers, in seconds
}

// Zone is one zone, ready to answer.
type Zone struct {
	apex   string
	wire   []byte // of the apex, lower case
	labels int
	hash   uint64
	serial uint32
	count  int

	arena []byte
	table []uint64 // upper half: the lower one of the hash; lower half: where in arena, 0 = free
	soa   RRset    // as negative answers carry it
}

// Flags of a node.
const (
	flagCut      = 1 << iota // NS below the apex: the parent's side of a zone cut
	flagDname                // holds a DNAME
	flagWild                 // has a child "*"
	flagOccluded             // stands below a cut or a DNAME
	flagGeo                  // a Host
	flagDead                 // left behind when the node moved; not in the table
)

// A node in the arena: flags (1), length of its name (1), number of RRsets
// (2), its name relative to the apex without the root, then the RRsets.
const nodeHead = 4

// FromFile compiles a checked zone and its hosts. The error names the zone,
// the record or host, and the reason.
func FromFile(z *zonefile.Zone, hosts []Host) (*Zone, error) {
	b, err := NewBuilder(z.Apex)
	if err != nil {
		return nil, err
	}
	b.Grow(len(z.Records))
	for _, rr := range z.Records {
		if err := b.Add(rr); err != nil {
			return nil, err
		}
	}
	for _, h := range hosts {
		if err := b.AddHost(h); err != nil {
			return nil, err
		}
	}
	return b.Zone()
}

// Apex is the zone's name in lower case, absolute.
func (z *Zone) Apex() string { return z.apex }

// Serial is that of the SOA.
func (z *Zone) Serial() uint32 { return z.serial }

// Records says how many records the zone has, hosts not among them.
func (z *Zone) Records() int { return z.count }

// Size is the memory that the zone takes, in octets.
func (z *Zone) Size() int { return len(z.arena) + 8*len(z.table) }

// Negative is the SOA as negative answers carry it: with the lesser of its TTL
// and its MINIMUM as TTL (RFC 2308).
func (z *Zone) Negative() RRset { return z.soa }

func (z *Zone) String() string { return fmt.Sprintf("%s serial %d", z.apex, z.serial) }

// find gives the node of the suffix of n which starts with label; apexOff is
// where the zone's apex starts in n. 0: no such node.
func (z *Zone) find(n *Name, label, apexOff int) uint32 {
	h, rel := uint32(n.hash[label]), n.wire[n.off[label]:apexOff]
	for i := slot(h, len(z.table)); ; {
		e := z.table[i]
		if e == 0 {
			return 0
		}
		if uint32(e>>32) == h && string(z.name(uint32(e))) == string(rel) {
			return uint32(e)
		}
		if i++; i == len(z.table) {
			i = 0
		}
	}
}

// findStar gives the node "*" below the suffix of n which starts with label.
func (z *Zone) findStar(n *Name, label, apexOff int) uint32 {
	h, rel := uint32(starHash(n.hash[label])), n.wire[n.off[label]:apexOff]
	for i := slot(h, len(z.table)); ; {
		e := z.table[i]
		if e == 0 {
			return 0
		}
		if uint32(e>>32) == h {
			name := z.name(uint32(e))
			if len(name) == len(rel)+2 && name[0] == 1 && name[1] == '*' && string(name[2:]) == string(rel) {
				return uint32(e)
			}
		}
		if i++; i == len(z.table) {
			i = 0
		}
	}
}

// slot spreads a hash over a table of any length.
func slot(h uint32, n int) int { return int(uint64(h) * uint64(n) >> 32) }

// name is a node's name relative to the apex.
func (z *Zone) name(node uint32) []byte {
	return z.arena[node+nodeHead : node+nodeHead+uint32(z.arena[node+1])]
}

func (z *Zone) flags(node uint32) byte { return z.arena[node] }

// sets says how many RRsets a node has, and where they start.
func (z *Zone) sets(node uint32) (count int, at uint32) {
	return int(binary.BigEndian.Uint16(z.arena[node+2:])), node + nodeHead + uint32(z.arena[node+1])
}
