package zone

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/miekg/dns"
)

// encoder turns RRsets into their wire form and back.
type encoder struct {
	apex  []byte
	out   []byte
	fixes []uint16
	known []suffix
	plain []byte
}

// suffix is a name, or the end of one, that stands in the RRset at place at.
type suffix struct {
	wire []byte
	at   int
}

// Bounds of what later names may point to: the search stays short, and the
// pointer within reach.
const (
	maxKnown   = 48
	maxPointed = 0x1000
)

// names says where compressible names stand in rdata: how many octets come
// first, and how many names follow. Only the types of RFC 1035 may be
// compressed (RFC 3597, section 4).
func names(rrtype uint16) (skip, count int) {
	switch rrtype {
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR, dns.TypeMB, dns.TypeMD, dns.TypeMF, dns.TypeMG, dns.TypeMR:
		return 0, 1
	case dns.TypeMX:
		return 2, 1
	case dns.TypeSOA, dns.TypeMINFO:
		return 0, 2
	}
	return 0, 0
}

// rrset writes the wire form to e.out, its fixes to e.fixes.
func (e *encoder) rrset(s *openSet) error {
	e.out, e.fixes, e.known = e.out[:0], e.fixes[:0], e.known[:0]
	if s.rrtype == typeHost {
		e.out = append(e.out, s.data[2:]...)
		return nil
	}
	for d := s.data; len(d) > 0; {
		size := int(binary.BigEndian.Uint16(d))
		if err := e.record(s.rrtype, s.ttl, d[2:2+size]); err != nil {
			return err
		}
		d = d[2+size:]
		if len(e.out) > maxSet {
			return fmt.Errorf("RRset %s is larger than a message", dns.Type(s.rrtype))
		}
	}
	return nil
}

func (e *encoder) record(rrtype uint16, ttl uint32, rdata []byte) error {
	e.out = binary.BigEndian.AppendUint16(e.out, pointer|question)
	e.out = binary.BigEndian.AppendUint16(e.out, rrtype)
	e.out = binary.BigEndian.AppendUint16(e.out, dns.ClassINET)
	e.out = binary.BigEndian.AppendUint32(e.out, ttl)
	head := len(e.out)
	e.out = append(e.out, 0, 0)
	skip, count := names(rrtype)
	if !wellFormed(rdata, skip, count) {
		return fmt.Errorf("rdata of %s is cut off", dns.Type(rrtype))
	}
	if count > 0 {
		e.out = append(e.out, rdata[:skip]...)
		rdata = rdata[skip:]
		for range count {
			end := nameEnd(rdata)
			e.name(rdata[:end])
			rdata = rdata[end:]
		}
	}
	e.out = append(e.out, rdata...)
	binary.BigEndian.PutUint16(e.out[head:], uint16(len(e.out)-head-2))
	return nil
}

// name writes a name with its longest known end as a pointer.
func (e *encoder) name(wire []byte) {
	for len(wire) > 1 {
		if len(e.apex) > 1 && equalFold(wire, e.apex) {
			e.point(pointer)
			return
		}
		for _, k := range e.known {
			if equalFold(wire, k.wire) {
				e.point(pointer | uint16(k.at))
				return
			}
		}
		if len(e.out) < maxPointed && len(e.known) < maxKnown {
			e.known = append(e.known, suffix{wire, len(e.out)})
		}
		label := 1 + int(wire[0])
		e.out = append(e.out, wire[:label]...)
		wire = wire[label:]
	}
	e.out = append(e.out, 0)
}

func (e *encoder) point(to uint16) {
	e.fixes = append(e.fixes, uint16(len(e.out)))
	e.out = binary.BigEndian.AppendUint16(e.out, to)
}

// expand gives the rdata of the record at place i without compression, valid
// until the next call, and where the next record starts.
func (e *encoder) expand(set RRset, i int) (rdata []byte, next int) {
	at, size, next := set.Rdata(i)
	skip, count := names(set.Type)
	if count == 0 || len(set.fixes) == 0 {
		return set.wire[at:next], next
	}
	e.plain = append(e.plain[:0], set.wire[at:at+skip]...)
	from := at + skip
	for range count {
		from = e.expandName(set.wire, from)
	}
	e.plain = append(e.plain, set.wire[from:at+size]...)
	return e.plain, next
}

// expandName adds the name at place at and says where it ends there.
func (e *encoder) expandName(wire []byte, at int) (end int) {
	for {
		switch length := int(wire[at]); {
		case length == 0:
			e.plain = append(e.plain, 0)
			return max(end, at+1)
		case length >= 0xC0:
			end = max(end, at+2)
			if at = int(binary.BigEndian.Uint16(wire[at:]) &^ pointer); at == 0 {
				e.plain = append(e.plain, e.apex...)
				return end
			}
		default:
			e.plain = append(e.plain, wire[at:at+1+length]...)
			at += 1 + length
		}
	}
}

// nameEnd is where the uncompressed name at the start of b ends; len(b) when it
// doesn't.
func nameEnd(b []byte) int {
	for i := 0; i < len(b); i += 1 + int(b[i]) {
		if b[i] == 0 {
			return i + 1
		}
	}
	return len(b)
}

// wellFormed reports whether rdata has its names where they should be.
func wellFormed(rdata []byte, skip, count int) bool {
	if len(rdata) < skip {
		return false
	}
	rdata = rdata[skip:]
	for range count {
		end := nameEnd(rdata)
		if end == 0 || rdata[end-1] != 0 {
			return false
		}
		rdata = rdata[end:]
	}
	return true
}

func equalFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower[a[i]] != lower[b[i]] {
			return false
		}
	}
	return true
}

// wireText is a name on the wire as text.
func wireText(wire []byte) string {
	s, _, err := dns.UnpackDomainName(wire, 0)
	if err != nil {
		return "?"
	}
	return s
}

var errFull = errors.New("zone is larger than 4 GiB")
