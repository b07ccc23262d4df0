package nameserver

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"b8s/sub/geo"
	"b8s/sub/zone"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// places is a Locator of a few networks.
type places map[netip.Prefix]geo.Choice

func (p places) Lookup(a netip.Addr) geo.Choice {
	for prefix, choice := range p {
		if prefix.Contains(a) {
			return choice
		}
	}
	return geo.Choice{Order: [3]uint8{geo.None, geo.None, geo.None}, Scope: 7}
}

func addrs(texts ...string) (list []netip.Addr) {
	for _, s := range texts {
		list = append(list, netip.MustParseAddr(s))
	}
	return list
}

// located serves example.com with www and *.apps by location: 0 is nearest to
// 203.0.113.0/24 and loopback, 1 to 198.51.100.0/24 and 2001:db8:1::/48.
func located(t *testing.T, change func(*Policy)) *Server {
	table := places{
		netip.MustParsePrefix("203.0.113.0/24"):  {Order: [3]uint8{0, 1, 2}, Scope: 20, Found: true},
		netip.MustParsePrefix("127.0.0.0/8"):     {Order: [3]uint8{0, 1, 2}, Scope: 8, Found: true},
		netip.MustParsePrefix("198.51.100.0/24"): {Order: [3]uint8{1, 2, 0}, Scope: 24, Found: true},
		netip.MustParsePrefix("2001:db8:1::/48"): {Order: [3]uint8{1, 2, 0}, Scope: 44, Found: true},
	}
	p := Policy{
		A:    Target{Locator: table, Addrs: addrs("192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13"), Default: 2},
		AAAA: Target{Locator: table, Addrs: addrs("2001:db8::10", "2001:db8::11", "2001:db8::12")},
	}
	if change != nil {
		change(&p)
	}
	z := compile(t, "example.com.", soa+"www 300 TXT \"beside\"\nalias 300 CNAME www\n",
		zone.Host{Name: "www.example.com.", TTL: 60}, zone.Host{Name: "*.Apps.example.com.", TTL: 30}, zone.Host{Name: "example.com.", TTL: 60},
		zone.Host{Name: "lost.example.com.", TTL: 60, Policy: 9})
	return serve(t, &View{Zones: zone.NewSet(z), Policies: []Policy{p}})
}

// subnetQuery asks with a client subnet option.
func subnetQuery(q, prefix string) *dns.Msg {
	m := message(q)
	m.SetEdns0(1232, false)
	p := netip.MustParsePrefix(prefix)
	o := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(p.Bits()), Address: p.Addr().AsSlice()}
	if p.Addr().Is6() {
		o.Family = 2
	}
	m.IsEdns0().Option = append(m.IsEdns0().Option, o)
	return m
}

// scope gives the client subnet option of an answer.
func scope(t *testing.T, m *dns.Msg) *dns.EDNS0_SUBNET {
	t.Helper()
	if o := m.IsEdns0(); o != nil && len(o.Option) == 1 {
		if s, ok := o.Option[0].(*dns.EDNS0_SUBNET); ok {
			return s
		}
	}
	t.Fatalf("no client subnet in %v", m)
	return nil
}

