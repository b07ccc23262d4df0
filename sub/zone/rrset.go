package zone

import "encoding/binary"

// The RRset of a Host has a type that no record can have (RFC 6895: reserved).
const typeHost = 0

// An RRset in the arena: type (2), number of records (2), length of its wire
// form with the top bit for "has fixes" (4), the wire form, then, with fixes,
// their number (2) and the place of each (2).
//
// The wire form has each record with its owner as a pointer to the question's
// name. A fix is a place where a compression pointer stands whose target
// depends on the message: 0xC000 for the apex, 0xC000+n for octet n of the
// wire form itself.
const (
	setHead  = 8
	hasFixes = 1 << 31
	pointer  = 0xC000
	question = 12 // where the question's name stands in a message
)

// RRset is a set of records of one name and type. The zero value is none.
type RRset struct {
	Type  uint16
	Count int
	wire  []byte
	fixes []byte
}

// Len says how many octets the RRset takes in a message.
func (r RRset) Len() int { return len(r.wire) }

// rrset reads the one at place at and says where the next one begins.
func (z *Zone) rrset(at uint32) (r RRset, next uint32) {
	head := z.arena[at : at+setHead]
	size := binary.BigEndian.Uint32(head[4:])
	r.Type, r.Count = binary.BigEndian.Uint16(head), int(binary.BigEndian.Uint16(head[2:]))
	at += setHead
	next = at + size&^hasFixes
	r.wire = z.arena[at:next:next]
	if size&hasFixes != 0 {
		end := next + 2 + 2*uint32(binary.BigEndian.Uint16(z.arena[next:]))
		r.fixes = z.arena[next+2 : end : end]
		next = end
	}
	return r, next
}

// set finds a node's RRset by type.
func (z *Zone) set(node uint32, rrtype uint16) (RRset, bool) {
	count, at := z.sets(node)
	for range count {
		if binary.BigEndian.Uint16(z.arena[at:]) == rrtype {
			r, _ := z.rrset(at)
			return r, true
		}
		at = z.skip(at)
	}
	return RRset{}, false
}

// skip says where the RRset after the one at place at begins.
func (z *Zone) skip(at uint32) uint32 {
	size := binary.BigEndian.Uint32(z.arena[at+4:])
	at += setHead + size&^hasFixes
	if size&hasFixes != 0 {
		at += 2 + 2*uint32(binary.BigEndian.Uint16(z.arena[at:]))
	}
	return at
}

// Put writes the RRset into msg at place at and says where it ends. owner and
// apex are compression pointers to its owner and to its zone's apex. msg must
// have room for Len octets. What is beyond the reach of a pointer (16 KiB) is
// the caller's care: at must be below 8,192.
func (r RRset) Put(msg []byte, at int, owner, apex uint16) int {
	end := at + copy(msg[at:], r.wire)
	if owner != pointer|question {
		for i := at; i < end; {
			binary.BigEndian.PutUint16(msg[i:], owner)
			i += 12 + int(binary.BigEndian.Uint16(msg[i+10:]))
		}
	}
	for f := r.fixes; len(f) >= 2; f = f[2:] {
		i := at + int(binary.BigEndian.Uint16(f))
		if target := binary.BigEndian.Uint16(msg[i:]); target == pointer {
			binary.BigEndian.PutUint16(msg[i:], apex)
		} else {
			binary.BigEndian.PutUint16(msg[i:], target+uint16(at))
		}
	}
	return end
}

// Rdata steps through the records: it gives the place of the rdata of the
// record that starts at place i of the RRset, its length, and where the next
// record starts. The first one starts at 0, the last one ends at Len.
func (r RRset) Rdata(i int) (at, size, next int) {
	size = int(binary.BigEndian.Uint16(r.wire[i+10:]))
	return i + 12, size, i + 12 + size
}

// Target reads into n the name at place at of the RRset, as Rdata gives it for
// NS, CNAME and DNAME; split says how many of its octets stand there before a
// compression pointer to the zone's apex, or that all do.
func (r RRset) Target(z *Zone, at int, n *Name) (split int, ok bool) {
	var b [maxName]byte
	size, jumped := 0, false
	for at < len(r.wire) {
		length := int(r.wire[at])
		if length >= 0xC0 {
			to := int(binary.BigEndian.Uint16(r.wire[at:]) &^ pointer)
			if !jumped {
				split, jumped = size, true
			}
			if to == 0 {
				size += copy(b[size:], z.wire)
				break
			}
			at = to
			continue
		}
		if size+1+length > maxName {
			return 0, false
		}
		size += copy(b[size:], r.wire[at:at+1+length])
		at += 1 + length
		if length == 0 {
			break
		}
	}
	_, ok = n.Read(b[:size])
	if !jumped {
		split = size
	}
	return split, ok
}

// host reads the RRset of a Host.
func (r RRset) host() (policy uint16, ttl uint32) {
	return binary.BigEndian.Uint16(r.wire), binary.BigEndian.Uint32(r.wire[2:])
}

// TTL is that of the records.
func (r RRset) TTL() uint32 { return binary.BigEndian.Uint32(r.wire[6:]) }
