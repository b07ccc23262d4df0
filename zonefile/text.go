package zonefile

import (
	"bytes"
	"net/netip"
	"strconv"

	"github.com/miekg/dns"
)

// Text is the zone as a canonical master file: records in order, one a line,
// names absolute, TTL and class given. It depends on the records alone, and
// Parse gives an equal zone of it.
func (z *Zone) Text() []byte {
	out := make([]byte, 0, 64*len(z.Records))
	for _, rr := range z.Records {
		out = AppendText(out, rr)
		out = append(out, '\n')
	}
	return out
}

// AppendText appends the line that Text has for a record, without its end.
func AppendText(dst []byte, rr dns.RR) []byte {
	h := rr.Header()
	if h.Name != "" && h.Name[0] == '$' {
		dst = append(dst, '\\')
	}
	dst = append(dst, h.Name...)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, uint64(h.Ttl), 10)
	dst = append(dst, " IN "...)
	dst = append(dst, typeName(h.Rrtype)...)
	dst = append(dst, ' ')
	return bytes.TrimRight(appendRdata(dst, rr), " ")
}

func appendRdata(dst []byte, rr dns.RR) []byte {
	switch r := rr.(type) {
	case *dns.A:
		if a, ok := netip.AddrFromSlice(r.A); ok {
			return a.Unmap().AppendTo(dst)
		}
	case *dns.AAAA:
		if a, ok := netip.AddrFromSlice(r.AAAA); ok {
			return a.AppendTo(dst)
		}
	case *dns.NS:
		return append(dst, r.Ns...)
	case *dns.CNAME:
		return append(dst, r.Target...)
	case *dns.PTR:
		return append(dst, r.Ptr...)
	case *dns.DNAME:
		return append(dst, r.Target...)
	case *dns.MX:
		dst = strconv.AppendUint(dst, uint64(r.Preference), 10)
		return append(append(dst, ' '), r.Mx...)
	case *dns.SRV, *dns.SOA, *dns.TXT, *dns.SPF:
		return append(dst, ownRdata(rr)...)
	}
	return append(dst, otherRdata(rr)...)
}

// ownRdata is the rdata as miekg/dns writes it.
func ownRdata(rr dns.RR) string {
	s := rr.String()
	return s[min(len(s), len(rr.Header().String())):]
}

// otherRdata is ownRdata if that reads back as the same rdata, which not every
// value of the rarer types does, else the form of RFC 3597.
func otherRdata(rr dns.RR) string {
	wire, err := rdataWire(rr)
	if err != nil {
		return ownRdata(rr)
	}
	t := rr.Header().Rrtype
	if _, known := dns.TypeToRR[t]; !known {
		return unknownForm(wire)
	}
	text := ownRdata(rr)
	if back, err := reread(t, text); err == nil && bytes.Equal(back, wire) {
		return text
	}
	return unknownForm(wire)
}

// reread gives the wire form of rdata's text, read as a zone file's line is.
func reread(rrtype uint16, text string) ([]byte, error) {
	var wire []byte
	line := ". 0 IN TYPE" + strconv.Itoa(int(rrtype)) + " " + text + "\n"
	err := ScanText(".", []byte(line), "", func(rr dns.RR, _ string, _ int) (err error) {
		wire, err = rdataWire(rr)
		return err
	})
	return wire, err
}

// Equal reports whether two zones have the same apex and records, names in
// rdata compared with their case.
func Equal(a, b *Zone) bool {
	return a.Apex == b.Apex && len(a.Records) == len(b.Records) && bytes.Equal(a.Text(), b.Text())
}
