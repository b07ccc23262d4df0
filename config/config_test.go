package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"b8s/place"
)

const whole = `zones:
  Example.com: example.zone
  "2.0.192.in-addr.arpa.": /etc/z/reverse
nameservers:
  ns1.Example.com.: sydney
  ns2.example.com: london
sites:
  www:
    hosts: [www.example.com, "*.Example.com."]
  blog:
    hosts:
      - blog.example.com
    subs: [sydney, london]
    ttl: 120
    default: london
geolite:
  account: 123456
  key_file: geolite.key
  url: http://127.0.0.1:8080/download
  edition: GeoLite2-City
`

func TestWholeFile(t *testing.T) {
	got, err := Parse("/conf/b8s.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	at := func(place string) string { return "/conf/b8s.yaml:" + place }
	want := &File{
		Path: "/conf/b8s.yaml",
		Zones: []Zone{
			{"example.com.", "/conf/example.zone", at("2:3")},
			{"2.0.192.in-addr.arpa.", "/etc/z/reverse", at("3:3")},
		},
		Nameservers: []Nameserver{{"ns1.example.com.", "sydney", at("5:3")}, {"ns2.example.com.", "london", at("6:3")}},
		Sites: []Site{
			{Name: "www", Hosts: []Host{{"www.example.com.", at("9:13")}, {"*.example.com.", at("9:30")}}, TTL: 60, At: at("8:3")},
			{"blog", []Host{{"blog.example.com.", at("12:9")}}, []string{"sydney", "london"}, 120, "london", at("10:3")},
		},
		GeoLite: &GeoLite{123456, "/conf/geolite.key", "http://127.0.0.1:8080/download", "GeoLite2-City", at("17:3")},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestRefused(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"unknown key", "zone: {}\n", "f:1:1: b8s.yaml has no key \"zone\": did you mean zones?\n     1 | zone: {}\n         ^"},
		{"unknown key, far", "x: 1", `f:1:1: b8s.yaml has no key "x": known are geolite, nameservers, sites, zones`},
		{"twice", "zones: {}\nzones: {}\n", "f:2:1: b8s.yaml has \"zones\" twice, first in line 1\n     2 | zones: {}\n         ^"},
		{"zone twice", "zones: {a.b: x, A.b.: y}", "f:1:17: zone a.b. stands here a second time"},
		{"wrong type", "zones: [a]", "f:1:8: zones is a list: want keys and values"},
		{"empty", "zones:", "f:1:8: zones is empty: want keys and values"},
		{"scalar file", "hello", "f:1:1: b8s.yaml is the text \"hello\": want keys and values"},
		{"path type", "zones: {a.b: [x]}", "f:1:14: the file of zone a.b is a list: want text"},
		{"empty path", "zones: {a.b: ''}", "f:1:14: empty path"},
		{"syntax", "zones: {a.b", "f:1:9: not YAML: could not find flow map content\n     1 | zones: {a.b\n                 ^"},
		{"site key", "sites: {www: {host: [a.b]}}", `f:1:15: site www has no key "host": did you mean hosts?`},
		{"site name", "sites: {WWW: {hosts: [a.b]}}", `f:1:9: site: name "WWW": lower case only, as www`},
		{"no hosts", "sites: {www: {ttl: 5}}", "f:1:9: site www has no hosts: name them, as hosts: [www.example.com]"},
		{"hosts type", "sites: {www: {hosts: a.b}}", `f:1:22: hosts of site www is the text "a.b": want a list, as in [a, b]`},
		{"host twice", "sites: {www: {hosts: [a.b]}, x: {hosts: [A.b.]}}", "f:1:42: host a.b. stands here a second time, it belongs to site www"},
		{"ttl", "sites: {www: {hosts: [a.b], ttl: 0}}", "f:1:34: ttl of site www is 0: want a number from 1 to 86400"},
		{"ttl type", "sites: {www: {hosts: [a.b], ttl: 1m}}", `f:1:34: ttl of site www is the text "1m": want a number from 1 to 86400`},
		{"ttl negative", "sites: {www: {hosts: [a.b], ttl: -1}}", `f:1:34: ttl of site www is -1: want a number from 1 to 86400`},
		{"IDN", "sites: {www: {hosts: [München.de]}}", `f:1:23: host: name "München.de": characters outside of ASCII, write the xn-- form: probably xn--mnchen-3ya.de`},
		{"bad host", "sites: {www: {hosts: ['a b.c']}}", `f:1:23: host: name "a b.c": character ' ': want a-z, 0-9, - and _`},
		{"empty label", "sites: {www: {hosts: [a..c]}}", `f:1:23: host: name "a..c": empty label, two dots in a row or a leading dot`},
		{"wildcard inside", "sites: {www: {hosts: [a.*.c]}}", `f:1:23: host: name "a.*.c": character '*'`},
		{"wildcard nameserver", "nameservers: {'*.a.b': x}", `f:1:15: nameserver: name "*.a.b": a nameserver can't be a wildcard`},
		{"sub name", "nameservers: {a.b: -x}", `f:1:20: the sub of nameserver a.b: name "-x": want 1 to 63`},
		{"alias", "zones: &a {a.b: x}\nsites: *a", "f:1:8: zones is an anchor or alias, which is not supported: want keys and values"},
		{"merge", "zones:\n  <<: {a.b: x}", "f:2:3: merge keys are not supported: write the values out"},
		{"second document", "zones: {}\n---\nzones: {}", "f:3:1: a second document: the file holds one"},
		{"account", "geolite: {account: me}", `f:1:20: account is the text "me": want a number from 1 to 9007199254740992`},
		{"password", "geolite: {url: 'https://a:b@c/'}", "f:1:16: url holds a password: name the key by key_file"},
		{"edition", "geolite: {edition: GeoLite2-ASN}", `f:1:20: edition "GeoLite2-ASN" has no cities: want one as GeoLite2-City`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f", []byte(tt.in))
			if err == nil {
				t.Fatalf("%q is accepted, want %q", tt.in, tt.want)
			}
			if !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%q\n got %q\nwant %q", tt.in, err, tt.want)
			}
		})
	}
}

