package standalone

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"b8s/citydb/citymake"
	"b8s/place"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const zoneText = `@ 300 IN SOA ns1 hostmaster 1 7200 900 1209600 60
@ 300 IN NS ns1
ns1 300 IN A 192.0.2.53
`

// folder is a place for files, by name.
type folder string

func (d folder) path(name string) string { return filepath.Join(string(d), name) }

func (d folder) write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return d.path(name)
}

// served is a running Serve.
type served struct {
	addr   string
	reload chan struct{}
}

func serve(t *testing.T, o Options) served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan []netip.AddrPort, 1)
	reload := make(chan struct{})
	o.Listen, o.Reload, o.Threads = []string{"127.0.0.1:0"}, reload, 1
	o.Ready = func(at []netip.AddrPort) { ready <- at }
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case at := <-ready:
		return served{at[0].String(), reload}
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	return served{}
}

// again reloads, and returns when the reload is over: the second one is taken
// only then.
func (s served) again() {
	s.reload <- struct{}{}
	s.reload <- struct{}{}
}

// ask gives the RCODE and the rdata of the answer.
func (s served) ask(t *testing.T, name string, qtype uint16, client string) string {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, qtype)
	if client != "" {
		m.SetEdns0(1232, false)
		p := netip.MustParsePrefix(client)
		family := uint16(1)
		if p.Addr().Is6() {
			family = 2
		}
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(p.Bits()), Address: p.Addr().AsSlice(),
		})
	}
	r, _, err := (&dns.Client{Timeout: 5 * time.Second}).Exchange(m, s.addr)
	if err != nil {
		t.Fatal(err)
	}
	out := dns.RcodeToString[r.Rcode]
	for _, rr := range r.Answer {
		out += strings.TrimPrefix(rr.String(), rr.Header().String()) + " "
	}
	return strings.TrimSpace(strings.Replace(out, "NOERROR", "NOERROR ", 1))
}

func (s served) want(t *testing.T, name string, qtype uint16, client, want string) {
	t.Helper()
	if got := s.ask(t, name, qtype, client); got != want {
		t.Errorf("%s %s from %q: got %q, want %q", name, dns.Type(qtype), client, got, want)
	}
}

func TestServeZones(t *testing.T) {
	d := folder(t.TempDir())
	one := d.write(t, "one.zone", zoneText)
	d.write(t, "two.zone", zoneText+"www 300 A 192.0.2.2\n")
	list := d.write(t, "zones.list", "# ours\n\n  two.example  two.zone\nthree.example\ttwo.zone\n")
	s := serve(t, Options{Zones: []string{"one.example=" + one}, ZonesFile: list})
	s.want(t, "ns1.one.example.", dns.TypeA, "", "NOERROR 192.0.2.53")
	s.want(t, "www.two.example.", dns.TypeA, "", "NOERROR 192.0.2.2")
	s.want(t, "www.three.example.", dns.TypeA, "", "NOERROR 192.0.2.2")
	s.want(t, "four.example.", dns.TypeA, "", "REFUSED")
}

// A reload takes what changed, keeps a zone that went bad, and forgets one
// that is not listed any more.
func TestReload(t *testing.T) {
	d := folder(t.TempDir())
	d.write(t, "a.zone", zoneText)
	d.write(t, "b.zone", zoneText)
	list := d.write(t, "zones.list", "a.example a.zone\nb.example b.zone\ngone.example a.zone\n")
	s := serve(t, Options{ZonesFile: list})
	d.write(t, "a.zone", zoneText+"new 300 A 192.0.2.1\n")
	d.write(t, "b.zone", "no zone at all\n")
	d.write(t, "zones.list", "a.example a.zone\nb.example b.zone\n")
	s.again()
	s.want(t, "new.a.example.", dns.TypeA, "", "NOERROR 192.0.2.1")
	s.want(t, "ns1.b.example.", dns.TypeA, "", "NOERROR 192.0.2.53")
	s.want(t, "ns1.gone.example.", dns.TypeA, "", "REFUSED")
	if err := os.Remove(d.path("zones.list")); err != nil {
		t.Fatal(err)
	}
	s.again()
	s.want(t, "new.a.example.", dns.TypeA, "", "NOERROR 192.0.2.1")
}

// With nothing good there is nothing to serve, and all that is bad is told.
func TestNothingGoodAtStart(t *testing.T) {
	d := folder(t.TempDir())
	bad := d.write(t, "bad.zone", zoneText+"www 300 A 300.1.1.1\nmail 300 NOTYPE x\n")
	err := Serve(t.Context(), Options{Listen: []string{"127.0.0.1:0"}, Zones: []string{
		"bad.example=" + bad, "missing.example=" + d.path("missing"),
	}})
	if err == nil {
		t.Fatal("served")
	}
	for _, want := range []string{bad + ":4: ", bad + ":5: ", d.path("missing")} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
}

func TestZoneGivenTwice(t *testing.T) {
	d := folder(t.TempDir())
	good := d.write(t, "good.zone", zoneText)
	err := Serve(t.Context(), Options{Listen: []string{"127.0.0.1:0"}, Zones: []string{"good.example=" + good, "good.example=" + good}})
	if err == nil || !strings.Contains(err.Error(), "a second time") {
		t.Errorf("error %v does not tell of the zone given twice", err)
	}
}

