// Package zonefile reads, checks, writes and compares standard master files:
// RFC 1035 section 5 with $TTL (RFC 2308), $GENERATE, unknown types (RFC 3597)
// and any octet in a label.
//
// A Zone that Read or Parse gives can be served: it has one SOA at its apex,
// nothing outside of it, no CNAME beside other data, no name below a DNAME,
// all names absolute and all rdata within the bounds of the wire. Text is its
// canonical form, and Parse(Text) gives an equal zone. Zones are values: they
// are never changed once made, and so are safe for concurrent use.
//
// Every error names file and line, and all that can be found are reported,
// joined, not only the first.
package zonefile

import (
	"strconv"

	"github.com/miekg/dns"
)

// Zone is the content of one zone.
type Zone struct {
	// Apex is lower case, absolute, with the trailing dot.
	Apex string

	// Records are in canonical order (owner by RFC 4034 6.1, type, rdata), the
	// SOA first, without duplicates. Owners are lower case, names in rdata keep
	// their case, and the TTL is equal within an RRset.
	Records []dns.RR

	// Warnings are what other servers accept or mend too, each FILE:LINE:
	// reason. They are not part of Text.
	Warnings []string

	at    []position // of Records, if known
	files []string
}

// position is where a record was read.
type position struct {
	file uint32 // index in files
	line uint32
}

// SOA is the zone's SOA, nil if it has none, which only a Zone that was not
// read can be.
func (z *Zone) SOA() *dns.SOA {
	if len(z.Records) == 0 {
		return nil
	}
	soa, _ := z.Records[0].(*dns.SOA)
	return soa
}

// Serial is that of the SOA, 0 without one.
func (z *Zone) Serial() uint32 {
	if soa := z.SOA(); soa != nil {
		return soa.Serial
	}
	return 0
}

// WithSerial is the same zone with another serial. Records other than the SOA
// are shared.
func (z *Zone) WithSerial(serial uint32) *Zone {
	soa := z.SOA()
	if soa == nil {
		return z
	}
	other, changed := *z, *soa
	changed.Serial = serial
	other.Records = append([]dns.RR{&changed}, z.Records[1:]...)
	return &other
}

// At is FILE:LINE of record i, or "" where it is not known: a record that was
// not read but added.
func (z *Zone) At(i int) string {
	if i < 0 || i >= len(z.at) || z.at[i].line == 0 {
		return ""
	}
	return z.files[z.at[i].file] + ":" + strconv.Itoa(int(z.at[i].line))
}

// RRset is the records of one owner and type, one or more.
type RRset struct {
	Owner   string
	Type    uint16
	Records []dns.RR
	At      string // FILE:LINE of the first, "" if not known
}

// RRsets gives the zone's RRsets in order. RRSIG records of an owner are one
// set, whatever they cover.
func (z *Zone) RRsets(yield func(RRset) bool) {
	for i := 0; i < len(z.Records); {
		j := z.setEnd(i)
		h := z.Records[i].Header()
		if !yield(RRset{h.Name, h.Rrtype, z.Records[i:j:j], z.At(i)}) {
			return
		}
		i = j
	}
}

// setEnd is where the RRset that starts at i ends.
func (z *Zone) setEnd(i int) int {
	h := z.Records[i].Header()
	for i++; i < len(z.Records); i++ {
		if n := z.Records[i].Header(); n.Rrtype != h.Rrtype || n.Name != h.Name {
			break
		}
	}
	return i
}

// Find gives the RRset of owner and type; ok is false if there is none.
func (z *Zone) Find(owner string, rrtype uint16) (set RRset, ok bool) {
	i := z.search(owner)
	for i < len(z.Records) && z.Records[i].Header().Name == owner {
		j := z.setEnd(i)
		if z.Records[i].Header().Rrtype == rrtype {
			return RRset{owner, rrtype, z.Records[i:j:j], z.At(i)}, true
		}
		i = j
	}
	return RRset{}, false
}

// Node gives all records of an owner, nil if there are none.
func (z *Zone) Node(owner string) []dns.RR {
	i := z.search(owner)
	j := i
	for j < len(z.Records) && z.Records[j].Header().Name == owner {
		j++
	}
	return z.Records[i:j:j]
}

// With is the zone with records added. The sum is checked as Read does; where
// the zone's own records stand is kept.
func (z *Zone) With(records ...dns.RR) (*Zone, error) {
	b := builder{name: "zone " + z.Apex, files: z.files[:len(z.files):len(z.files)]}
	for i, rr := range z.Records {
		b.add(rr, "", 0)
		if i < len(z.at) {
			b.items[i].at = z.at[i]
		}
	}
	for _, rr := range records {
		b.add(rr, "", 0)
	}
	sum, err := b.zone(z.Apex, nil)
	if err == nil {
		sum.Warnings = append(z.Warnings[:len(z.Warnings):len(z.Warnings)], sum.Warnings...)
	}
	return sum, err
}
