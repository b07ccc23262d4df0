package zonefile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// head makes a zone of a few lines complete: lines start at 4.
const head = `$TTL 300
@ IN SOA ns1 hostmaster 1 7200 3600 1209600 60
@ NS ns1.example.net.
`

func parse(t *testing.T, text string) *Zone {
	t.Helper()
	z, err := Parse("example.com", []byte(text), "z")
	if err != nil {
		t.Fatalf("Parse:\n%s\n%v", text, err)
	}
	return z
}

// lines gives the zone's text without SOA and NS of the apex.
func lines(z *Zone) string {
	all := strings.SplitAfter(string(z.Text()), "\n")
	return strings.Join(all[2:], "")
}

// forms are lines that are accepted, and the text of what they give; "" where
// only three records are asked for.
var forms = []struct{ name, in, want string }{
	{"relative", "www A 192.0.2.1", "www.example.com. 300 IN A 192.0.2.1"},
	{"absolute", "www.example.com. A 192.0.2.1", "www.example.com. 300 IN A 192.0.2.1"},
	{"apex", "@ A 192.0.2.1", ""},
	{"class and TTL", "www IN 60 A 192.0.2.1\nw2 60 IN A 192.0.2.1", "w2.example.com. 60 IN A 192.0.2.1\nwww.example.com. 60 IN A 192.0.2.1"},
	{"units", "www 1h30m A 192.0.2.1", "www.example.com. 5400 IN A 192.0.2.1"},
	{"lower case words", "www in a 192.0.2.1", "www.example.com. 300 IN A 192.0.2.1"},
	{"owner omitted", "www A 192.0.2.1\n\tAAAA 2001:DB8::1", "www.example.com. 300 IN A 192.0.2.1\nwww.example.com. 300 IN AAAA 2001:db8::1"},
	{"owner folded, rdata kept", "WwW CNAME FoO.Example.ORG.", "www.example.com. 300 IN CNAME FoO.Example.ORG."},
	{"origin", "$ORIGIN sub\n@ A 192.0.2.1\nx MX 10 mail", "sub.example.com. 300 IN A 192.0.2.1\nx.sub.example.com. 300 IN MX 10 mail.sub.example.com."},
	{"default TTL changes", "a A 192.0.2.1\n$TTL 5\nb A 192.0.2.1", "a.example.com. 300 IN A 192.0.2.1\nb.example.com. 5 IN A 192.0.2.1"},
	{"comment", "www A 192.0.2.1 ; (not open", "www.example.com. 300 IN A 192.0.2.1"},
	{"comment line", "; x\n\n   \n ; y\nwww A 192.0.2.1;z", "www.example.com. 300 IN A 192.0.2.1"},
	{"parentheses", "www TXT ( \"a;b\" ; c )\n \"(\"\n ) ; end", `www.example.com. 300 IN TXT "a;b" "("`},
	{"parenthesis first", "( www A\n192.0.2.1 )", "www.example.com. 300 IN A 192.0.2.1"},
	{"CRLF", "www A 192.0.2.1\r\nw2 A 192.0.2.2\r", "w2.example.com. 300 IN A 192.0.2.2\nwww.example.com. 300 IN A 192.0.2.1"},
	{"wildcard", "* A 192.0.2.1", "*.example.com. 300 IN A 192.0.2.1"},
	{"escaped dot", `a\.b A 192.0.2.1`, `a\.b.example.com. 300 IN A 192.0.2.1`},
	{"octets", `\000\032\255\A A 192.0.2.1`, `\000\ \255a.example.com. 300 IN A 192.0.2.1`},
	{"octet of a dot", `a\046b CNAME x\046y.`, `a\.b.example.com. 300 IN CNAME x\.y.`},
	{"dollar", `\$TTL A 192.0.2.1`, `\$ttl.example.com. 300 IN A 192.0.2.1`},
	{"at sign", `\@ A 192.0.2.1`, `\@.example.com. 300 IN A 192.0.2.1`},
	{"text escapes", `x TXT "a\"b\\" \065\000\200 ""`, `x.example.com. 300 IN TXT "a\"b\\" "A\000\200" ""`},
	{"UTF-8 text", `x TXT "é"`, `x.example.com. 300 IN TXT "\195\169"`},
	{"unknown type", `x TYPE65400 \# 3 ab cdef`, `x.example.com. 300 IN TYPE65400 \# 3 abcdef`},
	{"unknown type, empty", `x TYPE65400 \# 0`, `x.example.com. 300 IN TYPE65400 \# 0`},
	{"known type in unknown form", `x A \# 4 c0000201`, `x.example.com. 300 IN A 192.0.2.1`},
	{"known type by number", `x TYPE1 192.0.2.1`, `x.example.com. 300 IN A 192.0.2.1`},
	{"class by number", `x CLASS1 A 192.0.2.1`, `x.example.com. 300 IN A 192.0.2.1`},
	{"SVCB", `x HTTPS 1 . alpn="h2,h3" port=8443`, `x.example.com. 300 IN HTTPS 1 . alpn="h2,h3" port="8443"`},
	{"CAA", `x CAA 0 issue "ca.example"`, `x.example.com. 300 IN CAA 0 issue "ca.example"`},
	{"NAPTR", `x NAPTR 1 2 "u" "E2U+sip" "!^.*$!sip:a@b!" .`, `x.example.com. 300 IN NAPTR 1 2 "u" "E2U+sip" "!^.*$!sip:a@b!" .`},
	{"LOC", `x LOC 51 30 12.748 N 0 7 39.611 W 0.00m 0m 0m 0m`, `x.example.com. 300 IN LOC 51 30 12.748 N 00 07 39.611 W 0m 0.00m 0.00m 0.00m`},
	{"SRV", `_sip._tcp SRV 1 2 5060 h`, `_sip._tcp.example.com. 300 IN SRV 1 2 5060 h.example.com.`},
	{"empty APL", `x APL`, `x.example.com. 300 IN APL`},
	{"TLSA in pieces", `x TLSA 3 1 1 ( abcd\n ef01 )`, ""},
	{"generate", "$GENERATE 1-3 h$ A 192.0.2.$", "h1.example.com. 300 IN A 192.0.2.1\nh2.example.com. 300 IN A 192.0.2.2\nh3.example.com. 300 IN A 192.0.2.3"},
	{"generate forms", "$GENERATE 8-10/2 h${1,3,x} 60 IN TXT \"\\$$$${-8}\"", "h009.example.com. 60 IN TXT \"$$0\"\nh00b.example.com. 60 IN TXT \"$$2\""},
	{"generate nibbles", "$GENERATE 18-18 ${0,3,n} A 192.0.2.1", "2.1.example.com. 300 IN A 192.0.2.1"},
}