func TestAllErrorsTogether(t *testing.T) {
	_, err := Parse("f", []byte("zons: {}\nsites:\n  www:\n    hosts: [a..b]\n    tll: 5\n"))
	var list interface{ Unwrap() []error }
	if !errors.As(err, &list) || len(list.Unwrap()) != 3 {
		t.Fatalf("got %v, want three errors", err)
	}
}

func TestFind(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	deep := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(deep); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	path := filepath.Join(dir, FileName)
	if err := os.WriteFile(path, []byte("zones: {a.b: z}"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Find(deep)
	if got != path || err != nil {
		t.Errorf("got %q %v, want %q", got, err, path)
	}
	if f, err := Load(got); err != nil || f.Zones[0].Path != filepath.Join(dir, "z") {
		t.Errorf("Load: %+v %v", f, err)
	}
}

func TestSubs(t *testing.T) {
	subs, err := ParseSubs("subs.yaml", []byte(`subs:
  - name: sydney
    ipv4: 192.0.2.10
    ipv6: 2001:db8::10
    coordinates: -33.87,151.21
  - {name: null-island, ipv6: "::1", coordinates: "0,0", drained: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(subs) != 2 || subs[0].Coordinates != (place.Point{Lat: -33.87, Lon: 151.21}) || subs[0].IPv4.String() != "192.0.2.10" ||
		subs[0].IPv6.String() != "2001:db8::10" || subs[1].IPv4.IsValid() || !subs[1].Drained || subs[1].At != "subs.yaml:6:5" {
		t.Errorf("got %+v", subs)
	}
}

func TestSubsRefused(t *testing.T) {
	for in, want := range map[string]string{
		"subs: [{ipv4: 192.0.2.1, coordinates: '1,2'}]":                                                             "f:1:8: the sub has no name",
		"subs: [{name: a, coordinates: '1,2'}]":                                                                     "f:1:8: sub a has no address: give it ipv4 or ipv6 or both",
		"subs: [{name: a, ipv4: 192.0.2.1}]":                                                                        "f:1:8: sub a has no coordinates",
		"subs: [{name: a, ipv4: '2001:db8::1', coordinates: '1,2'}]":                                                `f:1:24: ipv4 "2001:db8::1" is not an IPv4 address`,
		"subs: [{name: a, ipv6: '::ffff:1.2.3.4', coordinates: '1,2'}]":                                             `f:1:24: ipv6 "::ffff:1.2.3.4" is not an IPv6 address`,
		"subs: [{name: a, ipv4: 0.0.0.0, coordinates: '1,2'}]":                                                      "f:1:24: ipv4 0.0.0.0 is not the address of a server",
		"subs:\n- name: a\n  ipv4: 192.0.2.1\n  coordinates: 91,0":                                                  `f:4:16: coordinates "91,0": latitude 91 is not within -90 and 90`,
		"subs:\n- name: a\n  ipv4: 192.0.2.1\n  coordinates: [1, 2]":                                                "f:4:16: coordinates is a list: want text",
		"subs: [{name: a, ipv4: 192.0.2.1, coordinates: '1,2', drained: ye}]":                                       `f:1:64: drained is the text "ye": want true or false`,
		"subs:\n- {name: a, ipv4: 192.0.2.1, coordinates: '1,2'}\n- {name: a, ipv4: 192.0.2.1, coordinates: '1,2'}": "f:3:3: sub a stands here a second time",
		"subs: [{nam: a}]": `f:1:9: a sub has no key "nam": did you mean name?`,
	} {
		if _, err := ParseSubs("f", []byte(in)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q\n got %v\nwant %s", in, err, want)
		}
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"sydney", "london", "newyork"}
	for word, want := range map[string]string{
		"sidney": ": did you mean sydney?", "Londno": ": did you mean london?", "paris": ": known are london, newyork, sydney",
	} {
		if got := Suggest(word, known); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	if got := Suggest("x", nil); got != "" {
		t.Errorf("nothing known: %q", got)
	}
}

// FuzzParse holds that any text gives a file or errors with a place in it,
// and that what is accepted is normal.
func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("sites: {a: {hosts: [x.y]}}\n---\n!!x &a *a"))
	f.Add([]byte("zones:\n\t- |\n  x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("f", text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.Reason == "" {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		for _, z := range file.Zones {
			if n, err := ZoneName(z.Apex); n != z.Apex || err != nil {
				t.Fatalf("zone %q: %q %v", z.Apex, n, err)
			}
		}
		for _, s := range file.Sites {
			if len(s.Hosts) == 0 || s.TTL == 0 || ValidName(s.Name) != nil {
				t.Fatalf("site %+v", s)
			}
		}
	})
}

func FuzzSubs(f *testing.F) {
	f.Add([]byte("subs: [{name: a, ipv4: 192.0.2.1, coordinates: '1,2'}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		subs, err := ParseSubs("f", text)
		for _, s := range subs {
			if err != nil || ValidName(s.Name) != nil || s.Coordinates.Validate() != nil || !s.IPv4.IsValid() && !s.IPv6.IsValid() {
				t.Fatalf("%q: %+v %v", text, s, err)
			}
		}
	})
}
