package subjects

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestKey(t *testing.T) {
	for name, want := range map[string]string{
		"example.com.":       "example.com",
		"Example.COM":        "example.com",
		".":                  "=2E",
		"*.example.com.":     "_wildcard.example.com",
		`_wildcard.example.`: "=5Fwildcard.example",
		`_dmarc.example.com`: "_dmarc.example.com",
		`a\.b.example.`:      "a=2Eb.example",
		`\..`:                "=2e",
		`\000\255x.`:         "=00=FFx",
		`a=b.`:               "a=3Db",
		`a>b.*c.`:            "a=3Eb.=2Ac",
		`\065bc.`:            "abc",
		`a\ b.`:              "a=20b",
	} {
		got, err := Key(name)
		if err != nil || got != want {
			t.Errorf("Key(%q) = %q, %v; want %q", name, got, err, want)
			continue
		}
		back, err := Name(got)
		if err != nil {
			t.Errorf("Name(%q): %v", got, err)
		}
		if again, _ := Key(back); again != got {
			t.Errorf("Key(Name(%q)) = %q", got, again)
		}
	}
	for _, bad := range []string{"", "..", "a..b", ".a", `a\`, `a\25`, `a\256.`, `a\2x5.`, strings.Repeat("a", 64), strings.Repeat("a.", 128)} {
		if key, err := Key(bad); err == nil {
			t.Errorf("Key(%q) = %q, want an error", bad, key)
		}
	}
	for _, bad := range []string{"", "A", "a..b", "=", "=2", "=zz", "=61", "*", "a b", "=2a", "=5fwildcard", "a.", "é"} {
		if name, err := Name(bad); err == nil {
			t.Errorf("Name(%q) = %q, want an error", bad, name)
		}
	}
}

var natsKey = regexp.MustCompile(`^[-/_=.a-zA-Z0-9]+$`)

func FuzzKey(f *testing.F) {
	for _, s := range []string{"example.com.", `a\.b.`, "*.x", ".", `\..`, "_wildcard.", "=2E", "_wildcard.x", "=5Fwildcard"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if key, err := Key(s); err == nil {
			if !natsKey.MatchString(key) || strings.HasPrefix(key, ".") || strings.HasSuffix(key, ".") || strings.Contains(key, "..") {
				t.Fatalf("Key(%q) = %q is not a key", s, key)
			}
			name, err := Name(key)
			if err != nil {
				t.Fatalf("Name(Key(%q) = %q): %v", s, key, err)
			}
			if again, err := Key(name); err != nil || again != key {
				t.Fatalf("%q: Key(%q) = %q, %v; want %q", s, name, again, err, key)
			}
		}
		if name, err := Name(s); err == nil {
			if key, err := Key(name); err != nil || key != s {
				t.Fatalf("Key(Name(%q) = %q) = %q, %v", s, name, key, err)
			}
		}
	})
}

func TestValidName(t *testing.T) {
	for name, ok := range map[string]bool{
		"sydney": true, "a": true, "0-1": true, strings.Repeat("a", 63): true,
		"": false, "-a": false, "A": false, "a.b": false, "a_b": false, "a b": false, "*": false, ">": false,
		strings.Repeat("a", 64): false, "a\n": false,
	} {
		if err := ValidName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// What a sub may touch holds nothing that writes, makes a consumer, or is
// another's.
func TestSubImportsOnlyRead(t *testing.T) {
	for _, in := range SubImports("sydney") {
		s := in.Subject
		switch {
		case strings.HasPrefix(s, "$JS.API.DIRECT.GET.KV_"), strings.HasPrefix(s, "$JS.API.DIRECT.GET.OBJ_"), strings.HasPrefix(s, "$JS.API.STREAM.INFO.KV_"):
			if !in.Service || strings.ContainsAny(s, "*>") {
				t.Errorf("%+v", in)
			}
			if strings.HasSuffix(s, "_"+StatusKV) {
				t.Errorf("%s: it tells about other subs", s)
			}
		case strings.HasPrefix(s, "b8s.live."):
			if in.Service || strings.Contains(s, StatusKV) {
				t.Errorf("%+v", in)
			}
		case s == "b8s.status.sydney":
			if !in.Service {
				t.Errorf("%+v", in)
			}
		default:
			t.Errorf("%s: not on the list of what a sub may touch", s)
		}
	}
	if slices.Contains(SubReads(), StatusKV) {
		t.Error("a sub reads the status of others")
	}
}

func TestSharesFitInTheStore(t *testing.T) {
	sum := 0
	for _, b := range Buckets() {
		if b.History < 1 || b.History > 64 {
			t.Errorf("%s keeps %d revisions", b.Name, b.History)
		}
		sum += b.Share
	}
	for _, k := range Kinds() {
		sum += k.Share
	}
	if sum > 1000 {
		t.Errorf("shares are %d thousandths", sum)
	}
}

func TestSubjectsAndTheirInverses(t *testing.T) {
	if key, ok := StoredKey(Records, Stored(Records, "a.b")); !ok || key != "a.b" {
		t.Error(key)
	}
	if key, ok := LiveKey(Records, Live(Records, "a.b")); !ok || key != "a.b" {
		t.Error(key)
	}
	if _, ok := StoredKey(Records, Stored(Hosts, "a")); ok {
		t.Error("another bucket's subject is taken")
	}
	if sub, ok := StatusSub(Status("sydney")); !ok || sub != "sydney" {
		t.Error(sub)
	}
}
