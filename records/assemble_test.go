package records

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"b8s/zonefile"
)

const soa = "$TTL 300\n@ SOA ns1 hostmaster 7 7200 3600 1209600 60\n"

func zone(t *testing.T, apex, text string) *zonefile.Zone {
	t.Helper()
	z, err := zonefile.Options{WithoutNS: true}.Parse(apex, []byte(soa+text), "example.zone")
	if err != nil {
		t.Fatal(err)
	}
	return z
}

var fleet = []Sub{
	{Name: "sydney", IPv4: netip.MustParseAddr("192.0.2.10"), IPv6: netip.MustParseAddr("2001:db8::10")},
	{Name: "london", IPv4: netip.MustParseAddr("192.0.2.20")},
	{Name: "bare"},
}

func wish(zones ...*zonefile.Zone) Wish {
	return Wish{Zones: zones, Nameservers: []Nameserver{
		{"ns1.example.com.", "sydney", "b8s.yaml:4:3"}, {"ns2.example.com.", "london", "b8s.yaml:5:3"},
	}}
}

func site(name string, hosts ...string) Site {
	s := Site{Name: name, At: "b8s.yaml:7:3"}
	for _, h := range hosts {
		s.Hosts = append(s.Hosts, Host{h, "b8s.yaml:8:13"})
	}
	return s
}

func text(zones []*zonefile.Zone) string {
	var b strings.Builder
	for _, z := range zones {
		b.Write(z.Text())
	}
	return b.String()
}

func TestNameserversAreAdded(t *testing.T) {
	w := wish(zone(t, "example.org", ""), zone(t, "example.com", "ns1 A 192.0.2.10\nsub NS ns2\nwww MX 10 mail\n"))
	got, err := Assemble(w, fleet)
	if err != nil {
		t.Fatal(err)
	}
	want := `example.com. 300 IN SOA ns1.example.com. hostmaster.example.com. 7 7200 3600 1209600 60
example.com. 3600 IN NS ns1.example.com.
example.com. 3600 IN NS ns2.example.com.
ns1.example.com. 300 IN A 192.0.2.10
ns1.example.com. 3600 IN AAAA 2001:db8::10
ns2.example.com. 3600 IN A 192.0.2.20
sub.example.com. 300 IN NS ns2.example.com.
www.example.com. 300 IN MX 10 mail.example.com.
example.org. 300 IN SOA ns1.example.org. hostmaster.example.org. 7 7200 3600 1209600 60
example.org. 3600 IN NS ns1.example.com.
example.org. 3600 IN NS ns2.example.com.
`
	if text(got.Zones) != want {
		t.Errorf("got\n%s\nwant\n%s", text(got.Zones), want)
	}
	if set, _ := got.Zones[0].Find("www.example.com.", 15); set.At != "example.zone:5" {
		t.Errorf("the place of a record is %q", set.At)
	}
	again, err := Assemble(Wish{Zones: got.Zones, Nameservers: w.Nameservers}, fleet)
	if err != nil || text(again.Zones) != want {
		t.Errorf("the result is not a good wish: %v", err)
	}
}

// Glue stands in the parent as well when the nameserver's name is below the
// cut of one of our own zones.
func TestGlueOfOwnChildZone(t *testing.T) {
	w := Wish{Zones: []*zonefile.Zone{zone(t, "example.com", "@ NS ns.child\nchild NS ns.child\nother NS x.other\n"), zone(t, "child.example.com", "")},
		Nameservers: []Nameserver{{Name: "ns.child.example.com.", Sub: "london"}}, NameserverTTL: 60}
	got, err := Assemble(w, fleet)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text(got.Zones), "ns.child.example.com. 60 IN A 192.0.2.20\n"); n != 2 {
		t.Errorf("the address stands in %d zones, want 2:\n%s", n, text(got.Zones))
	}
}

func TestSiteHosts(t *testing.T) {
	w := wish(zone(t, "example.com", "www TXT x\n"))
	w.Sites = []Site{site("www", "www.example.com.", "*.example.com.", "example.com."), site("blog", "blog.example.com.")}
	w.Sites[1].Subs, w.Sites[1].TTL, w.Sites[1].Default = []string{"sydney", "london"}, 5, "london"
	got, err := Assemble(w, fleet)
	if err != nil {
		t.Fatal(err)
	}
	want := []SiteHosts{
		{"blog", []string{"blog.example.com."}, []string{"london", "sydney"}, 5, "london"},
		{"www", []string{"*.example.com.", "example.com.", "www.example.com."}, []string{}, 60, ""},
	}
	if !reflect.DeepEqual(got.Hosts, want) {
		t.Errorf("got  %+v\nwant %+v", got.Hosts, want)
	}
}

