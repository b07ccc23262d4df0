package zone

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// addNode writes a node with its RRsets into the arena, sees to it that the
// names above it exist, and puts it into the table in place of an older one.
func (b *Builder) addNode(n *Name, flags byte, sets []openSet) error {
	apexOff := int(n.off[n.labels-b.z.labels])
	if err := b.addAbove(n, 1, apexOff); err != nil {
		return err
	}
	if len(b.z.arena) > math.MaxUint32-(1<<24) {
		return errFull
	}
	at := uint32(len(b.z.arena))
	a := append(b.z.arena, flags, byte(apexOff))
	a = binary.BigEndian.AppendUint16(a, uint16(len(sets)))
	a = append(a, n.wire[:apexOff]...)
	for i := range sets {
		if err := b.enc.rrset(&sets[i]); err != nil {
			return fmt.Errorf("%s: %w", wireText(n.Wire()), err)
		}
		a = b.enc.appendTo(a, &sets[i])
	}
	b.z.arena = a
	b.put(n, at, apexOff)
	return nil
}

// appendTo adds the RRset just encoded to the arena.
func (e *encoder) appendTo(a []byte, s *openSet) []byte {
	size := uint32(len(e.out))
	if len(e.fixes) > 0 {
		size |= hasFixes
	}
	a = binary.BigEndian.AppendUint16(a, s.rrtype)
	a = binary.BigEndian.AppendUint16(a, uint16(s.count))
	a = binary.BigEndian.AppendUint32(a, size)
	a = append(a, e.out...)
	if len(e.fixes) == 0 {
		return a
	}
	a = binary.BigEndian.AppendUint16(a, uint16(len(e.fixes)))
	for _, f := range e.fixes {
		a = binary.BigEndian.AppendUint16(a, f)
	}
	return a
}

// addAbove makes the empty non-terminals above a new node, and tells the
// parent of a wildcard.
func (b *Builder) addAbove(n *Name, label, apexOff int) error {
	if int(n.off[label-1]) >= apexOff || b.z.find(n, label-1, apexOff) != 0 {
		return nil
	}
	if int(n.off[label]) < apexOff && b.z.find(n, label, apexOff) == 0 {
		var above Name
		above.Read(n.wire[n.off[label]:n.size])
		if err := b.addNode(&above, 0, nil); err != nil {
			return err
		}
	}
	if n.wire[n.off[label-1]] == 1 && n.wire[n.off[label-1]+1] == '*' {
		b.z.arena[b.z.find(n, label, apexOff)] |= flagWild
	}
	return nil
}

// put enters a node into the table; an older one of that name is dead then.
func (b *Builder) put(n *Name, at uint32, apexOff int) {
	if old := b.z.find(n, 0, apexOff); old != 0 {
		b.z.arena[at] |= b.z.arena[old] & flagWild
		b.z.arena[old] |= flagDead
		b.dead += int(b.z.end(old) - old)
		b.z.replace(uint32(n.hash[0]), old, at)
		return
	}
	if b.nodes++; b.nodes*4 > len(b.z.table)*3 {
		old := b.z.table
		b.z.table = make([]uint64, 2*len(old))
		for _, e := range old {
			if e != 0 {
				b.z.insert(uint32(e>>32), uint32(e))
			}
		}
	}
	b.z.insert(uint32(n.hash[0]), at)
}

func (z *Zone) insert(h, at uint32) {
	i := slot(h, len(z.table))
	for z.table[i] != 0 {
		if i++; i == len(z.table) {
			i = 0
		}
	}
	z.table[i] = uint64(h)<<32 | uint64(at)
}

func (z *Zone) replace(h, old, at uint32) {
	for i := slot(h, len(z.table)); ; {
		if z.table[i] == uint64(h)<<32|uint64(old) {
			z.table[i] = uint64(h)<<32 | uint64(at)
			return
		}
		if i++; i == len(z.table) {
			i = 0
		}
	}
}

// end is where the node's RRsets end.
func (z *Zone) end(node uint32) uint32 {
	count, at := z.sets(node)
	for range count {
		at = z.skip(at)
	}
	return at
}

// Zone ends the building. The builder is used up.
func (b *Builder) Zone() (*Zone, error) {
	if b.err == nil {
		b.err = b.flush()
	}
	if b.err == nil {
		b.err = b.finish()
	}
	if b.err != nil {
		return nil, fmt.Errorf("compile zone %s: %w", b.z.apex, b.err)
	}
	z := b.z
	b.z, b.err = Zone{}, errors.New("the zone is already made")
	return &z, nil
}

func (b *Builder) finish() error {
	if b.cuts {
		b.z.markOccluded()
	}
	b.compact()
	var apex Name
	apex.Read(b.z.wire)
	soa, ok := b.z.set(b.z.find(&apex, 0, 0), typeSOA)
	if !ok || soa.Count != 1 {
		return errors.New("want one SOA at the apex")
	}
	rdata, _ := b.enc.expand(soa, 0)
	if len(rdata) < 22 {
		return errors.New("SOA is cut off")
	}
	tail := rdata[len(rdata)-20:]
	b.z.serial = binary.BigEndian.Uint32(tail)
	minimum := binary.BigEndian.Uint32(tail[16:])
	b.z.soa = RRset{Type: typeSOA, Count: 1, wire: append([]byte(nil), soa.wire...), fixes: soa.fixes}
	ttl := b.z.soa.wire[6:10]
	binary.BigEndian.PutUint32(ttl, min(minimum, binary.BigEndian.Uint32(ttl)))
	return nil
}

// markOccluded finds the names below zone cuts and DNAMEs.
func (z *Zone) markOccluded() {
	var n Name
	for _, e := range z.table {
		if e == 0 {
			continue
		}
		node := uint32(e)
		rel := z.name(node)
		n.Join(rel, z.wire)
		for label := 1; int(n.off[label-1]) < len(rel); label++ {
			if above := z.find(&n, label, len(rel)); z.flags(above)&(flagCut|flagDname) != 0 {
				z.arena[node] |= flagOccluded
				break
			}
		}
	}
}

// compact moves the nodes together when a good part of the arena is dead or
// unused, and fits the table to their number.
func (b *Builder) compact() {
	z := &b.z
	if waste := b.dead + cap(z.arena) - len(z.arena); waste > len(z.arena)/16 {
		z.move(make([]byte, 1, len(z.arena)-b.dead))
	}
	if want := b.nodes*4/3 + 2; want < len(z.table)*7/8 {
		old := z.table
		z.table = make([]uint64, want)
		for _, e := range old {
			if e != 0 {
				z.insert(uint32(e>>32), uint32(e))
			}
		}
	}
}

// move copies the living nodes into another arena, in their order.
func (z *Zone) move(to []byte) {
	var n Name
	for node := uint32(1); node < uint32(len(z.arena)); {
		end := z.end(node)
		if z.flags(node)&flagDead == 0 {
			n.Join(z.name(node), z.wire)
			z.replace(uint32(n.hash[0]), node, uint32(len(to)))
			to = append(to, z.arena[node:end]...)
		}
		node = end
	}
	z.arena = to
}