func TestMasterFileForms(t *testing.T) {
	for _, tt := range forms {
		t.Run(tt.name, func(t *testing.T) {
			in := strings.ReplaceAll(tt.in, `abcd\n`, "abcd\n")
			z := parse(t, head+in+"\n")
			if tt.want == "" {
				if len(z.Records) != 3 {
					t.Errorf("%q gives %d records, want 3", in, len(z.Records))
				}
				return
			}
			if got := lines(z); got != tt.want+"\n" {
				t.Errorf("%q\n got %q\nwant %q", in, got, tt.want+"\n")
			}
		})
	}
}

var long = strings.Repeat("a", 64)

// faults are lines that are refused, and how the error starts.
var faults = []struct{ name, in, want string }{
	{"second SOA", "@ SOA ns1 h 2 1 1 1 1", "z:4: a second SOA (the first is at z:2): a zone has one"},
	{"SOA below", "x SOA ns1 h 2 1 1 1 1", "z:4: SOA at x.example.com.: it belongs at the apex example.com. and nowhere else"},
	{"CNAME and data", "w A 192.0.2.1\nw CNAME x", "z:4: w.example.com. has A beside a CNAME (z:5): a CNAME stands alone"},
	{"CNAME at the apex", "@ CNAME x", "z:2: example.com. has SOA beside a CNAME (z:4): a CNAME stands alone"},
	{"two CNAMEs", "w CNAME x\nw CNAME y", "z:5: w.example.com. has 2 CNAME records: a name has one at most"},
	{"two DNAMEs", "w DNAME x\nw DNAME y", "z:5: w.example.com. has 2 DNAME records: a name has one at most"},
	{"below a DNAME", "w DNAME x\na.b.w A 192.0.2.1", "z:5: a.b.w.example.com. is below the DNAME at w.example.com.: it could never be answered"},
	{"DNAME and NS", "w DNAME x.\nw NS y.", "z:4: w.example.com. has DNAME and NS: below the apex it can't have both"},
	{"outside", "w.example.org. A 192.0.2.1", "z:4: w.example.org. A is outside of the zone example.com."},
	{"outside by origin", "$ORIGIN example.org.\nw A 192.0.2.1", `z:5: w.example.org. A is outside of the zone example.com.; "w" is taken under the origin example.org.`},
	{"escaped dot is no border", `x\.example.com. A 192.0.2.1`, `z:4: x\.example.com. A is outside of the zone example.com.`},
	{"TTL", "w 2147483648 A 192.0.2.1", "z:4: TTL 2147483648 is above 2147483647 (68 years)"},
	{"$TTL", "$TTL 4000000000", "z:4: $TTL 4000000000 is above 2147483647 (68 years)"},
	{"class", "w CH A 192.0.2.1", "z:4: class CH: b8s serves class IN only"},
	{"meta type", "w ANY x", "z:4: type ANY can't be stored in a zone"},
	{"OPT", `w OPT \# 0`, "z:4: type OPT can't be stored in a zone"},
	{"unknown word", "w AA 192.0.2.1", `z:4: "AA" is no type, class or TTL`},
	{"no type", "w", "z:4: the record has no type"},
	{"no rdata", "w A", "z:4: address is missing"},
	{"no rdata, slow", "w CAA", "z:4: rdata is missing"},
	{"empty rdata by form", `w A \# 0`, "z:4: rdata is missing"},
	{"bad address", "w A 192.0.2.256", `z:4: address "192.0.2.256" is not an IP address`},
	{"wrong family", "w AAAA 192.0.2.1", `z:4: address "192.0.2.1": AAAA wants IPv6`},
	{"garbage", "w A 192.0.2.1 x", "z:4: more words than the type has fields"},
	{"garbage, slow", `w CAA 0 issue "x" y`, "z:4: "},
	{"long label", long + " A 192.0.2.1", `z:4: owner "` + long + `": label longer than 63 octets`},
	{"long name", strings.Repeat("abcdefg.", 31) + "x A 192.0.2.1", "z:4: owner"},
	{"empty label", "a..b A 192.0.2.1", `z:4: owner "a..b": empty label, two dots in a row or a leading dot`},
	{"escape", `a\256 A 192.0.2.1`, `z:4: owner "a\\256": bad escape, want \X or \DDD with DDD up to 255`},
	{"long text", "w TXT " + strings.Repeat("a", 256), "z:4: text of 256 octets, a string holds 255: split it into several quoted strings"},
	{"quote", "w TXT \"a\nb A 192.0.2.1", "z:4: quote not closed on its line"},
	{"parenthesis", "w TXT ( a", "z:4: parenthesis not closed"},
	{"closing", "w TXT a )", "z:4: closing parenthesis without an opening one"},
	{"directive", "$FOO x", `z:4: unknown directive $FOO; a name that starts with $ is written \$`},
	{"include", "$INCLUDE x", "z:4: $INCLUDE is not possible here: the text stands alone"},
	{"generate range", "$GENERATE 3-1 h$ A 192.0.2.$", `z:4: $GENERATE: range "3-1": want START-STOP or START-STOP/STEP`},
	{"generate rdata", "$GENERATE 255-300 h$ A 192.0.2.$", `z:4: address "192.0.2.256" is not an IP address`},
	{"line within", "w SRV ( 1\n 2\n x\n h )", `z:6: port "x": want a number up to 65535`},
	{"line within, slow", "w CAA ( 0\n issue\n )", "z:"},
	{"numbers", "w MX 65536 a", `z:4: preference "65536": want a number up to 65535`},
	{"sign", "w MX +1 a", `z:4: preference "+1": want a number up to 65535`},
}

