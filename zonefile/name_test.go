package zonefile

import (
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// The example of RFC 4034 6.1.
func TestCanonicalOrder(t *testing.T) {
	want := []string{"example.", "a.example.", "yljkjljk.a.example.", `Z.a.example.`, "zABC.a.EXAMPLE.", "z.example.", `\001.z.example.`, "*.z.example.", `\200.z.example.`}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, Compare)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	for _, p := range [][2]string{{".", "a."}, {`\000.a.`, `\001.a.`}, {`\001.a.`, `\002.a.`}, {"a.", `\000.a.`}, {`a\000.`, `a\000\000.`}, {"b.a.", `a\.b.`}} {
		if Compare(p[0], p[1]) >= 0 || Compare(p[1], p[0]) <= 0 || Compare(p[0], p[0]) != 0 {
			t.Errorf("%s is not before %s", p[0], p[1])
		}
	}
}

func TestWithin(t *testing.T) {
	tests := []struct {
		name, apex string
		want       bool
	}{
		{"a.b.", "b.", true}, {"b.", "b.", true}, {"ab.", "b.", false}, {"a.", ".", true},
		{`a\.b.`, "b.", false}, {`a\\.b.`, "b.", true}, {`a\\\.b.`, "b.", false}, {"b.", "a.b.", false},
	}
	for _, tt := range tests {
		if got := Within(tt.name, tt.apex); got != tt.want {
			t.Errorf("Within(%s, %s) = %v", tt.name, tt.apex, got)
		}
	}
}

// FuzzName holds that a canonical name stays as it is, and that miekg/dns sees
// the same octets in it.
func FuzzName(f *testing.F) {
	f.Add("a.B.c")
	f.Add(`\000\.\\.x\@.`)
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Name(s)
		if err != nil {
			return
		}
		again, err := Name(n)
		if err != nil || again != n {
			t.Fatalf("%q gives %q, that %q %v", s, n, again, err)
		}
		buf := make([]byte, 300)
		end, err := dns.PackDomainName(n, buf, 0, nil, false)
		if err != nil || end != wireLen(n) {
			t.Fatalf("%q gives %q: packs to %d octets, %v; want %d", s, n, end, err, wireLen(n))
		}
		text, _, err := dns.UnpackDomainName(buf[:end], 0)
		if err != nil || text != n {
			t.Fatalf("%q gives %q, the library writes %q %v", s, n, text, err)
		}
		if !within(n, n) || !within(n, ".") {
			t.Fatalf("%q is not within itself", n)
		}
	})
}
