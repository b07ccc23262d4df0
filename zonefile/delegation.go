package zonefile

import (
	"errors"
	"fmt"

	"github.com/miekg/dns"
)

// Delegation is what the parent of a zone has to hold, as a registrar asks
// for it.
type Delegation struct {
	Apex  string
	NS    []dns.RR // of the apex
	Glue  []dns.RR // A and AAAA of the nameservers within the zone
	Other []string // nameservers of other zones: the parent needs no address
}

// Delegation gives the NS and glue records for the parent zone. A nameserver
// within the zone that has no address, or that is an alias, is an error: the
// zone could not be reached through it.
func (z *Zone) Delegation() (Delegation, error) {
	d := Delegation{Apex: z.Apex}
	set, ok := z.Find(z.Apex, dns.TypeNS)
	if !ok {
		return d, fmt.Errorf("zone %s has no NS at its apex", z.Apex)
	}
	d.NS = set.Records
	var errs []error
	for _, rr := range d.NS {
		target := lower(rr.(*dns.NS).Ns)
		if !within(target, z.Apex) {
			d.Other = append(d.Other, target)
			continue
		}
		glue := z.addresses(target)
		if len(glue) == 0 {
			errs = append(errs, fmt.Errorf("zone %s: nameserver %s has no A or AAAA in the zone", z.Apex, target))
		}
		d.Glue = append(d.Glue, glue...)
	}
	return d, errors.Join(errs...)
}

func (z *Zone) addresses(owner string) []dns.RR {
	var list []dns.RR
	for _, rr := range z.Node(owner) {
		if t := rr.Header().Rrtype; t == dns.TypeA || t == dns.TypeAAAA {
			list = append(list, rr)
		}
	}
	return list
}

// Lines gives the delegation as lines of a master file, NS first.
func (d Delegation) Lines() []string {
	lines := make([]string, 0, len(d.NS)+len(d.Glue))
	for _, rr := range append(d.NS[:len(d.NS):len(d.NS)], d.Glue...) {
		lines = append(lines, string(AppendText(nil, rr)))
	}
	return lines
}
