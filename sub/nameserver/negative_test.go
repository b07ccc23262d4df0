package nameserver

import (
	"testing"

	"b8s/sub/zone"
)

// The SOA's TTL is the lesser of its own and MINIMUM (RFC 2308, 3), in negative
// answers alone.
func TestNegativeTTL(t *testing.T) {
	short := compile(t, "short.example.", "@ 30 IN SOA ns1.example.net. h.example.net. 1 7200 900 1209600 600\n@ 300 NS ns1.example.net.\n")
	long := compile(t, "long.example.", "@ 300 IN SOA ns1.example.net. h.example.net. 1 7200 900 1209600 20\n@ 300 NS ns1.example.net.\nalias 300 CNAME x\n")
	s := serve(t, &View{Zones: zone.NewSet(short, long)})
	check(t, s, []question{
		{"x.short.example A", "NXDOMAIN aa\nNS short.example. 30 SOA ns1.example.net. h.example.net. 1 7200 900 1209600 600\n"},
		{"short.example A", "NOERROR aa\nNS short.example. 30 SOA ns1.example.net. h.example.net. 1 7200 900 1209600 600\n"},
		{"x.long.example A", "NXDOMAIN aa\nNS long.example. 20 SOA ns1.example.net. h.example.net. 1 7200 900 1209600 20\n"},
		{"alias.long.example A", "NXDOMAIN aa\nAN alias.long.example. 300 CNAME x.long.example.\nNS long.example. 20 SOA ns1.example.net. h.example.net. 1 7200 900 1209600 20\n"},
		{"long.example SOA", "NOERROR aa\nAN long.example. 300 SOA ns1.example.net. h.example.net. 1 7200 900 1209600 20\n"},
	})
}

func TestRefused(t *testing.T) {
	s := serveText(t, "")
	check(t, s, []question{
		{"example.org A", "REFUSED\n"},
		{"com SOA", "REFUSED\n"},
		{". NS", "REFUSED\n"},
		{"example.com AXFR", "REFUSED\n"},
		{"example.com IXFR", "REFUSED\n"},
	})
}

// ANY gives one RRset (RFC 8482).
func TestANY(t *testing.T) {
	s := serveText(t, "x 300 A 192.0.2.1\nx 300 A 192.0.2.2\nx 300 TXT \"t\"\n")
	check(t, s, []question{
		{"x.example.com ANY", "NOERROR aa\nAN x.example.com. 300 A 192.0.2.1\nAN x.example.com. 300 A 192.0.2.2\n"},
		{"y.example.com ANY", "NXDOMAIN aa\n" + negative},
	})
}
