package zonefile

import (
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// node is the records of one owner, by type.
type node struct {
	items []item
}

// set gives the records of a type.
func (n node) set(rrtype uint16) []item {
	for i, it := range n.items {
		if it.rr.Header().Rrtype != rrtype {
			continue
		}
		j := i + 1
		for j < len(n.items) && n.items[j].rr.Header().Rrtype == rrtype {
			j++
		}
		return n.items[i:j]
	}
	return nil
}

func (n node) has(rrtype uint16) bool { return len(n.set(rrtype)) > 0 }

func (n node) owner() string { return n.items[0].rr.Header().Name }

// check holds the settled records to what servers refuse together. After a
// broken file it leaves out what may be missing only because of that.
func (b *builder) check(apex string, broken bool) {
	b.checkApex(apex, broken)
	var cut, dname string // the delegation and the DNAME that owners are below of
	for i := 0; i < len(b.items); {
		j := i + 1
		for j < len(b.items) && b.items[j].key == b.items[i].key {
			j++
		}
		n := node{b.items[i:j]}
		b.checkNode(n, apex)
		cut, dname = b.checkPlace(n, apex, cut, dname)
		i = j
	}
}

// checkApex asks for one SOA and, unless they are added later, NS.
func (b *builder) checkApex(apex string, broken bool) {
	var n node
	for i, it := range b.items {
		if it.rr.Header().Name != apex {
			break
		}
		n.items = b.items[:i+1]
	}
	if soa := n.set(dns.TypeSOA); len(soa) > 1 {
		soa = slices.Clone(soa)
		slices.SortFunc(soa, func(x, y item) int { return int(x.seq) - int(y.seq) })
		for _, it := range soa[1:] {
			b.fail(it, "a second SOA (the first is at %s): a zone has one", b.text(soa[0]))
		}
	}
	if broken {
		return
	}
	if !n.has(dns.TypeSOA) {
		b.errs = append(b.errs, &Error{b.name, 0, "zone " + apex + " has no SOA"})
	}
	if !n.has(dns.TypeNS) && !b.options.WithoutNS {
		b.errs = append(b.errs, &Error{b.name, 0, "zone " + apex + " has no NS at its apex"})
	}
}

// checkNode looks at the records of one owner.
func (b *builder) checkNode(n node, apex string) {
	for _, t := range [...]uint16{dns.TypeCNAME, dns.TypeDNAME} {
		if set := n.set(t); len(set) > 1 {
			b.fail(set[1], "%s has %d %s records: a name has one at most", n.owner(), len(set), typeName(t))
		}
	}
	if cname := n.set(dns.TypeCNAME); len(cname) > 0 {
		b.checkAlone(n, cname[0])
	}
	if n.owner() != apex {
		if soa := n.set(dns.TypeSOA); len(soa) > 0 {
			b.fail(soa[0], "SOA at %s: it belongs at the apex %s and nowhere else", n.owner(), apex)
		}
		if dname := n.set(dns.TypeDNAME); len(dname) > 0 && n.has(dns.TypeNS) {
			b.fail(dname[0], "%s has DNAME and NS: below the apex it can't have both", n.owner())
		}
	}
	for _, it := range n.items {
		b.checkTarget(it, apex)
	}
}

// checkAlone refuses what stands beside a CNAME (RFC 1034 3.6.2, RFC 4034 3).
func (b *builder) checkAlone(n node, cname item) {
	for _, it := range n.items {
		switch t := it.rr.Header().Rrtype; t {
		case dns.TypeCNAME, dns.TypeRRSIG, dns.TypeNSEC:
		default:
			b.fail(it, "%s has %s beside a CNAME (%s): a CNAME stands alone", n.owner(), typeName(t), b.text(cname))
		}
	}
}

// text is where an item stands, for an error about another one.
func (b *builder) text(it item) string {
	file, line := b.where(it)
	if line == 0 {
		return file
	}
	return file + ":" + strconv.Itoa(line)
}

// checkPlace looks at what is above an owner.
func (b *builder) checkPlace(n node, apex, cut, dname string) (string, string) {
	owner := n.owner()
	if dname != "" && owner != dname && within(owner, dname) {
		b.fail(n.items[0], "%s is below the DNAME at %s: it could never be answered", owner, dname)
	} else {
		dname = ""
	}
	if n.has(dns.TypeDNAME) {
		dname = owner
	}
	if cut != "" && within(owner, cut) {
		for _, it := range n.items {
			if t := it.rr.Header().Rrtype; t != dns.TypeA && t != dns.TypeAAAA {
				b.warn(it, "%s %s is below the delegation of %s: it is not answered", owner, typeName(t), cut)
			}
		}
		return cut, dname
	}
	cut = ""
	if owner != apex && n.has(dns.TypeNS) {
		cut = owner
	}
	return cut, dname
}

// checkTarget warns of the dot that was forgotten.
func (b *builder) checkTarget(it item, apex string) {
	if apex == "." {
		return
	}
	h := it.rr.Header()
	if doubled(h.Name, apex) {
		b.warn(it, "%s has the zone's name twice: is a final dot missing?", h.Name)
	}
	if t := target(it.rr); doubled(strings.ToLower(t), apex) {
		b.warn(it, "%s %s points to %s, which has the zone's name twice: is a final dot missing?", h.Name, typeName(h.Rrtype), t)
	}
}

// doubled reports whether s ends in apex two times.
func doubled(s, apex string) bool {
	first, ok := strings.CutSuffix(s, apex)
	return ok && within(first, apex)
}

// target is the name that the record points to, "" if it is of another type.
func target(rr dns.RR) string {
	switch r := rr.(type) {
	case *dns.NS:
		return r.Ns
	case *dns.CNAME:
		return r.Target
	case *dns.MX:
		return r.Mx
	case *dns.SRV:
		return r.Target
	case *dns.DNAME:
		return r.Target
	case *dns.PTR:
		return r.Ptr
	}
	return ""
}
