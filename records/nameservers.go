package records

import (
	"fmt"
	"net/netip"
	"sort"
	"strings"

	"github.com/miekg/dns"

	"b8s/zonefile"
)

// added is a record that is not in the zone's file.
type added = dns.RR

// cuts gives the owners of a zone's delegations.
func cuts(z *zonefile.Zone) []string {
	var list []string
	for set := range z.RRsets {
		if set.Type == dns.TypeNS && set.Owner != z.Apex {
			list = append(list, set.Owner)
		}
	}
	return list
}

// cut is the delegation that name is at or below, "" if none.
func (d *draft) cut(name string) string {
	for _, c := range d.cuts {
		if zonefile.Within(name, c) {
			return c
		}
	}
	return ""
}

func (d *draft) finish() (*zonefile.Zone, error) {
	if len(d.added) == 0 {
		return d.Zone, nil
	}
	return d.With(d.added...)
}

func (a *assembly) checkNameservers() {
	seen := map[string]bool{}
	for _, ns := range a.wish.Nameservers {
		if seen[ns.Name] {
			a.fail(ns.At, "nameserver %s is named twice", ns.Name)
		}
		seen[ns.Name] = true
		a.sub(ns.At, "nameserver "+ns.Name, ns.Sub)
	}
}

// addNameservers gives a zone the NS and addresses that the wish names.
func (a *assembly) addNameservers(d *draft) {
	a.addNS(d)
	for _, ns := range a.wish.Nameservers {
		s, ok := a.subs[ns.Sub]
		if !ok || !zonefile.Within(ns.Name, d.Apex) || !a.holds(d, ns.Name) {
			continue
		}
		if set, ok := d.Find(ns.Name, dns.TypeCNAME); ok {
			a.fail(ns.At, "nameserver %s is an alias in %s: a nameserver has addresses, remove the CNAME", ns.Name, set.At)
			continue
		}
		a.addAddress(d, ns, dns.TypeA, s.IPv4)
		a.addAddress(d, ns, dns.TypeAAAA, s.IPv6)
	}
}

// holds reports whether the addresses of a nameserver stand in the zone: as
// its own, or as glue of a delegation to that nameserver.
func (a *assembly) holds(d *draft, name string) bool {
	c := d.cut(name)
	if c == "" {
		return a.zone(name) == d
	}
	set, _ := d.Find(c, dns.TypeNS)
	for _, rr := range set.Records {
		if strings.EqualFold(rr.(*dns.NS).Ns, name) {
			return true
		}
	}
	return false
}

// addNS adds the apex NS, or holds those of the file against the wish.
func (a *assembly) addNS(d *draft) {
	want := make([]string, 0, len(a.wish.Nameservers))
	for _, ns := range a.wish.Nameservers {
		want = append(want, ns.Name)
	}
	sort.Strings(want)
	set, ok := d.Find(d.Apex, dns.TypeNS)
	switch {
	case !ok && len(want) == 0:
		a.fail("", "zone %s has no nameserver: name some in b8s.yaml, as nameservers: {ns1.%s: SUB}", d.Apex, strings.TrimSuffix(d.Apex, "."))
	case !ok:
		for _, name := range want {
			d.added = append(d.added, &dns.NS{Hdr: a.header(d.Apex, dns.TypeNS), Ns: name})
		}
	case len(want) > 0:
		have := make([]string, 0, len(set.Records))
		for _, rr := range set.Records {
			have = append(have, strings.ToLower(rr.(*dns.NS).Ns))
		}
		sort.Strings(have)
		if strings.Join(have, " ") != strings.Join(want, " ") {
			a.fail(set.At, "zone %s has NS %s, but nameservers in b8s.yaml are %s: remove the NS from the file, or make them equal",
				d.Apex, strings.Join(have, ", "), strings.Join(want, ", "))
		}
	}
}

// addAddress adds an address of a nameserver, or holds that of the file
// against the sub's.
func (a *assembly) addAddress(d *draft, ns Nameserver, rrtype uint16, addr netip.Addr) {
	set, ok := d.Find(ns.Name, rrtype)
	switch {
	case !ok && addr.IsValid():
		d.added = append(d.added, a.address(ns.Name, rrtype, addr))
	case ok:
		have := addresses(set.Records)
		if len(have) == 1 && have[0] == addr {
			return
		}
		what := "has none"
		if addr.IsValid() {
			what = "has " + addr.String()
		}
		a.fail(set.At, "%s %s is %s in the file, but nameserver %s is on sub %s, which %s: remove the record from the file",
			ns.Name, dns.TypeToString[rrtype], fmt.Sprint(have), ns.Name, ns.Sub, what)
	}
}

func addresses(list []dns.RR) []netip.Addr {
	var addrs []netip.Addr
	for _, rr := range list {
		switch r := rr.(type) {
		case *dns.A:
			addr, _ := netip.AddrFromSlice(r.A)
			addrs = append(addrs, addr)
		case *dns.AAAA:
			addr, _ := netip.AddrFromSlice(r.AAAA)
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

func (a *assembly) header(owner string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: a.ttl}
}

func (a *assembly) address(owner string, rrtype uint16, addr netip.Addr) dns.RR {
	if rrtype == dns.TypeA {
		return &dns.A{Hdr: a.header(owner, rrtype), A: addr.AsSlice()}
	}
	return &dns.AAAA{Hdr: a.header(owner, rrtype), AAAA: addr.AsSlice()}
}
