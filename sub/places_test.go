package sub

import (
	"net/netip"
	"testing"

	"b8s/kv"
	"b8s/place"
)

func testSites() *sites {
	v4 := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	return &sites{
		hosts: map[string]kv.Hosts{
			"www":  {Hosts: []string{"www.example."}, Subs: []string{"sydney", "london", "gone"}, TTL: 60, Default: "sydney"},
			"blog": {Hosts: []string{"blog.example."}, Subs: []string{"london"}, TTL: 30},
		},
		subs: map[string]kv.Sub{
			"sydney": {IPv4: v4("192.0.2.1"), Coordinates: place.Point{Lat: -33.87, Lon: 151.21}, Drained: true},
			"london": {IPv4: v4("192.0.2.2"), IPv6: v4("2001:db8::2"), Coordinates: place.Point{Lat: 51.5, Lon: -0.1}},
		},
		numbers: map[string]uint16{},
	}
}

func TestEachFamilyIsAnsweredFromSubsThatHaveIt(t *testing.T) {
	s := testSites()
	s.hostList()
	policies := s.policies(nil)
	www := policies[s.number("www")]
	if len(www.A.Addrs) != 2 || len(www.AAAA.Addrs) != 1 {
		t.Fatalf("A from %v, AAAA from %v", www.A.Addrs, www.AAAA.Addrs)
	}
	if got := www.A.Addrs[www.A.Default]; got != s.subs["sydney"].IPv4 {
		t.Errorf("default %v, want that of sydney", got)
	}
	if www.A.Up[1] || !www.A.Up[0] {
		t.Errorf("up %v, want london up and sydney, which is drained, not", www.A.Up)
	}
}

func TestEqualCandidatesShareASet(t *testing.T) {
	s := testSites()
	if n := len(s.sets()); n != 2 { // {london, sydney} for www A; {london} for the rest
		t.Errorf("%d candidate sets, want 2", n)
	}
}

// Zones are compiled with a site's number in them: it may never come to mean
// another site.
func TestNumbersOfSitesStay(t *testing.T) {
	s := testSites()
	s.hostList()
	www := s.number("www")
	delete(s.hosts, "blog")
	s.hosts["aaa"] = kv.Hosts{Hosts: []string{"aaa.example."}}
	s.hostList()
	if got := s.number("www"); got != www {
		t.Errorf("number of www %d, was %d", got, www)
	}
	if p := s.policies(nil); len(p) != 3 {
		t.Errorf("%d policies, want one for each number given", len(p))
	}
}
