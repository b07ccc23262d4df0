package zonefile

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzParse holds that any text that is accepted has a canonical text which
// gives an equal zone, that JSON keeps it, and that all of it can be packed.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"w A 192.0.2.1\n$ORIGIN a\nb MX 1 @",
		`\$x TXT ( "a\"" ; c` + "\n b )",
		"x TYPE65400 \\# 2 abcd\ny HTTPS 1 . alpn=h2",
		"$GENERATE 1-9/2 a${1,2,x} CNAME b$",
		"x CAA 0 issue \"a;b\"\nx NAPTR 1 2 \"\" \"a\\\\b\" \"!^.*$!x!\" a\\.b",
		"x APL 1:192.0.2.0/24 !2:2001:db8::/32\nx APL\nx NULL \\# 1 00\nx HINFO a b",
		"x DS 1 8 2 abcd\nx NSEC3PARAM 1 0 0 -\nx IPSECKEY 10 3 2 a.b. AQID\nx LOC 1 2 3 N 4 5 6 E 1m",
		"x URI 1 2 \"a\"\nx SSHFP 1 1 ab\nx CERT PKIX 1 1 AQID\nx RP a b\nx GPOS 1 2 3\nx X25 \"1\"\nx ISDN \"1\" \"2\"",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Count(strings.ToUpper(text), "$GENERATE") > 1 {
			t.Skip()
		}
		z, err := Parse("example.com", []byte(head+text), "z")
		if err != nil {
			return
		}
		canonical := z.Text()
		back, err := Parse("example.com", canonical, "canonical")
		if err != nil {
			t.Fatalf("canonical text is refused: %v\n%s", err, canonical)
		}
		if !bytes.Equal(back.Text(), canonical) || !Equal(z, back) {
			t.Fatalf("canonical text changes:\n%s\n%s", canonical, back.Text())
		}
		checkPacks(t, z, back)
		checkJSON(t, z)
	})
}

// checkPacks compares both zones on the wire.
func checkPacks(t *testing.T, z, back *Zone) {
	for i, rr := range z.Records {
		a, err := rdataWire(rr)
		if err != nil {
			t.Fatalf("%s: %v", rr, err)
		}
		b, err := rdataWire(back.Records[i])
		if err != nil || !bytes.Equal(a, b) {
			t.Fatalf("%s: %x, but read back %x %v", rr, a, b, err)
		}
		owner := rr.Header().Name
		if n, err := Name(owner); n != owner || err != nil {
			t.Fatalf("owner %q is not canonical: %q %v", owner, n, err)
		}
		if !dns.IsFqdn(owner) || wireLen(owner) > maxName {
			t.Fatalf("owner %q", owner)
		}
	}
}

func checkJSON(t *testing.T, z *Zone) {
	b, err := json.Marshal(z)
	if err != nil {
		t.Fatal(err)
	}
	var back Zone
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatalf("JSON: %v\n%s", err, b)
	}
	if !Equal(z, &back) {
		t.Fatalf("JSON changes the zone:\n%s\n%s", z.Text(), back.Text())
	}
	for i := range z.Records {
		if z.At(i) != back.At(i) {
			t.Fatalf("record %d at %q, by JSON %q", i, z.At(i), back.At(i))
		}
	}
}

// FuzzAgainstLibrary holds the types that are read here against miekg/dns:
// what both accept is the same on the wire, and what only the library accepts
// is known.
func FuzzAgainstLibrary(f *testing.F) {
	for _, s := range []string{
		"A 192.0.2.1", "AAAA 2001:db8::ffff:1.2.3.4", "NS a\\.b\\000.c", "CNAME @", "MX 10 a.", "PTR \\@",
		"TXT a\\065 \"b c\" \"\"", "SRV 1 2 3 a", "SOA a b 1 1h 2 3 4w", "DNAME .", "SPF x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rdata string) {
		word, _, _ := strings.Cut(rdata, " ")
		rrtype, ok := rrType([]byte(word))
		if _, fast := fastRR(dns.RR_Header{Rrtype: rrtype}, &fields{e: &entry{}}); !ok || !fast || strings.ContainsAny(rdata, "\n\r();\t$#") {
			t.Skip()
		}
		var own dns.RR
		ownErr := ScanText("example.com", []byte("x 5 "+rdata), "", func(rr dns.RR, _ string, _ int) error {
			own = rr
			return nil
		})
		lib, libErr := dns.NewRR("$ORIGIN example.com.\nx 5 " + rdata)
		if ownErr != nil || libErr != nil || lib == nil {
			if ownErr == nil && libErr != nil && !knownStricter(libErr, rdata) {
				t.Fatalf("%q is accepted here, not by the library: %v", rdata, libErr)
			}
			return
		}
		a, err := rdataWire(own)
		b, err2 := rdataWire(lib)
		if err != nil || err2 != nil || !bytes.Equal(a, b) {
			t.Fatalf("%q gives %x %v, the library %x %v", rdata, a, err, b, err2)
		}
	})
}

// knownStricter are texts that are right and that the library refuses.
func knownStricter(err error, rdata string) bool {
	return strings.Contains(rdata, `"`) || strings.Contains(rdata, `\`) || strings.Contains(err.Error(), "garbage after rdata")
}
