package nameserver

import (
	"strings"
	"testing"

	"b8s/sub/zone"
)

func TestDNAME(t *testing.T) {
	s := serveText(t, `
old 300 DNAME new
old 300 TXT "of the owner itself"
www.new 300 A 192.0.2.1
away 300 DNAME example.net.
again 300 CNAME x.old
x.new 300 CNAME y.old
y.new 300 A 192.0.2.2
`)
	check(t, s, []question{
		{"www.old.example.com A", "NOERROR aa\nAN old.example.com. 300 DNAME new.example.com.\nAN www.new.example.com. 300 A 192.0.2.1\nAN www.old.example.com. 300 CNAME www.new.example.com.\n"},
		{"old.example.com TXT", "NOERROR aa\nAN old.example.com. 300 TXT \"of the owner itself\"\n"},
		{"old.example.com A", "NOERROR aa\n" + negative},
		{"old.example.com DNAME", "NOERROR aa\nAN old.example.com. 300 DNAME new.example.com.\n"},
		{"a.b.away.example.com A", "NOERROR aa\nAN a.b.away.example.com. 300 CNAME a.b.example.net.\nAN away.example.com. 300 DNAME example.net.\n"},
		{"no.old.example.com A", "NXDOMAIN aa\nAN no.old.example.com. 300 CNAME no.new.example.com.\nAN old.example.com. 300 DNAME new.example.com.\n" + negative},
		{"again.example.com A", `NOERROR aa
AN again.example.com. 300 CNAME x.old.example.com.
AN old.example.com. 300 DNAME new.example.com.
AN x.new.example.com. 300 CNAME y.old.example.com.
AN x.old.example.com. 300 CNAME x.new.example.com.
AN y.new.example.com. 300 A 192.0.2.2
AN y.old.example.com. 300 CNAME y.new.example.com.
`},
	})
}

func TestDNAMETooLong(t *testing.T) {
	label := strings.Repeat("l", 60)
	s := serveText(t, "d 300 DNAME "+label+"."+label+"."+label+".example.net.\n")
	long := label + "." + "x.d.example.com"
	want := "YXDOMAIN aa\nAN d.example.com. 300 DNAME " + label + "." + label + "." + label + ".example.net.\n"
	check(t, s, []question{{long + " A", want}})
}

func TestDNAMEAtTheApex(t *testing.T) {
	com := compile(t, "example.com.", "@ 300 IN SOA ns1.example.net. h.example.net. 1 7200 900 1209600 60\n@ 300 NS ns1.example.net.\n@ 300 DNAME example.net.\n")
	net := compile(t, "example.net.", soa+"www 300 A 192.0.2.1\n")
	s := serve(t, &View{Zones: zone.NewSet(com, net)})
	check(t, s, []question{
		{"www.example.com A", "NOERROR aa\nAN example.com. 300 DNAME example.net.\nAN www.example.com. 300 CNAME www.example.net.\nAN www.example.net. 300 A 192.0.2.1\n"},
		{"example.com NS", "NOERROR aa\nAN example.com. 300 NS ns1.example.net.\n"},
	})
}
