package zonefile

import (
	"sort"
	"strings"

	"github.com/miekg/dns"
)

// canonicalRdata is the rdata by which records of a set are ordered and told
// apart (RFC 4034 6.2, 6.3): on the wire, with the names of the old types in
// lower case.
func canonicalRdata(rr dns.RR) []byte {
	switch r := rr.(type) {
	case *dns.A:
		return r.A
	case *dns.AAAA:
		return r.AAAA
	}
	wire, err := rdataWire(lowerNames(rr))
	if err != nil {
		return []byte(rr.String()) // can't be packed: told apart by its text
	}
	return wire
}

// lowerNames folds the case of names in rdata, for the types of RFC 4034 6.2
// less NSEC and RRSIG (RFC 6840 5.1).
func lowerNames(rr dns.RR) dns.RR {
	switch rr.(type) {
	case *dns.NS, *dns.CNAME, *dns.PTR, *dns.DNAME, *dns.MX, *dns.SRV, *dns.SOA, *dns.MD, *dns.MF, *dns.MB,
		*dns.MG, *dns.MR, *dns.MINFO, *dns.RP, *dns.AFSDB, *dns.RT, *dns.PX, *dns.NAPTR, *dns.KX:
	default:
		return rr
	}
	rr = dns.Copy(rr)
	switch r := rr.(type) {
	case *dns.NS:
		r.Ns = lower(r.Ns)
	case *dns.CNAME:
		r.Target = lower(r.Target)
	case *dns.PTR:
		r.Ptr = lower(r.Ptr)
	case *dns.DNAME:
		r.Target = lower(r.Target)
	case *dns.MX:
		r.Mx = lower(r.Mx)
	case *dns.SRV:
		r.Target = lower(r.Target)
	case *dns.SOA:
		r.Ns, r.Mbox = lower(r.Ns), lower(r.Mbox)
	case *dns.MD:
		r.Md = lower(r.Md)
	case *dns.MF:
		r.Mf = lower(r.Mf)
	case *dns.MB:
		r.Mb = lower(r.Mb)
	case *dns.MG:
		r.Mg = lower(r.Mg)
	case *dns.MR:
		r.Mr = lower(r.Mr)
	case *dns.MINFO:
		r.Rmail, r.Email = lower(r.Rmail), lower(r.Email)
	case *dns.RP:
		r.Mbox, r.Txt = lower(r.Mbox), lower(r.Txt)
	case *dns.AFSDB:
		r.Hostname = lower(r.Hostname)
	case *dns.RT:
		r.Host = lower(r.Host)
	case *dns.PX:
		r.Map822, r.Mapx400 = lower(r.Map822), lower(r.Mapx400)
	case *dns.NAPTR:
		r.Replacement = lower(r.Replacement)
	case *dns.KX:
		r.Exchanger = lower(r.Exchanger)
	}
	return rr
}

// lower folds the case of a canonical name, in which no letter is escaped.
func lower(s string) string { return strings.ToLower(s) }

func withTTL(rr dns.RR, ttl uint32) dns.RR {
	rr = dns.Copy(rr)
	rr.Header().Ttl = ttl
	return rr
}

// search gives the index of the owner's first record, or where it would be.
func (z *Zone) search(owner string) int {
	var a, b [2 * maxName]byte
	key := string(orderKey(a[:0], owner))
	return sort.Search(len(z.Records), func(i int) bool {
		return string(orderKey(b[:0], z.Records[i].Header().Name)) >= key
	})
}
