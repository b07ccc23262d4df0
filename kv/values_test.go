package kv

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"b8s/place"
	"b8s/subjects"
)

func encoded(t testing.TB, b []byte, err error) string {
	t.Helper()
	must(t, err)
	return string(b)
}

func TestValidate(t *testing.T) {
	sub := Sub{IPv4: netip.MustParseAddr("192.0.2.10"), IPv6: netip.MustParseAddr("2001:db8::10"),
		Coordinates: place.Point{Lat: -33.87, Lon: 151.21}, PublicKey: "k", Port: 51820, Roles: []string{RoleDNS}}
	b, err := Encode(sub)
	subText := encoded(t, b, err)
	b, err = Encode(City{Digest: strings.Repeat("a", 64), Size: 5, Built: time.Unix(1, 0), Type: "GeoLite2-City"})
	city := encoded(t, b, err)
	b, err = Encode(ZoneReference{Digest: strings.Repeat("a", 64), Size: 5, Serial: 1, Records: 2})
	ref := encoded(t, b, err)
	zone := string(zoneText("example.com.", 1))
	hosts := string(hostsValue("www.example.com"))
	cases := []struct{ bucket, key, value, words string }{
		{subjects.Subs, "sydney", subText, ""},
		{subjects.GeoLite, "city", city, ""},
		{subjects.Records, "example.com", zone, ""},
		{subjects.Records, "example.com", ref, ""},
		{subjects.Hosts, "www", hosts, ""},
		{subjects.Hosts, "www", `{"hosts":["a.example"],"colour":"red"}`, ""},          // unknown field, no schema
		{subjects.Hosts, "www", `{"schema":1.9,"hosts":["a.example"],"later":{}}`, ""}, // a minor step
		{subjects.Hosts, "www", `{"schema":2,"hosts":["a.example"]}`, "schema 2"},
		{subjects.Hosts, "www", `{"schema":0.5,"hosts":["a.example"]}`, "schema 0.5"},
		{subjects.Hosts, "www", `{"schema":"x"}`, "schema"},
		{subjects.Hosts, "www", `{"hosts":["a..example"]}`, "empty label"},
		{subjects.Hosts, "www", `{"hosts":["a.example"],"subs":["A"]}`, "name"},
		{subjects.Hosts, "www", `{"hosts":["a.example"],"ttl":4000000000}`, "ttl"},
		{subjects.Hosts, "www", `{"hosts":["a.example"],"subs":["a"],"default":"b"}`, "default"},
		{subjects.Hosts, "-www", hosts, "name"},
		{subjects.Subs, "sydney", `{"coordinates":"1,2"}`, "no address"},
		{subjects.Subs, "sydney", `{"coordinates":"100,2","ipv4":"192.0.2.1"}`, "latitude"},
		{subjects.Subs, "sydney", `{"coordinates":"1,2","ipv4":"2001:db8::1"}`, "not an IPv4"},
		{subjects.Subs, "sydney", `{"coordinates":"1,2","ipv6":"192.0.2.1"}`, "not an IPv6"},
		{subjects.GeoLite, "city", `{"digest":"abc","size":1}`, "SHA-256"},
		{subjects.GeoLite, "city", `{"digest":"` + strings.Repeat("a", 64) + `","size":0}`, "size"},
		{subjects.GeoLite, "asn", city, "the one key"},
		{subjects.Records, "example.org", zone, "example"},
		{subjects.Records, "example.com", "{", "unexpected end"},
		{subjects.Records, "example.com", strings.Repeat(";\n", MaxZoneText), "object"},
		{subjects.Records, "a..b", zone, "not the key of a domain name"},
		{subjects.StatusKV, "london", `{"sub":"sydney"}`, "sydney"},
		{subjects.StatusKV, "sydney", `{"sub":"sydney"}`, ""},
	}
	for _, c := range cases {
		err := Validate(c.bucket, c.key, []byte(c.value))
		switch {
		case c.words == "" && err != nil:
			t.Errorf("%s %s %.80s: %v", c.bucket, c.key, c.value, err)
		case c.words != "" && (err == nil || !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.words)):
			t.Errorf("%s %s %.80s: %v, want %q", c.bucket, c.key, c.value, err, c.words)
		}
	}
	got, err := DecodeSub([]byte(subText))
	must(t, err)
	if sub.Schema = 1; got.IPv4 != sub.IPv4 || got.Coordinates != sub.Coordinates || got.Schema != 1 || got.Roles[0] != RoleDNS {
		t.Fatalf("got %+v, want %+v", got, sub)
	}
}

func FuzzValidate(f *testing.F) {
	f.Add(0, "example.com", zoneText("example.com.", 1))
	f.Add(1, "www", hostsValue("www.example.com"))
	f.Add(4, "sydney", []byte(`{"coordinates":"1,2","ipv4":"192.0.2.1"}`))
	f.Add(6, "city", []byte(`{"schema":1.2,"digest":"`+strings.Repeat("a", 64)+`","size":3}`))
	f.Add(7, "sydney", []byte(`{"sub":"sydney","buckets":{"records":{"faults":[{}]}}}`))
	all := subjects.Buckets()
	f.Fuzz(func(t *testing.T, i int, key string, value []byte) {
		b := all[uint(i)%uint(len(all))]
		before := bytes.Clone(value)
		err := Validate(b.Name, key, value)
		if !bytes.Equal(before, value) {
			t.Fatal("the value was changed")
		}
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if b.Name == subjects.StatusKV {
			s, _ := DecodeStatus(value)
			if again, err := s.Encode(); err != nil || len(again) > MaxStatus {
				t.Fatalf("%d bytes, %v", len(again), err)
			}
		}
	})
}