func TestConflicts(t *testing.T) {
	tests := []struct {
		name, zone string
		change     func(*Wish)
		want       string
	}{
		{"no nameserver", "", func(w *Wish) { w.Nameservers = nil },
			"zone example.com. has no nameserver: name some in b8s.yaml, as nameservers: {ns1.example.com: SUB}"},
		{"NS disagree", "@ NS ns1\n@ NS ns9\n", nil,
			"example.zone:3: zone example.com. has NS ns1.example.com., ns9.example.com., but nameservers in b8s.yaml are ns1.example.com., ns2.example.com.: remove the NS from the file, or make them equal"},
		{"address disagrees", "ns1 A 192.0.2.99\n", nil,
			"example.zone:3: ns1.example.com. A is [192.0.2.99] in the file, but nameserver ns1.example.com. is on sub sydney, which has 192.0.2.10: remove the record from the file"},
		{"address of a missing family", "ns2 AAAA 2001:db8::1\n", nil,
			"example.zone:3: ns2.example.com. AAAA is [2001:db8::1] in the file, but nameserver ns2.example.com. is on sub london, which has none: remove the record from the file"},
		{"nameserver is an alias", "ns1 CNAME x\n", nil,
			"b8s.yaml:4:3: nameserver ns1.example.com. is an alias in example.zone:3: a nameserver has addresses, remove the CNAME"},
		{"unknown sub of a nameserver", "", func(w *Wish) { w.Nameservers[0].Sub = "sidney" },
			`b8s.yaml:4:3: nameserver ns1.example.com. is on sub "sidney", which is not enrolled: did you mean sydney?`},
		{"sub without address", "", func(w *Wish) { w.Nameservers[0].Sub = "bare" },
			"b8s.yaml:4:3: nameserver ns1.example.com. is on sub bare, which has no address"},
		{"unknown sub of a site", "", func(w *Wish) { w.Sites[0].Subs = []string{"tokyo"} },
			`b8s.yaml:7:3: site www is on sub "tokyo", which is not enrolled: enrolled are bare, london, sydney`},
		{"default not of the site", "", func(w *Wish) { w.Sites[0].Subs, w.Sites[0].Default = []string{"sydney"}, "london" },
			"b8s.yaml:7:3: site www has the default london, which is not one of its subs sydney"},
		{"static A", "www A 192.0.2.1\n", nil,
			"example.zone:3: www.example.com. has a static A, but is a host of site www (b8s.yaml:8:13): remove the record, or the host"},
		{"static AAAA", "www AAAA 2001:db8::1\n", nil, "example.zone:3: www.example.com. has a static AAAA"},
		{"static CNAME", "www CNAME x\n", nil, "example.zone:3: www.example.com. has a static CNAME"},
		{"outside", "", func(w *Wish) { w.Sites[0].Hosts[0].Name = "www.example.org." },
			"b8s.yaml:8:13: host www.example.org. of site www is in no zone: zones are example.com."},
		{"below a delegation", "www NS x.\n", func(w *Wish) { w.Sites[0].Hosts[0].Name = "a.www.example.com." },
			"b8s.yaml:8:13: host a.www.example.com. of site www is below the delegation of www.example.com. (example.zone:3): others answer for it"},
		{"at a delegation", "www NS x.\n", nil, "b8s.yaml:8:13: host www.example.com. of site www is below the delegation"},
		{"below a DNAME", "d DNAME x.\n", func(w *Wish) { w.Sites[0].Hosts[0].Name = "a.d.example.com." },
			"b8s.yaml:8:13: host a.d.example.com. of site www is below the DNAME at d.example.com. (example.zone:3)"},
		{"host is a nameserver", "", func(w *Wish) { w.Sites[0].Hosts[0].Name = "ns1.example.com." },
			"b8s.yaml:8:13: host ns1.example.com. of site www is a nameserver too (b8s.yaml:4:3): give one of them another name"},
		{"host of two sites", "", func(w *Wish) { w.Sites = append(w.Sites, site("two", "www.example.com.")) },
			"b8s.yaml:8:13: host www.example.com. is of site www and of site two"},
		{"TTL", "", func(w *Wish) { w.Sites[0].TTL = 86401 }, "b8s.yaml:7:3: site www has TTL 86401: want 86400 at most"},
		{"zone twice", "", func(w *Wish) { w.Zones = append(w.Zones, w.Zones[0]) }, "zone example.com. is named twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := wish(zone(t, "example.com", tt.zone))
			w.Sites = []Site{site("www", "www.example.com.")}
			if tt.change != nil {
				tt.change(&w)
			}
			_, err := Assemble(w, fleet)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestAllConflictsTogether(t *testing.T) {
	w := wish(zone(t, "example.com", "www A 192.0.2.1\n@ NS x.\n"))
	w.Sites = []Site{site("www", "www.example.com.", "a.b.")}
	_, err := Assemble(w, nil)
	for _, want := range []string{"no sub is enrolled", "has NS x.", "static A", "in no zone"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

func TestWishByJSON(t *testing.T) {
	w := wish(zone(t, "example.com", "www TXT \"a;b\" \\200\n\\000\\.x A 192.0.2.1\nwww A 192.0.2.3\n"))
	w.Sites = []Site{site("www", "www.example.com.")}
	b, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	var back Wish
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if !zonefile.Equal(w.Zones[0], back.Zones[0]) || !reflect.DeepEqual(w.Sites, back.Sites) || !reflect.DeepEqual(w.Nameservers, back.Nameservers) {
		t.Errorf("got\n%+v\nwant\n%+v", back, w)
	}
	_, before := Assemble(w, fleet)
	_, after := Assemble(back, fleet)
	if before == nil || after == nil || before.Error() != after.Error() || !strings.HasPrefix(after.Error(), "example.zone:5: ") {
		t.Errorf("the daemon says\n%v\nthe verb\n%v", after, before)
	}
	c, err := json.Marshal(back)
	if err != nil || string(b) != string(c) {
		t.Errorf("JSON changes:\n%s\n%s", b, c)
	}
}

func TestSubByJSON(t *testing.T) {
	for _, s := range fleet {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back Sub
		if err := json.Unmarshal(b, &back); err != nil || back != s {
			t.Errorf("%s gives %+v %v, want %+v", b, back, err, s)
		}
	}
}
