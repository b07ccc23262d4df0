package nameserver

import (
	"fmt"
	"strings"
	"testing"

	"b8s/sub/zone"
)

func TestCNAME(t *testing.T) {
	s := serveText(t, `
a 300 CNAME b
b 300 CNAME c
c 300 A 192.0.2.1
out 300 CNAME www.example.net.
gone 300 CNAME nowhere
bare 300 CNAME ns1
loop1 300 CNAME loop2
loop2 300 CNAME loop1
self 300 CNAME self
`)
	check(t, s, []question{
		{"a.example.com A", "NOERROR aa\nAN a.example.com. 300 CNAME b.example.com.\nAN b.example.com. 300 CNAME c.example.com.\nAN c.example.com. 300 A 192.0.2.1\n"},
		{"a.example.com CNAME", "NOERROR aa\nAN a.example.com. 300 CNAME b.example.com.\n"},
		{"a.example.com ANY", "NOERROR aa\nAN a.example.com. 300 CNAME b.example.com.\n"},
		{"out.example.com A", "NOERROR aa\nAN out.example.com. 300 CNAME www.example.net.\n"},
		{"gone.example.com A", "NXDOMAIN aa\nAN gone.example.com. 300 CNAME nowhere.example.com.\n" + negative},
		{"bare.example.com AAAA", "NOERROR aa\nAN bare.example.com. 300 CNAME ns1.example.com.\n" + negative},
		{"loop1.example.com A", "NOERROR aa\nAN loop1.example.com. 300 CNAME loop2.example.com.\nAN loop2.example.com. 300 CNAME loop1.example.com.\n"},
		{"self.example.com A", "NOERROR aa\nAN self.example.com. 300 CNAME self.example.com.\n"},
	})
}

func TestCNAMEAcrossZones(t *testing.T) {
	com := compile(t, "example.com.", soa+"www 300 CNAME web.example.net.\n")
	net := compile(t, "example.net.", soa+"web 300 CNAME deep.web\n*.web 300 A 192.0.2.7\n")
	s := serve(t, &View{Zones: zone.NewSet(com, net)})
	check(t, s, []question{{"www.example.com A", `NOERROR aa
AN deep.web.example.net. 300 A 192.0.2.7
AN web.example.net. 300 CNAME deep.web.example.net.
AN www.example.com. 300 CNAME web.example.net.
`}, {"www.example.com TXT", `NOERROR aa
AN web.example.net. 300 CNAME deep.web.example.net.
AN www.example.com. 300 CNAME web.example.net.
NS example.net. 60 SOA ns1.example.net. hostmaster.example.net. 1 7200 900 1209600 60
`}})
}

// A chain that is too long ends, with what was found so far.
func TestCNAMEChainLimit(t *testing.T) {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "c%d 300 CNAME c%d\n", i, i+1)
	}
	m := exchange(t, serveText(t, b.String()), "tcp", message("c0.example.com A"))
	if len(m.Answer) != maxChain || m.Rcode != 0 {
		t.Errorf("got %d records, %d; want %d, 0", len(m.Answer), m.Rcode, maxChain)
	}
}
