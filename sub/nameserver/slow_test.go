package nameserver

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"b8s/sub/zone"
	"b8s/zonefile"
)

// slow answers as RFC 1034 4.3.2, 4592 and 6672 tell it, by going through all
// records at each step.
type slow map[string][]dns.RR // by apex

func (s slow) answer(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	name, qtype := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	seen := map[string]bool{}
	for hop := 0; hop < maxChain && !seen[name]; hop++ {
		apex := s.zone(name, qtype)
		if apex == "" {
			if hop == 0 {
				m.Rcode = dns.RcodeRefused
			}
			return m
		}
		m.Authoritative = true
		seen[name] = true
		next := s.step(m, apex, name, qtype, hop)
		if next == "" {
			return m
		}
		name = next
	}
	return m
}

// zone is the deepest apex at or above a name.
func (s slow) zone(name string, qtype uint16) string {
	best := ""
	for apex := range s {
		if dns.IsSubDomain(apex, name) && len(apex) > len(best) && !(qtype == dns.TypeDS && apex == name && s.hasParent(apex)) {
			best = apex
		}
	}
	return best
}

func (s slow) hasParent(apex string) bool {
	for other := range s {
		if other != apex && dns.IsSubDomain(other, apex) {
			return true
		}
	}
	return false
}

// step looks a name up in a zone; it gives the name to go on with.
func (s slow) step(m *dns.Msg, apex, name string, qtype uint16, hop int) string {
	rrs := s[apex]
	for _, above := range path(apex, name) {
		if ns := at(rrs, above, dns.TypeNS); len(ns) > 0 && above != apex && !(above == name && qtype == dns.TypeDS) {
			m.Ns = ns
			m.Authoritative = hop > 0
			m.Extra = glue(rrs, ns)
			return ""
		}
		if d := at(rrs, above, dns.TypeDNAME); len(d) > 0 && above != name {
			return redirect(m, d[0].(*dns.DNAME), name, qtype)
		}
	}
	owner, ok := node(rrs, apex, name)
	if !ok {
		m.Rcode = dns.RcodeNameError
		m.Ns = []dns.RR{minimum(rrs)}
		return ""
	}
	if found := at(rrs, owner, qtype); len(found) > 0 {
		m.Answer = append(m.Answer, renamed(found, name)...)
		return ""
	}
	if alias := at(rrs, owner, dns.TypeCNAME); len(alias) > 0 {
		m.Answer = append(m.Answer, renamed(alias, name)...)
		return dns.CanonicalName(alias[0].(*dns.CNAME).Target)
	}
	m.Ns = []dns.RR{minimum(rrs)}
	return ""
}

func redirect(m *dns.Msg, d *dns.DNAME, name string, qtype uint16) string {
	if !slices.Contains(m.Answer, dns.RR(d)) {
		m.Answer = append(m.Answer, d)
	}
	prefix := strings.TrimSuffix(name, d.Hdr.Name)
	target := prefix + dns.CanonicalName(d.Target)
	buf := make([]byte, 512)
	if n, err := dns.PackDomainName(target, buf, 0, nil, false); err != nil || n > 255 {
		m.Rcode = dns.RcodeYXDomain
		return ""
	}
	hdr := dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: d.Hdr.Ttl}
	m.Answer = append(m.Answer, &dns.CNAME{Hdr: hdr, Target: target})
	if qtype == dns.TypeCNAME || dns.IsSubDomain(d.Hdr.Name, dns.CanonicalName(d.Target)) {
		return ""
	}
	return target
}

// path is the names from the apex down to name.
func path(apex, name string) []string {
	var names []string
	for n := name; ; n = n[endOfLabel(n):] {
		names = append(names, n)
		if n == apex {
			break
		}
	}
	slices.Reverse(names)
	return names
}