func TestBadZoneAtStartKeepsNoOtherFromBeingServed(t *testing.T) {
	d := folder(t.TempDir())
	s := serve(t, Options{Zones: []string{
		"good.example=" + d.write(t, "good.zone", zoneText),
		"bad.example=" + d.write(t, "bad.zone", "nonsense"),
	}})
	s.want(t, "ns1.good.example.", dns.TypeA, "", "NOERROR 192.0.2.53")
	s.want(t, "bad.example.", dns.TypeSOA, "", "REFUSED")
}

const configText = `zones:
  example.com: example.zone
nameservers:
  ns1.example.com: sydney
sites:
  www:
    hosts: [www.example.com, "*.apps.example.com"]
    default: london
`

const subsText = `subs:
  - name: sydney
    ipv4: 192.0.2.10
    ipv6: 2001:db8::10
    coordinates: -33.87,151.21
  - name: london
    ipv4: 192.0.2.20
    coordinates: 51.51,-0.13
  - name: tokyo
    ipv4: 192.0.2.30
    coordinates: 35.68,139.69
    drained: true
`

const bareZone = "@ 300 IN SOA ns1 hostmaster 1 7200 900 1209600 60\nalias 300 CNAME www\n"

func siteFiles(t *testing.T) (folder, Options) {
	d := folder(t.TempDir())
	d.write(t, "example.zone", bareZone)
	db, err := os.Create(d.path("city.mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	networks := []citymake.Network{
		{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Point: place.Point{Lat: -33.9, Lon: 151.2}}, // Sydney
		{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Point: place.Point{Lat: 51.5, Lon: 0}},     // London
		{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Point: place.Point{Lat: 30, Lon: 140}},        // south of Tokyo
	}
	if err := citymake.Make(db, networks, time.Now()); err != nil {
		t.Fatal(err)
	}
	return d, Options{Config: d.write(t, "b8s.yaml", configText), Subs: d.write(t, "subs.yaml", subsText), GeoLite: d.path("city.mmdb")}
}

func TestServeSites(t *testing.T) {
	_, o := siteFiles(t)
	s := serve(t, o)
	s.want(t, "www.example.com.", dns.TypeA, "203.0.113.0/24", "NOERROR 192.0.2.10")
	s.want(t, "www.example.com.", dns.TypeA, "198.51.100.0/24", "NOERROR 192.0.2.20")
	s.want(t, "alias.example.com.", dns.TypeA, "203.0.113.0/24", "NOERROR www.example.com. 192.0.2.10")
	s.want(t, "x.apps.example.com.", dns.TypeA, "203.0.113.0/24", "NOERROR 192.0.2.10")
	s.want(t, "www.example.com.", dns.TypeA, "", "NOERROR 192.0.2.20")
	s.want(t, "www.example.com.", dns.TypeA, "0.0.0.0/0", "NOERROR 192.0.2.20")
	s.want(t, "www.example.com.", dns.TypeAAAA, "198.51.100.0/24", "NOERROR 2001:db8::10")
	s.want(t, "www.example.com.", dns.TypeTXT, "", "NOERROR")
	s.want(t, "ns1.example.com.", dns.TypeA, "", "NOERROR 192.0.2.10")
	s.want(t, "example.com.", dns.TypeNS, "", "NOERROR ns1.example.com.")
}

// The nearest sub is drained: the next one is taken.
func TestServeSitesDrained(t *testing.T) {
	_, o := siteFiles(t)
	s := serve(t, o)
	s.want(t, "www.example.com.", dns.TypeA, "192.0.2.0/24", "NOERROR 192.0.2.10")
}

func TestReloadSites(t *testing.T) {
	d, o := siteFiles(t)
	s := serve(t, o)
	d.write(t, "example.zone", "broken\n")
	d.write(t, "subs.yaml", strings.Replace(subsText, "192.0.2.10", "192.0.2.11", 1))
	s.again()
	s.want(t, "www.example.com.", dns.TypeA, "203.0.113.0/24", "NOERROR 192.0.2.11")
	s.want(t, "alias.example.com.", dns.TypeCNAME, "", "NOERROR www.example.com.")
	d.write(t, "b8s.yaml", "zones: [")
	s.again()
	s.want(t, "www.example.com.", dns.TypeA, "203.0.113.0/24", "NOERROR 192.0.2.11")
}

func TestCheck(t *testing.T) {
	d := folder(t.TempDir())
	good := d.write(t, "good.zone", "$ORIGIN example.com.\n"+zoneText)
	bad := d.write(t, "bad.zone", "$ORIGIN example.com.\n"+zoneText+"x 300 A nonsense\n")
	apex, err := originOf(good, "")
	if err != nil || apex != "example.com." {
		t.Fatalf("origin %q, %v", apex, err)
	}
	if r := Check(apex, good); !r.Good || r.Records != 3 || r.Serial != 1 {
		t.Errorf("good zone: %+v", r)
	}
	if r := Check(apex, bad); r.Good || len(r.Errors) != 1 || !strings.HasPrefix(r.Errors[0], bad+":5: ") {
		t.Errorf("bad zone: %+v", r)
	}
	if _, err := originOf(d.write(t, "bare.zone", zoneText), ""); err == nil {
		t.Error("an origin was found where there is none")
	}
}
