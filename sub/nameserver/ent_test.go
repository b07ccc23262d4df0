package nameserver

import "testing"

func TestEmptyNonTerminal(t *testing.T) {
	s := serveText(t, "a.b.c 300 A 192.0.2.1\n*.c 300 A 192.0.2.2\n")
	check(t, s, []question{
		{"c.example.com A", "NOERROR aa\n" + negative},
		{"b.c.example.com A", "NOERROR aa\n" + negative},
		{"x.b.c.example.com A", "NXDOMAIN aa\n" + negative},
		{"a.b.c.example.com A", "NOERROR aa\nAN a.b.c.example.com. 300 A 192.0.2.1\n"},
		{"x.c.example.com A", "NOERROR aa\nAN x.c.example.com. 300 A 192.0.2.2\n"},
	})
}
