package nameserver

import (
	"encoding/binary"
	"testing"

	"github.com/miekg/dns"
)

// packed is a query with an OPT, changed by the functions given.
func packed(t *testing.T, q string, change ...func(*dns.Msg)) []byte {
	t.Helper()
	m := message(q)
	m.Id = 4711
	m.SetEdns0(4096, false)
	for _, f := range change {
		f(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unpack(t *testing.T, b []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatalf("answer %x: %v", b, err)
	}
	return m
}

func TestEDNS(t *testing.T) {
	s := serveText(t, "")
	secondOPT := func(m *dns.Msg) { m.Extra = append(m.Extra, m.IsEdns0()) }
	tests := []struct {
		name   string
		change func(*dns.Msg)
		rcode  int
		opt    bool
		do     bool
	}{
		{"plain", func(*dns.Msg) {}, 0, true, false},
		{"DO", func(m *dns.Msg) { m.IsEdns0().SetDo() }, 0, true, true},
		{"no OPT", func(m *dns.Msg) { m.Extra = nil }, 0, false, false},
		{"version 1", func(m *dns.Msg) { m.IsEdns0().SetVersion(1) }, dns.RcodeBadVers, true, false},
		{"unknown flags", func(m *dns.Msg) { m.IsEdns0().Hdr.Ttl |= 0x7fff }, 0, true, false},
		{"unknown option", func(m *dns.Msg) {
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: 65001, Data: []byte("x")}}
		}, 0, true, false},
		{"two OPT", secondOPT, dns.RcodeFormatError, false, false},
		{"owner not root", func(m *dns.Msg) { m.Extra[0].Header().Name = "a." }, dns.RcodeFormatError, false, false},
		{"not ours", func(m *dns.Msg) { m.Question[0].Name = "example.org." }, dns.RcodeRefused, true, false},
	}
	for _, test := range tests {
		got := unpack(t, raw(t, s, packed(t, "ns1.example.com A", test.change)))
		opt := got.IsEdns0()
		if got.Rcode != test.rcode || (opt != nil) != test.opt || got.Id != 4711 {
			t.Errorf("%s: got %v, want rcode %d, OPT %v", test.name, got, test.rcode, test.opt)
			continue
		}
		if opt != nil && (opt.UDPSize() != maxPayload || opt.Version() != 0 || opt.Do() != test.do || len(opt.Option) != 0) {
			t.Errorf("%s: got OPT %v", test.name, opt)
		}
	}
}

// The question goes back byte for byte (0x20), also where it stands for a
// wildcard's owner.
func TestQuestionCase(t *testing.T) {
	s := serveText(t, "*.w 300 A 192.0.2.1\n")
	for _, name := range []string{"Ns1.exAMPLE.cOm.", "aBc.W.eXample.COM."} {
		m := new(dns.Msg).SetQuestion(name, dns.TypeA)
		got := exchange(t, s, "udp", m)
		if got.Question[0].Name != name || len(got.Answer) != 1 || got.Answer[0].Header().Name != name {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// Any octet may stand in a label.
func TestOctets(t *testing.T) {
	s := serveText(t, `\000\255\032x 300 A 192.0.2.1
a\.b 300 A 192.0.2.2
a.b 300 A 192.0.2.3
`)
	check(t, s, []question{
		{`\000\255\032X.example.com A`, "NOERROR aa\nAN \\000\\255\\ x.example.com. 300 A 192.0.2.1\n"},
		{`a\.b.example.com A`, "NOERROR aa\nAN a\\.b.example.com. 300 A 192.0.2.2\n"},
		{`a.b.example.com A`, "NOERROR aa\nAN a.b.example.com. 300 A 192.0.2.3\n"},
	})
}

// header makes a message of a header and what follows it.
func header(flags, qd, an, ns, ar uint16, body ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, 0x1234)
	for _, n := range []uint16{flags, qd, an, ns, ar} {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return append(b, body...)
}

var rootNS = []byte{0, 0, 2, 0, 1}

func TestMalformed(t *testing.T) {
	s := serveText(t, "")
	tests := []struct {
		name  string
		query []byte
		rcode int
	}{
		{"no question", header(0, 0, 0, 0, 0), dns.RcodeFormatError},
		{"question missing", header(0, 1, 0, 0, 0), dns.RcodeFormatError},
		{"two questions", header(0, 2, 0, 0, 0, append(rootNS, rootNS...)...), dns.RcodeFormatError},
		{"question cut off", header(0, 1, 0, 0, 0, 0, 0, 2, 0), dns.RcodeFormatError},
		{"pointer in question", header(0, 1, 0, 0, 0, 0xc0, 12, 0, 2, 0, 1), dns.RcodeFormatError},
		{"label of 64", header(0, 1, 0, 0, 0, append(make([]byte, 0), append([]byte{64}, make([]byte, 70)...)...)...), dns.RcodeFormatError},
		{"record missing", header(0, 1, 0, 0, 1, rootNS...), dns.RcodeFormatError},
		{"record cut off", header(0, 1, 1, 0, 0, append(rootNS, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 9)...), dns.RcodeFormatError},
		{"status", header(2<<11, 1, 0, 0, 0, rootNS...), dns.RcodeNotImplemented},
		{"notify", header(4<<11, 1, 0, 0, 0, rootNS...), dns.RcodeNotImplemented},
		{"update", header(5<<11, 1, 0, 0, 0, rootNS...), dns.RcodeRefused},
		{"class CH", header(0, 1, 0, 0, 0, 0, 0, 2, 0, 3), dns.RcodeRefused},
		{"all bits", header(0x7ff&^0x78, 1, 0, 0, 0, rootNS...), dns.RcodeRefused},
	}
	for _, test := range tests {
		got := unpack(t, raw(t, s, test.query))
		if got.Rcode != test.rcode || !got.Response || got.Id != 0x1234 || got.RecursionAvailable || got.Authoritative || got.Zero {
			t.Errorf("%s: got %v, want rcode %d", test.name, got, test.rcode)
		}
	}
}

// Responses and what is shorter than a header meet silence.
func TestSilence(t *testing.T) {
	var a answerer
	for _, query := range [][]byte{nil, {1, 2, 3}, header(0, 1, 0, 0, 0)[:11], header(0x8000, 1, 0, 0, 0, rootNS...)} {
		buf := make([]byte, bufferSize)
		if n := a.reply(&View{}, buf, copy(buf, query), loopback, false); n != 0 {
			t.Errorf("%x: got an answer of %d octets", query, n)
		}
	}
	if a.tally.silent != 4 {
		t.Errorf("counted %d, want 4", a.tally.silent)
	}
}
