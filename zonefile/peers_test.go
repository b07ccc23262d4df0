package zonefile

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAgainstBIND holds each accepted form against what named-compilezone
// makes of it.
func TestAgainstBIND(t *testing.T) {
	tool, err := exec.LookPath("named-compilezone")
	if err != nil {
		t.Skip("named-compilezone is not installed (Debian: bind9-utils)")
	}
	dir := t.TempDir()
	for _, tt := range forms {
		t.Run(tt.name, func(t *testing.T) {
			in := strings.ReplaceAll(tt.in, `abcd\n`, "abcd\n")
			path := write(t, dir, "z", head+in+"\n")
			out := filepath.Join(dir, "out")
			if text, err := exec.Command(tool, "-i", "none", "-k", "ignore", "-o", out, "example.com", path).CombinedOutput(); err != nil {
				t.Fatalf("BIND refuses %q: %s", tt.in, text)
			}
			theirs, err := Read("example.com", out)
			if err != nil {
				t.Fatalf("what BIND writes of %q is refused: %v", tt.in, err)
			}
			if ours := parse(t, head+in+"\n"); !bytes.Equal(ours.Text(), theirs.Text()) {
				t.Errorf("%q\nours\n%s\nBIND's\n%s", tt.in, lines(ours), lines(theirs))
			}
		})
	}
}

// TestTTLsAsBIND compares where a TTL comes from: an SOA's minimum, the record
// before, an RRset with several, a $TTL of an included file.
func TestTTLsAsBIND(t *testing.T) {
	tool, err := exec.LookPath("named-compilezone")
	if err != nil {
		t.Skip("named-compilezone is not installed (Debian: bind9-utils)")
	}
	dir := t.TempDir()
	inc := write(t, dir, "inc", "\tTXT i\nq A 192.0.2.4\n$TTL 5\nq2 A 192.0.2.2\n")
	for _, soa := range []string{"@ SOA a b 1 1 1 1 77\n", "@ 40 SOA a b 1 1 1 1 77\n", "$TTL 30\n@ SOA a b 1 1 1 1 77\n"} {
		path := write(t, dir, "z", soa+"@ NS x.\nw 9 A 192.0.2.9\nw 7 A 192.0.2.1\nv 8 A 192.0.2.7\nx A 192.0.2.1\n$INCLUDE "+inc+"\n\tMX 1 o\ny A 192.0.2.1\n")
		out := filepath.Join(dir, "out")
		if text, err := exec.Command(tool, "-i", "none", "-o", out, "example.com", path).CombinedOutput(); err != nil {
			t.Fatalf("BIND refuses it: %s", text)
		}
		ours, err := Read("example.com", path)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := Read("example.com", out)
		if err != nil {
			t.Fatal(err)
		}
		if !Equal(ours, theirs) {
			t.Errorf("ours\n%s\nBIND's\n%s", ours.Text(), theirs.Text())
		}
	}
}

// TestPeersRefuse holds each fault against NSD's and BIND's opinion: one of
// them at least refuses it too.
func TestPeersRefuse(t *testing.T) {
	dir := t.TempDir()
	peers := [][]string{{"named-checkzone", "-k", "ignore", "-i", "none", "example.com"}, {"nsd-checkzone", "example.com"}}
	for _, p := range peers {
		if _, err := exec.LookPath(p[0]); err != nil {
			t.Skip(p[0] + " is not installed (Debian: bind9-utils, nsd)")
		}
	}
	for _, tt := range faults {
		path := write(t, dir, "z", head+tt.in+"\n")
		var accepted []string
		for _, p := range peers {
			if exec.Command(p[0], append(p[1:], path)...).Run() == nil {
				accepted = append(accepted, p[0])
			}
		}
		if len(accepted) == len(peers) && !stricter[tt.name] {
			t.Errorf("%s: %q is accepted by %s", tt.name, tt.in, strings.Join(accepted, " and "))
		}
	}
}

// stricter are faults that BIND and NSD let pass, and why b8s does not.
var stricter = map[string]bool{
	"DNAME and NS": true, // RFC 6672 2.3 forbids it
	"TTL":          true, // RFC 2181 8: they take it as 0 or as it is
	"$TTL":         true,
}