// node is the owner whose records a name has: its own, or a wildcard's.
func node(rrs []dns.RR, apex, name string) (string, bool) {
	if exists(rrs, name) {
		return name, true
	}
	encloser := name
	for !exists(rrs, encloser) && encloser != apex {
		encloser = encloser[endOfLabel(encloser):]
	}
	star := "*." + encloser
	return star, exists(rrs, star)
}

func exists(rrs []dns.RR, name string) bool {
	return slices.ContainsFunc(rrs, func(rr dns.RR) bool { return dns.IsSubDomain(name, rr.Header().Name) })
}

func at(rrs []dns.RR, name string, rrtype uint16) (found []dns.RR) {
	for _, rr := range rrs {
		if h := rr.Header(); h.Name == name && h.Rrtype == rrtype {
			found = append(found, rr)
		}
	}
	return found
}

func renamed(rrs []dns.RR, name string) (out []dns.RR) {
	for _, rr := range rrs {
		rr = dns.Copy(rr)
		rr.Header().Name = name
		out = append(out, rr)
	}
	return out
}

func minimum(rrs []dns.RR) dns.RR {
	soa := dns.Copy(rrs[0]).(*dns.SOA)
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	return soa
}

func glue(rrs, servers []dns.RR) (out []dns.RR) {
	apex := rrs[0].Header().Name
	for _, ns := range servers {
		target := dns.CanonicalName(ns.(*dns.NS).Ns)
		if !dns.IsSubDomain(apex, target) {
			continue
		}
		if owner, ok := node(rrs, apex, target); ok {
			out = append(out, renamed(slices.Concat(at(rrs, owner, dns.TypeA), at(rrs, owner, dns.TypeAAAA)), target)...)
		}
	}
	return out
}

// shuffled compiles a zone of its records in any order, one by one.
func shuffled(t *testing.T, g *generator, file *zonefile.Zone) *zone.Zone {
	t.Helper()
	b, err := zone.NewBuilder(file.Apex)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range g.Perm(len(file.Records)) {
		if err := b.Add(file.Records[i]); err != nil {
			t.Fatal(err)
		}
		if g.IntN(9) == 0 { // twice counts once
			b.Add(file.Records[i])
		}
	}
	z, err := b.Zone()
	if err != nil {
		t.Fatal(err)
	}
	if z.Records() != len(file.Records) {
		t.Fatalf("%s: %d records, want %d", file.Apex, z.Records(), len(file.Records))
	}
	return z
}

// Random zones and questions: the same as the slow way says.
func TestAgainstSlow(t *testing.T) {
	for seed := range number("B8S_SLOW_SEEDS", 20) {
		g := newGenerator(1000+seed, 12)
		expect := slow{}
		texts := map[string]string{}
		var zones []*zone.Zone
		for i, apex := range g.apexes {
			texts[apex] = g.zone(apex)
			file, err := zonefile.Parse(apex, []byte(texts[apex]), apex)
			if err != nil {
				t.Fatal(err)
			}
			expect[apex] = file.Records
			if i%2 == 0 {
				zones = append(zones, shuffled(t, g, file))
			} else {
				zones = append(zones, compile(t, apex, texts[apex]))
			}
		}
		view := &View{Zones: zone.NewSet(zones...)}
		for _, apex := range g.apexes {
			for range 150 {
				compareSlow(t, view, expect, g.question(apex, texts[apex]))
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func compareSlow(t *testing.T, view *View, expect slow, q string) {
	t.Helper()
	query, err := message(q).Pack()
	if err != nil {
		return // a name too long to ask for
	}
	asked := unpack(t, query)
	var a answerer
	buf := make([]byte, 1<<16)
	n := a.reply(view, buf, copy(buf, query), loopback, true)
	got, want := strings.ToLower(show(wellFormed(t, q, buf[:n], 65535))), strings.ToLower(show(expect.answer(asked)))
	if got != want {
		t.Errorf("%s\ngot  %swant %s", q, got, want)
	}
}
