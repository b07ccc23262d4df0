package nameserver

import "testing"

// The example of RFC 4592, 2.2.1.
func TestWildcard(t *testing.T) {
	s := serveText(t, `
* 3600 TXT "this is a wildcard"
* 3600 MX 10 host1
sub.* 3600 TXT "this is not a wildcard"
host1 3600 A 192.0.2.1
_ssh._tcp.host1 3600 SRV 0 0 22 host1
_ssh._tcp.host2 3600 SRV 0 0 22 host2
subdel 3600 NS ns.example.net.
*.alias 3600 CNAME host1
`)
	check(t, s, []question{
		{"host3.example.com MX", "NOERROR aa\nAN host3.example.com. 3600 MX 10 host1.example.com.\n"},
		{"host3.example.com A", "NOERROR aa\n" + negative},
		{"foo.bar.example.com TXT", "NOERROR aa\nAN foo.bar.example.com. 3600 TXT \"this is a wildcard\"\n"},
		{"host1.example.com MX", "NOERROR aa\n" + negative},
		{"sub.*.example.com MX", "NOERROR aa\n" + negative},
		{"_telnet._tcp.host1.example.com SRV", "NXDOMAIN aa\n" + negative},
		{"host.subdel.example.com A", "NOERROR\nNS subdel.example.com. 3600 NS ns.example.net.\n"},
		{"ghost.*.example.com MX", "NXDOMAIN aa\n" + negative},
		{"*.example.com TXT", "NOERROR aa\nAN *.example.com. 3600 TXT \"this is a wildcard\"\n"},
		{"any.alias.example.com A", "NOERROR aa\nAN any.alias.example.com. 3600 CNAME host1.example.com.\nAN host1.example.com. 3600 A 192.0.2.1\n"},
		{"any.alias.example.com TXT", "NOERROR aa\nAN any.alias.example.com. 3600 CNAME host1.example.com.\n" + negative},
	})
}

// A wildcard that is an empty non-terminal answers for names, without data.
func TestWildcardEmptyNonTerminal(t *testing.T) {
	s := serveText(t, "deep.*.w 300 A 192.0.2.9\n")
	check(t, s, []question{
		{"x.w.example.com A", "NOERROR aa\n" + negative},
		{"deep.*.w.example.com A", "NOERROR aa\nAN deep.*.w.example.com. 300 A 192.0.2.9\n"},
		{"deep.x.w.example.com A", "NOERROR aa\n" + negative},
	})
}
