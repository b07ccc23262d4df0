package nameserver

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// big is n addresses of one name.
func big(name string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s 300 A 10.0.%d.%d\n", name, i/256, i%256)
	}
	return b.String()
}

func TestTruncation(t *testing.T) {
	s := serveText(t, big("x", 40)+big("y", 100)+big("z", 3000))
	tests := []struct {
		name    string
		payload uint16 // 0: no OPT
		records int    // 0: truncated
	}{
		{"x", 0, 0}, {"x", 512, 0}, {"x", 100, 0}, {"x", 1232, 40}, {"x", 65535, 40},
		{"y", 1232, 0}, {"y", 4096, 0}, {"z", 4096, 0},
	}
	for _, test := range tests {
		m := message(test.name + ".example.com A")
		if test.payload > 0 {
			m.SetEdns0(test.payload, true)
		}
		got := exchange(t, s, "udp", m)
		if got.Truncated != (test.records == 0) || len(got.Answer) != test.records || len(got.Ns) != 0 {
			t.Errorf("%s at %d: got tc %v, %d records; want %d", test.name, test.payload, got.Truncated, len(got.Answer), test.records)
		}
		if opt := got.IsEdns0(); (opt != nil) != (test.payload > 0) || opt != nil && !opt.Do() {
			t.Errorf("%s at %d: got OPT %v", test.name, test.payload, opt)
		}
		if len(got.Question) != 1 || got.Question[0].Name != m.Question[0].Name {
			t.Errorf("%s at %d: the question is gone", test.name, test.payload)
		}
	}
	if got := exchange(t, s, "tcp", message("z.example.com A")); got.Truncated || len(got.Answer) != 3000 {
		t.Errorf("over TCP: tc %v, %d records", got.Truncated, len(got.Answer))
	}
}

// A referral whose servers below the cut can't all be given addresses is
// truncated (RFC 9471); others' addresses are left out without a word.
func TestTruncatedGlue(t *testing.T) {
	var in, out strings.Builder
	for i := range 20 {
		fmt.Fprintf(&in, "in 300 NS ns%d.in\nns%d.in 300 A 192.0.2.%d\nns%d.in 300 AAAA 2001:db8::%d\n", i, i, i, i, i)
		fmt.Fprintf(&out, "out 300 NS ns%d.other\nns%d.other 300 A 192.0.2.%d\nns%d.other 300 AAAA 2001:db8::%d\n", i, i, i, i, i)
	}
	s := serveText(t, in.String()+out.String()+"other 300 NS ns0.other\n")
	if got := exchange(t, s, "udp", message("www.in.example.com A")); !got.Truncated {
		t.Errorf("in-domain glue: got %v, want TC", got)
	}
	got := exchange(t, s, "udp", message("www.out.example.com A"))
	if got.Truncated || len(got.Ns) != 20 || len(got.Extra) == 0 || len(got.Extra) >= 40 {
		t.Errorf("sibling glue: got %v, want all NS and some addresses", got)
	}
	for _, name := range []string{"www.in", "www.out"} {
		if got := exchange(t, s, "tcp", message(name+".example.com A")); got.Truncated || len(got.Ns) != 20 || len(got.Extra) != 40 {
			t.Errorf("%s over TCP: got %d NS, %d addresses", name, len(got.Ns), len(got.Extra))
		}
	}
}

// Every answer fits, is well formed, and says no record twice.
func wellFormed(t *testing.T, q string, b []byte, limit int) *dns.Msg {
	t.Helper()
	m := unpack(t, b)
	if len(b) > limit {
		t.Errorf("%s: %d octets, more than %d", q, len(b), limit)
	}
	seen := map[string]bool{}
	for _, rr := range append(append(m.Answer, m.Ns...), m.Extra...) {
		if seen[rr.String()] {
			t.Errorf("%s: %s stands there twice", q, rr)
		}
		seen[rr.String()] = true
	}
	return m
}
