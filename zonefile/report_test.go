package zonefile

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "z", "$ORIGIN Example.com.\n"+head+"a A 192.0.2.1\na A 192.0.2.2\na 9 A 192.0.2.3\n@ NS ns1\n")
	r, err := Check("", path)
	if err != nil {
		t.Fatal(err)
	}
	want := "zone example.com.: 6 records in 3 RRsets, serial 1\ntypes: A 3, NS 2, SOA 1\n" +
		"warning: " + path + ":7: a.example.com. A has TTL 9, the records before it 300; 300 is taken\n" +
		"warning: " + path + ": zone example.com.: nameserver ns1.example.com. has no A or AAAA in the zone; b8s adds what nameservers in b8s.yaml name\n"
	if r.String() != want {
		t.Errorf("got\n%s\nwant\n%s", r, want)
	}
}

func TestApexOfFile(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"soa":              "; x\nexample.com. 5 IN SOA a. b. 1 1 1 1 1\n@ 5 NS a.\n",
		"example.com.zone": "@ 5 IN SOA a. b. 1 1 1 1 1\n@ 5 NS a.\n",
		"example.com":      "@ 5 IN SOA a. b. 1 1 1 1 1\n",
	} {
		if r, err := Check("", write(t, dir, name, text)); err != nil || r.Apex != "example.com." {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	path := write(t, dir, "unknown", "@ 5 IN SOA a. b. 1 1 1 1 1\n@ 5 NS a.\n")
	if _, err := Check("", path); err == nil || !strings.Contains(err.Error(), "tells the zone") {
		t.Errorf("unknown: %v", err)
	}
	if r, err := Check("x.org", path); err != nil || r.Apex != "x.org." {
		t.Errorf("named: %v %v", r, err)
	}
}

func TestScanStopsWithFn(t *testing.T) {
	stop := &Error{"f", 1, "enough"}
	n := 0
	err := ScanText("example.com", []byte(head+"a A bad\n"), "z", scanUntil(&n, 2, stop))
	if err != error(stop) || n != 2 {
		t.Errorf("%d records, %v", n, err)
	}
}

func TestScanStopsWithinInclude(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "z", head+"$INCLUDE y\n")
	write(t, dir, "y", "a A 192.0.2.1\nb A 192.0.2.1\n")
	stop := &Error{"f", 1, "enough"}
	n := 0
	if err := Scan("example.com", path, scanUntil(&n, 3, stop)); err != error(stop) || n != 3 {
		t.Errorf("%d records, %v", n, err)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	_, err := Parse("example.com", []byte(head+strings.Repeat("a A bad\n", 3*maxErrors)), "z")
	list := strings.Split(err.Error(), "\n")
	if len(list) != maxErrors+1 || !strings.HasSuffix(list[maxErrors], "1000 errors, the rest is not read") {
		t.Errorf("%d errors, the last is %s", len(list), list[len(list)-1])
	}
}

func TestLongLines(t *testing.T) {
	text := head + "a TXT " + strings.Repeat(`"0123456789" `, 10000) + "\n" + strings.Repeat("x", maxEntry+9) + " A 192.0.2.1\nb A bad\n"
	_, err := Parse("example.com", []byte(text), "z")
	want := "z:5: line longer than 512 KiB\nz:6: address \"bad\" is not an IP address"
	if err == nil || err.Error() != want {
		t.Errorf("got %.300v\nwant %s", err, want)
	}
}

func scanUntil(n *int, limit int, stop error) func(dns.RR, string, int) error {
	return func(dns.RR, string, int) error {
		if *n++; *n == limit {
			return stop
		}
		return nil
	}
}