func TestLocated(t *testing.T) {
	s := located(t, nil)
	const www = "AN www.example.com. 60 A "
	tests := []struct {
		q, client, want string
		scope           uint8
	}{
		{"www.example.com A", "203.0.113.0/24", "NOERROR aa\n" + www + "192.0.2.10\n", 20},
		{"www.example.com A", "198.51.100.0/24", "NOERROR aa\n" + www + "192.0.2.11\n", 24},
		{"www.example.com A", "2001:db8:1::/48", "NOERROR aa\n" + www + "192.0.2.11\n", 44},
		{"www.example.com AAAA", "198.51.100.0/24", "NOERROR aa\nAN www.example.com. 60 AAAA 2001:db8::11\n", 24},
		{"www.example.com A", "::ffff:198.51.100.0/120", "NOERROR aa\n" + www + "192.0.2.11\n", 120},
		{"www.example.com A", "192.0.2.0/24", "NOERROR aa\n" + www + "192.0.2.12\n", 7},
		{"www.example.com A", "0.0.0.0/0", "NOERROR aa\n" + www + "192.0.2.12\n", 0},
		{"www.example.com A", "::/0", "NOERROR aa\n" + www + "192.0.2.12\n", 0},
		{"www.example.com TXT", "203.0.113.0/24", "NOERROR aa\nAN www.example.com. 300 TXT \"beside\"\n", 0},
		{"www.example.com MX", "203.0.113.0/24", "NOERROR aa\n" + negative, 0},
		{"x.www.example.com A", "203.0.113.0/24", "NXDOMAIN aa\n" + negative, 0},
		{"alias.example.com A", "203.0.113.0/24", "NOERROR aa\nAN alias.example.com. 300 CNAME www.example.com.\n" + www + "192.0.2.10\n", 20},
		{"y.apps.example.com A", "203.0.113.0/24", "NOERROR aa\nAN y.apps.example.com. 30 A 192.0.2.10\n", 20},
		{"apps.example.com A", "203.0.113.0/24", "NOERROR aa\n" + negative, 0},
		{"example.com A", "203.0.113.0/24", "NOERROR aa\nAN example.com. 60 A 192.0.2.10\n", 20},
		{"example.com NS", "203.0.113.0/24", "NOERROR aa\nAN example.com. 300 NS ns1.example.com.\n", 0},
		{"lost.example.com A", "203.0.113.0/24", "NOERROR aa\n" + negative, 0},
		{"lost.example.com ANY", "203.0.113.0/24", "NOERROR aa\n" + negative, 0},
		{"y.apps.example.com ANY", "203.0.113.0/24", "NOERROR aa\nAN y.apps.example.com. 30 A 192.0.2.10\n", 20},
	}
	for _, test := range tests {
		for _, network := range []string{"udp", "tcp"} {
			m := exchange(t, s, network, subnetQuery(test.q, test.client))
			if got := show(m); got != test.want {
				t.Errorf("%s from %s over %s\ngot  %swant %s", test.q, test.client, network, got, test.want)
			}
			if got := scope(t, m); got.SourceScope != test.scope || int(got.SourceNetmask) != netip.MustParsePrefix(test.client).Bits() {
				t.Errorf("%s from %s: got %v, want scope %d", test.q, test.client, got, test.scope)
			}
		}
	}
}

// Without the option, the resolver's own address counts, and no option is
// answered.
func TestLocatedByResolver(t *testing.T) {
	s := located(t, nil)
	m := message("www.example.com A")
	m.SetEdns0(1232, false)
	got := exchange(t, s, "udp", m)
	if show(got) != "NOERROR aa\nAN www.example.com. 60 A 192.0.2.10\n" || len(got.IsEdns0().Option) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestLocatedHealth(t *testing.T) {
	for _, test := range []struct {
		name, want string
		up         []bool
		addrs      []netip.Addr
	}{
		{"nearest down", "192.0.2.11", []bool{false, true, true, true}, nil},
		{"all three down", "192.0.2.13", []bool{false, false, false, true}, nil},
		{"all down", "192.0.2.12", []bool{false, false, false, false}, nil},
		{"fewer than the table has", "192.0.2.1", nil, addrs("192.0.2.1")},
	} {
		s := located(t, func(p *Policy) {
			p.A.Up = test.up
			if test.addrs != nil {
				p.A.Addrs, p.A.Locator = test.addrs, places{netip.MustParsePrefix("127.0.0.0/8"): {Order: [3]uint8{2, 1, geo.None}, Found: true}}
			}
		})
		if got := show(exchange(t, s, "udp", message("www.example.com A"))); got != "NOERROR aa\nAN www.example.com. 60 A "+test.want+"\n" {
			t.Errorf("%s: got %s", test.name, got)
		}
	}
}

// No database yet: the default. No candidate of the family: no data.
func TestLocatedWithout(t *testing.T) {
	s := located(t, func(p *Policy) { p.A.Locator, p.AAAA = nil, Target{} })
	check(t, s, []question{
		{"www.example.com A", "NOERROR aa\nAN www.example.com. 60 A 192.0.2.12\n"},
		{"www.example.com AAAA", "NOERROR aa\n" + negative},
	})
}
