package records

import (
	"sort"
	"strings"

	"github.com/miekg/dns"
)

// sites checks the wished sites and gives them in the form of the bucket.
func (a *assembly) sites() []SiteHosts {
	list := make([]SiteHosts, 0, len(a.wish.Sites))
	owner := map[string]string{} // site of each host
	seen := map[string]bool{}
	for _, s := range a.wish.Sites {
		if seen[s.Name] {
			a.fail(s.At, "site %s is named twice", s.Name)
		}
		seen[s.Name] = true
		list = append(list, a.site(s, owner))
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

func (a *assembly) site(s Site, owner map[string]string) SiteHosts {
	out := SiteHosts{Name: s.Name, TTL: s.TTL, Default: s.Default, Hosts: []string{}, Subs: []string{}}
	if out.TTL == 0 {
		out.TTL = DefaultSiteTTL
	}
	if out.TTL > maxSiteTTL {
		a.fail(s.At, "site %s has TTL %d: want %d at most", s.Name, s.TTL, maxSiteTTL)
	}
	if len(s.Hosts) == 0 {
		a.fail(s.At, "site %s has no hosts", s.Name)
	}
	for _, h := range s.Hosts {
		if other, taken := owner[h.Name]; taken {
			a.fail(h.At, "host %s is of site %s and of site %s", h.Name, other, s.Name)
			continue
		}
		owner[h.Name] = s.Name
		a.host(s, h)
		out.Hosts = append(out.Hosts, h.Name)
	}
	for _, name := range s.Subs {
		a.sub(s.At, "site "+s.Name, name)
		out.Subs = append(out.Subs, name)
	}
	a.defaultSub(s)
	sort.Strings(out.Hosts)
	sort.Strings(out.Subs)
	return out
}

func (a *assembly) defaultSub(s Site) {
	if s.Default == "" {
		return
	}
	if _, ok := a.sub(s.At, "the default of site "+s.Name, s.Default); !ok || len(s.Subs) == 0 {
		return
	}
	for _, name := range s.Subs {
		if name == s.Default {
			return
		}
	}
	a.fail(s.At, "site %s has the default %s, which is not one of its subs %s", s.Name, s.Default, strings.Join(s.Subs, ", "))
}

// host refuses a host that could not be answered, or that is answered twice.
func (a *assembly) host(s Site, h Host) {
	d := a.zone(h.Name)
	if d == nil {
		a.fail(h.At, "host %s of site %s is in no zone: zones are %s", h.Name, s.Name, a.apexes())
		return
	}
	if c := d.cut(h.Name); c != "" {
		set, _ := d.Find(c, dns.TypeNS)
		a.fail(h.At, "host %s of site %s is below the delegation of %s (%s): others answer for it", h.Name, s.Name, c, set.At)
		return
	}
	for set := range d.RRsets {
		if set.Type == dns.TypeDNAME && strings.HasSuffix(h.Name, "."+set.Owner) {
			a.fail(h.At, "host %s of site %s is below the DNAME at %s (%s)", h.Name, s.Name, set.Owner, set.At)
		}
	}
	for _, t := range [...]uint16{dns.TypeA, dns.TypeAAAA, dns.TypeCNAME} {
		if set, ok := d.Find(h.Name, t); ok {
			a.fail(set.At, "%s has a static %s, but is a host of site %s%s: remove the record, or the host", h.Name, dns.TypeToString[t], s.Name, paren(h.At))
		}
	}
	for _, ns := range a.wish.Nameservers {
		if ns.Name == h.Name {
			a.fail(h.At, "host %s of site %s is a nameserver too%s: give one of them another name", h.Name, s.Name, paren(ns.At))
		}
	}
}

func paren(at string) string {
	if at == "" {
		return ""
	}
	return " (" + at + ")"
}
