package zone

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"b8s/zonefile"
)

const soa = "@ 300 IN SOA ns1 hostmaster 7 7200 900 1209600 60\n@ 300 IN NS ns1\nns1 300 IN A 192.0.2.53\n"

func parse(t testing.TB, apex, text string) *zonefile.Zone {
	t.Helper()
	z, err := zonefile.Parse(apex, []byte(text), apex)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func compile(t testing.TB, apex, text string, hosts ...Host) *Zone {
	t.Helper()
	z, err := FromFile(parse(t, apex, text), hosts)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// name reads one given as text.
func name(t testing.TB, text string) *Name {
	t.Helper()
	buf := make([]byte, 255)
	size, err := dns.PackDomainName(text, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	n := new(Name)
	if got, ok := n.Read(buf[:size]); !ok || got != size {
		t.Fatalf("%s: read %d of %d octets, %v", text, got, size, ok)
	}
	return n
}

func TestCompiled(t *testing.T) {
	z := compile(t, "Example.COM.", soa+"www 60 A 192.0.2.1\n")
	if z.Apex() != "example.com." || z.Serial() != 7 || z.Records() != 4 || z.Size() > 1000 {
		t.Errorf("got %v, %d records, %d octets", z, z.Records(), z.Size())
	}
	if n := z.Negative(); n.TTL() != 60 || n.Count != 1 {
		t.Errorf("negative SOA with TTL %d", n.TTL())
	}
}

func TestLookupKinds(t *testing.T) {
	z := compile(t, "example.com.", soa+`
www 60 A 192.0.2.1
alias 60 CNAME www
*.w 60 A 192.0.2.2
sub 60 NS ns.sub
ns.sub 60 A 192.0.2.3
old 60 DNAME www
`, Host{Name: "geo.example.com.", Policy: 3, TTL: 30})
	for _, test := range []struct {
		name  string
		qtype uint16
		kind  Kind
		wild  bool
		label uint8
	}{
		{"WWW.example.com.", dns.TypeA, Answer, false, 0},
		{"www.example.com.", dns.TypeAAAA, NoData, false, 0},
		{"w.example.com.", dns.TypeA, NoData, false, 0},
		{"no.example.com.", dns.TypeA, NXDomain, false, 0},
		{"alias.example.com.", dns.TypeA, Alias, false, 0},
		{"alias.example.com.", dns.TypeCNAME, Answer, false, 0},
		{"a.b.w.example.com.", dns.TypeA, Answer, true, 0},
		{"a.b.w.example.com.", dns.TypeMX, NoData, true, 0},
		{"sub.example.com.", dns.TypeA, Referral, false, 0},
		{"ns.sub.example.com.", dns.TypeA, Referral, false, 1},
		{"a.b.sub.example.com.", dns.TypeA, Referral, false, 2},
		{"sub.example.com.", dns.TypeDS, NoData, false, 0},
		{"a.old.example.com.", dns.TypeA, Redirect, false, 1},
		{"old.example.com.", dns.TypeA, NoData, false, 0},
		{"geo.example.com.", dns.TypeA, Located, false, 0},
		{"geo.example.com.", dns.TypeTXT, NoData, false, 0},
		{"geo.example.com.", 0, NoData, false, 0},
	} {
		n := name(t, test.name)
		r := z.Lookup(n, n.Labels()-2, test.qtype)
		if r.Kind != test.kind || r.Wild != test.wild || r.Label != test.label {
			t.Errorf("%s %s: got %+v, want %+v", test.name, dns.Type(test.qtype), r, test)
		}
		if r.Kind == Located && (r.Policy != 3 || r.TTL != 30) {
			t.Errorf("%s: got %+v", test.name, r)
		}
	}
}

func TestRefusedRecords(t *testing.T) {
	rr := func(text string) dns.RR {
		r, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	large := func(b *Builder) error {
		for i := range 300 {
			if err := b.Add(rr(fmt.Sprintf("big.example.com. 1 TXT \"%d\" \"%s\"", i, strings.Repeat("x", 250)))); err != nil {
				return err
			}
		}
		return nil
	}
	for _, test := range []struct {
		name, want string
		fill       func(*Builder) error
	}{
		{"outside", "not within the zone", func(b *Builder) error { return b.Add(rr("www.example.org. 1 A 192.0.2.1")) }},
		{"class", "class is not IN", func(b *Builder) error { return b.Add(rr("www.example.com. 1 CH A 192.0.2.1")) }},
		{"no SOA", "want one SOA", func(b *Builder) error { return b.Add(rr("www.example.com. 1 A 192.0.2.1")) }},
		{"two SOA", "want one SOA", func(b *Builder) error {
			b.Add(rr("example.com. 1 SOA a. b. 1 1 1 1 1"))
			return b.Add(rr("example.com. 1 SOA a. b. 2 1 1 1 1"))
		}},
		{"CNAME and data", "CNAME beside", func(b *Builder) error {
			b.Add(rr("x.example.com. 1 A 192.0.2.1"))
			return b.Add(rr("x.example.com. 1 CNAME a."))
		}},
		{"host and address", "static A or AAAA", func(b *Builder) error {
			b.AddHost(Host{Name: "x.example.com."})
			return b.Add(rr("x.example.com. 1 A 192.0.2.1"))
		}},
		{"host twice", "given twice", func(b *Builder) error {
			b.AddHost(Host{Name: "x.example.com.", Policy: 1})
			return b.AddHost(Host{Name: "x.example.com.", Policy: 2})
		}},
		{"host outside", "not within the zone", func(b *Builder) error { return b.AddHost(Host{Name: "x.example.org."}) }},
		{"too large", "larger than a message", large},
		{"malformed", "cut off", func(b *Builder) error { return b.AddWire([]byte("\x07example\x03com\x00"), dns.TypeMX, 1, []byte{1}) }},
	} {
		b, err := NewBuilder("example.com.")
		if err != nil {
			t.Fatal(err)
		}
		if err = test.fill(b); err == nil {
			_, err = b.Zone()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want %q", test.name, err, test.want)
		}
		if _, again := b.Zone(); again == nil {
			t.Errorf("%s: a zone after the error", test.name)
		}
	}
}

// Names in rdata are compressed to the apex and among each other, and come back
// as they were.
func TestCompression(t *testing.T) {
	text := soa + "m 60 MX 10 Mail.m\nm 60 MX 20 mail2.m\nm 60 MX 30 a.b.elsewhere.org.\nm 60 MX 40 c.B.elsewhere.org.\n"
	z := compile(t, "example.com.", text)
	n := name(t, "m.example.com.")
	r := z.Lookup(n, 1, dns.TypeMX)
	msg := make([]byte, 512)
	size := copy(msg[12:], n.Wire()) + 12 + 4
	apex := uint16(pointer | 12 + n.Offset(1))
	end := r.RRset.Put(msg, size, pointer|12, apex)
	msg[5], msg[7] = 1, 4
	m := new(dns.Msg)
	if err := m.Unpack(msg[:end]); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, rr := range m.Answer {
		got = append(got, rr.(*dns.MX).Mx)
	}
	if s := strings.ToLower(strings.Join(got, " ")); s != "mail.m.example.com. mail2.m.example.com. a.b.elsewhere.org. c.b.elsewhere.org." {
		t.Errorf("got %s", s)
	}
	// "Mail.m" and the apex, "mail2" and that, the third one whole, "c" and that.
	if want := 4*14 + (5 + 2 + 2) + (6 + 2) + (2 + 2 + 10 + 4 + 1) + (2 + 2); end-size != want {
		t.Errorf("%d octets, want %d", end-size, want)
	}
}

func TestNameBounds(t *testing.T) {
	long := strings.Repeat("\x3f"+strings.Repeat("a", 63), 3)
	for _, test := range []struct {
		wire string
		ok   bool
	}{
		{"\x00", true}, {"", false}, {"\x01", false}, {"\x01a", false}, {"\x40" + strings.Repeat("a", 64) + "\x00", false},
		{"\xc0\x0c", false}, {long + "\x3d" + strings.Repeat("b", 61) + "\x00", true}, {long + "\x3e" + strings.Repeat("b", 62) + "\x00", false},
		{strings.Repeat("\x01a", 127) + "\x00", true}, {strings.Repeat("\x01a", 128) + "\x00", false},
	} {
		var n Name
		if size, ok := n.Read([]byte(test.wire)); ok != test.ok || ok && size != len(test.wire) {
			t.Errorf("%q: got %d, %v", test.wire, size, ok)
		}
	}
}

// Reading never goes wrong, and equal names have equal hashes.
func FuzzName(f *testing.F) {
	f.Add([]byte("\x03www\x07example\x03com\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var n, o Name
		size, ok := n.Read(b)
		if !ok {
			return
		}
		upper := append([]byte(nil), b...)
		for i, c := range upper {
			if 'a' <= c && c <= 'z' && c > 63 {
				upper[i] = c - 32
			}
		}
		if got, ok := o.Read(upper); !ok || got != size || !n.Equal(&o) || n.Hash() != o.Hash() || !n.Below(&o, 0) {
			t.Fatalf("%q and %q differ", b, upper)
		}
		if !o.Join(n.Wire()[:n.Offset(n.Labels()/2)], n.Wire()[n.Offset(n.Labels()/2):]) || !n.Equal(&o) {
			t.Fatalf("%q: its parts don't join", b)
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	var text strings.Builder
	text.WriteString(soa)
	for i := range 10000 {
		fmt.Fprintf(&text, "h%d 300 A 10.0.%d.%d\nh%d 300 AAAA 2001:db8::%x\n", i, i/256, i%256, i, i)
	}
	file := parse(b, "example.com.", text.String())
	for b.Loop() {
		z, err := FromFile(file, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(z.Size())/float64(z.Records()), "octets/record")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/20003, "ns/record")
}
