package zonefile

import (
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	old := parse(t, head+"a A 192.0.2.1\nb A 192.0.2.2\nb A 192.0.2.3\nd MX 10 x\nz TXT z\n")
	new := parse(t, strings.Replace(head, "hostmaster 1 ", "hostmaster 9 ", 1)+"b A 192.0.2.2\nb A 192.0.2.4\nc A 192.0.2.5\nd 5 MX 10 x\nz TXT z\n")
	c := Diff(old, new)
	if got := c.String(); got != "1 RRset added, 1 removed, 2 changed" {
		t.Errorf("String: %q", got)
	}
	want := `- a.example.com. 300 IN A 192.0.2.1
- b.example.com. 300 IN A 192.0.2.3
+ b.example.com. 300 IN A 192.0.2.4
+ c.example.com. 300 IN A 192.0.2.5
- d.example.com. 300 IN MX 10 x.example.com.
+ d.example.com. 5 IN MX 10 x.example.com.`
	if got := strings.Join(c.Lines(), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if c.Changed[0].Old.At != "z:5" || c.Changed[0].New.At != "z:4" {
		t.Errorf("places %q %q", c.Changed[0].Old.At, c.Changed[0].New.At)
	}
}

func TestDiffOfNothing(t *testing.T) {
	z := parse(t, head+"a A 192.0.2.1\n")
	if c := Diff(z, z.WithSerial(77)); !c.Empty() || c.String() != "no change" || c.Lines() != nil {
		t.Errorf("another serial is a change: %v", c.Lines())
	}
	if c := Diff(nil, z); len(c.Added) != 3 || len(c.Lines()) != 3 {
		t.Errorf("a new zone: %v", c)
	}
	if c := Diff(z, nil); len(c.Removed) != 3 || c.String() != "3 RRsets removed" {
		t.Errorf("a removed zone: %v", c)
	}
	if c := Diff(z, parse(t, strings.Replace(head, "1209600 60", "1209600 61", 1)+"a A 192.0.2.1\n")); len(c.Changed) != 1 {
		t.Errorf("another SOA minimum: %v", c)
	}
}

func TestWithSerialLeavesTheZone(t *testing.T) {
	z := parse(t, head)
	other := z.WithSerial(5)
	if z.Serial() != 1 || other.Serial() != 5 || other.At(0) != "z:2" {
		t.Errorf("serials %d and %d, at %s", z.Serial(), other.Serial(), other.At(0))
	}
}

func TestSerialAfter(t *testing.T) {
	tests := []struct {
		a, b uint32
		want bool
	}{
		{1, 0, true}, {0, 1, false}, {5, 5, false}, {0, 1<<32 - 1, true}, {1<<32 - 1, 0, false},
		{1<<31 - 1, 0, true}, {1 << 31, 0, true}, {0, 1 << 31, false}, {1<<31 + 1, 0, false},
	}
	for _, tt := range tests {
		if got := SerialAfter(tt.a, tt.b); got != tt.want {
			t.Errorf("SerialAfter(%d, %d) = %v", tt.a, tt.b, got)
		}
		if tt.a != tt.b && LaterSerial(tt.a, tt.b) != LaterSerial(tt.b, tt.a) {
			t.Errorf("LaterSerial of %d and %d depends on their order", tt.a, tt.b)
		}
	}
}

func TestDelegation(t *testing.T) {
	z := parse(t, head+"@ NS NS1\n@ NS ns2.sub\nns1 A 192.0.2.1\nns1 AAAA 2001:db8::1\nns2.sub A 192.0.2.2\nsub NS x.\nw A 192.0.2.3\n")
	d, err := z.Delegation()
	if err != nil {
		t.Fatal(err)
	}
	want := `example.com. 300 IN NS ns1.example.net.
example.com. 300 IN NS NS1.example.com.
example.com. 300 IN NS ns2.sub.example.com.
ns1.example.com. 300 IN A 192.0.2.1
ns1.example.com. 300 IN AAAA 2001:db8::1
ns2.sub.example.com. 300 IN A 192.0.2.2`
	got := d.Lines()
	if strings.Join(sorted(got[:3]), "\n")+"\n"+strings.Join(got[3:], "\n") != strings.Join(sorted(strings.Split(want, "\n")[:3]), "\n")+"\n"+strings.Join(strings.Split(want, "\n")[3:], "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if strings.Join(d.Other, " ") != "ns1.example.net." {
		t.Errorf("others %q", d.Other)
	}
	_, err = parse(t, head+"@ NS a\n@ NS b\nb CNAME c\n").Delegation()
	if err == nil || strings.Count(err.Error(), "has no A or AAAA in the zone") != 2 {
		t.Errorf("without glue: %v", err)
	}
}

func TestFind(t *testing.T) {
	z := parse(t, head+"a A 192.0.2.1\na A 192.0.2.2\na TXT x\nb TXT y\n")
	if set, ok := z.Find("a.example.com.", 16); !ok || len(set.Records) != 1 || set.At != "z:6" {
		t.Errorf("a TXT: %v %v", set, ok)
	}
	if _, ok := z.Find("a.example.com.", 28); ok {
		t.Error("a AAAA is found")
	}
	if _, ok := z.Find("zz.example.com.", 1); ok {
		t.Error("zz is found")
	}
	if n := len(z.Node("a.example.com.")); n != 3 {
		t.Errorf("node a has %d records", n)
	}
	sets := 0
	for range z.RRsets {
		sets++
	}
	if sets != 5 {
		t.Errorf("%d RRsets, want 5", sets)
	}
}

func TestWith(t *testing.T) {
	z := parse(t, head+"b TXT y\n")
	extra := parse(t, head+"a A 192.0.2.1\n").Node("a.example.com.")
	sum, err := z.With(extra...)
	if err != nil || len(sum.Records) != 4 || len(z.Records) != 3 {
		t.Fatalf("%v %v", sum, err)
	}
	if set, _ := sum.Find("b.example.com.", 16); set.At != "z:4" {
		t.Errorf("b at %q", set.At)
	}
	if set, ok := sum.Find("a.example.com.", 1); set.At != "" || !ok {
		t.Errorf("a at %q, %v", set.At, ok)
	}
	if _, err := sum.With(parse(t, head+"b CNAME x\n").Node("b.example.com.")...); err == nil || !strings.Contains(err.Error(), "beside a CNAME") {
		t.Errorf("a CNAME beside data: %v", err)
	}
}