func TestRefused(t *testing.T) {
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("example.com.", []byte(head+tt.in+"\n"), "z")
			if err == nil {
				t.Fatalf("%q is accepted, want %q", tt.in, tt.want)
			}
			if got := err.Error(); !strings.HasPrefix(got, tt.want) {
				t.Errorf("%q\n got %q\nwant %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestIncompleteZone(t *testing.T) {
	for in, want := range map[string]string{
		"":                                      "z: zone example.com. has no SOA\nz: zone example.com. has no NS at its apex",
		"@ 1 SOA a b 1 1 1 1 1\n":               "z: zone example.com. has no NS at its apex",
		"@ 1 NS a\n":                            "z: zone example.com. has no SOA",
		"@ NS a\n@ SOA a b 1 1 1 1 1\n":         "z:1: no TTL: the record has none, and there is no $TTL nor a record before it",
		" NS a\n@ 1 SOA a b 1 1 1 1 1\n@ NS a.": "z:1: the first record has no owner name",
		"@ 1 SOA a b 1 1 1 1 1\nx A 1\n@ NS a\nx A 2": "z:2: address \"1\" is not an IP address\nz:4: address \"2\" is not an IP address",
	} {
		_, err := Parse("example.com", []byte(in), "z")
		if err == nil || err.Error() != want {
			t.Errorf("%q\n got %v\nwant %s", in, err, want)
		}
	}
	if _, err := (Options{WithoutNS: true}).Parse("example.com", []byte("@ 1 SOA a b 1 1 1 1 1\n"), "z"); err != nil {
		t.Errorf("WithoutNS: %v", err)
	}
}

func TestMissingTTL(t *testing.T) {
	z := parse(t, "@ SOA a b 1 1 1 1 77\n@ NS x.\nw 9 A 192.0.2.1\nx A 192.0.2.1\n")
	for i, want := range []uint32{77, 77, 9, 77} {
		if got := z.Records[i].Header().Ttl; got != want {
			t.Errorf("%s: TTL %d, want %d", z.Records[i], got, want)
		}
	}
	z = parse(t, "@ 40 SOA a b 1 1 1 1 77\n@ NS x.\nw 9 A 192.0.2.1\nx A 192.0.2.1\n")
	for i, want := range []uint32{40, 40, 9, 9} {
		if got := z.Records[i].Header().Ttl; got != want {
			t.Errorf("%s: TTL %d, want %d", z.Records[i], got, want)
		}
	}
}

func TestMended(t *testing.T) {
	z := parse(t, head+"w 5 A 192.0.2.9\nw 7 A 192.0.2.1\nW 5 A 192.0.2.9\nm MX 1 a\nm MX 1 A\nd NS n\nx.d TXT a\nq.example.com A 192.0.2.1\n"+
		"c CNAME t.example.com\n@ SOA ns1 HOSTMASTER 1 7200 3600 1209600 60\n")
	want := []string{
		"z:5: w.example.com. A has TTL 7, the records before it 5; 5 is taken",
		"z:6: w.example.com. A stands here a second time",
		"z:8: m.example.com. MX stands here a second time",
		"z:10: x.d.example.com. TXT is below the delegation of d.example.com.: it is not answered",
		"z:11: q.example.com.example.com. has the zone's name twice: is a final dot missing?",
		"z:12: c.example.com. CNAME points to t.example.com.example.com., which has the zone's name twice: is a final dot missing?",
		"z:13: example.com. SOA stands here a second time",
	}
	got := strings.Join(z.Warnings, "\n")
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("no warning %q in\n%s", w, got)
		}
	}
	if len(z.Warnings) != len(want) {
		t.Errorf("%d warnings, want %d:\n%s", len(z.Warnings), len(want), got)
	}
	if set, _ := z.Find("w.example.com.", dns.TypeA); len(set.Records) != 2 || set.Records[0].Header().Ttl != 5 || set.At != "z:5" {
		t.Errorf("the set is %v", set)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestInclude(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "z", head+"$INCLUDE in/a sub\n\tTXT kept\nw A 192.0.2.3\n")
	write(t, dir, "in/a", "w A 192.0.2.1\n$INCLUDE \"b\"\n$TTL 5\n$ORIGIN x\nw A 192.0.2.4\n")
	write(t, dir, "in/b", "v A 192.0.2.2\n")
	z, err := Read("example.com", path)
	if err != nil {
		t.Fatal(err)
	}
	want := "v.sub.example.com. 300 IN A 192.0.2.2\nw.sub.example.com. 300 IN A 192.0.2.1\nw.x.sub.example.com. 5 IN A 192.0.2.4\nw.example.com. 5 IN A 192.0.2.3\n"
	got := string(z.Text())
	if !strings.HasSuffix(got, want) || !strings.Contains(got, "example.com. 5 IN TXT \"kept\"\n") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if set, _ := z.Find("v.sub.example.com.", dns.TypeA); set.At != filepath.Join(dir, "in/b")+":1" {
		t.Errorf("At %q", set.At)
	}
}

func TestBrokenInclude(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "z", head+"$INCLUDE missing\n$INCLUDE loop\n$INCLUDE .\nw A x\n")
	loop := write(t, dir, "loop", "$INCLUDE z\nv A y\n")
	_, err := Read("example.com", path)
	want := strings.Join([]string{
		path + ":4: $INCLUDE " + dir + "/missing: no such file or directory",
		loop + ":1: $INCLUDE " + path + ": the file includes itself",
		loop + `:2: address "y" is not an IP address`,
		path + ":6: $INCLUDE " + dir + ": is a folder, not a zone file",
		path + `:7: address "x" is not an IP address`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	none := filepath.Join(dir, "none")
	if _, err := Read("example.com", none); err == nil || err.Error() != none+": no such file or directory" {
		t.Errorf("a missing file: %v", err)
	}
}
