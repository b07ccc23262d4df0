package nameserver

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"b8s/sub/geo"
	"b8s/sub/zone"
)

// anywhere is a Locator that takes no time.
type anywhere struct{}

func (anywhere) Lookup(netip.Addr) geo.Choice {
	return geo.Choice{Order: [3]uint8{0, geo.None, geo.None}, Scope: 20, Found: true}
}

func testView(t testing.TB) *View {
	z := compile(t, "example.com.", soa+delegations+`
alias 300 CNAME ns1
*.w 300 MX 10 mail
old 300 DNAME w
`, zone.Host{Name: "www.example.com.", TTL: 60})
	return &View{
		Zones:    zone.NewSet(z, compile(t, "example.net.", soa)),
		Policies: []Policy{{A: Target{Locator: places{}, Addrs: addrs("192.0.2.1")}}},
	}
}

var testQuestions = []string{
	"ns1.example.com A", "ns1.example.com AAAA", "example.com NS", "example.com SOA", "nowhere.example.com A",
	"www.sub.example.com A", "alias.example.com A", "x.w.example.com MX", "a.old.example.com MX", "www.example.com A", "example.org A",
}

// Answers allocate nothing.
func TestAllocations(t *testing.T) {
	view := testView(t)
	for _, q := range testQuestions {
		for _, m := range []*dns.Msg{message(q), subnetQuery(q, "203.0.113.0/24")} {
			query, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			var a answerer
			var c counters
			buf := make([]byte, bufferSize)
			n := testing.AllocsPerRun(100, func() {
				a.reply(view, buf, copy(buf, query), loopback, false)
				c.flush(&a.tally)
			})
			if n != 0 {
				t.Errorf("%s: %v allocations", q, n)
			}
		}
	}
}

// No packet brings the answerer down; what it answers is a well-formed
// response to that packet, within the limits.
func FuzzReply(f *testing.F) {
	view := testView(f)
	for _, q := range testQuestions {
		for _, m := range []*dns.Msg{message(q), subnetQuery(q, "203.0.113.0/24")} {
			b, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b, false)
		}
	}
	f.Add(header(0, 1, 0, 0, 2, append(rootNS, 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0)...), true)
	f.Fuzz(func(t *testing.T, query []byte, stream bool) {
		if len(query) > bufferSize {
			return
		}
		var a answerer
		buf := make([]byte, 1<<16)
		n := a.reply(view, buf, copy(buf, query), loopback, stream)
		if n == 0 {
			return
		}
		limit := maxPayload
		if stream {
			limit = 65535
		}
		m := wellFormed(t, "", buf[:n], limit)
		if m.Id != binary.BigEndian.Uint16(query) || !m.Response {
			t.Fatalf("%x: got %v", query, m)
		}
	})
}

func BenchmarkReply(b *testing.B) {
	z := compile(b, "example.com.", soa+big("many", 20)+"alias 300 CNAME ns1\n"+delegations, zone.Host{Name: "www.example.com.", TTL: 60})
	view := &View{Zones: zone.NewSet(z), Policies: []Policy{{A: Target{Locator: anywhere{}, Addrs: addrs("192.0.2.1")}}}}
	for _, q := range []string{"ns1.example.com A", "alias.example.com A", "nowhere.example.com A", "www.sub.example.com A", "www.example.com A"} {
		b.Run(q, func(b *testing.B) {
			query, err := subnetQuery(q, "203.0.113.0/24").Pack()
			if err != nil {
				b.Fatal(err)
			}
			var a answerer
			buf := make([]byte, bufferSize)
			for b.Loop() {
				a.reply(view, buf, copy(buf, query), loopback, false)
			}
		})
	}
}

// Thousands of zones are found as fast as one.
func BenchmarkManyZones(b *testing.B) {
	var zones []*zone.Zone
	for i := range 10000 {
		apex := fmt.Sprintf("z%d.example.", i)
		zones = append(zones, compile(b, apex, soa))
	}
	view := &View{Zones: zone.NewSet(zones...)}
	query, err := message("ns1.z777.example A").Pack()
	if err != nil {
		b.Fatal(err)
	}
	var a answerer
	buf := make([]byte, bufferSize)
	for b.Loop() {
		if a.reply(view, buf, copy(buf, query), loopback, false); buf[3] != 0 {
			b.Fatal("refused")
		}
	}
}
