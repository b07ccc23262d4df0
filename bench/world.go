package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"b8s/config"
	"b8s/dom"
	"b8s/records"
	"b8s/tunnel"
)

// dnsPort is where the subs answer, each at an address of its own.
const dnsPort = 5300

// A world is one dom and some subs, each a process.
type world struct {
	lab  *lab
	dom  *process
	subs []*server
}

// server is a sub.
type server struct {
	name string
	at   string // coordinates
	addr netip.Addr
	*process
}

func (s *server) dns() netip.AddrPort { return netip.AddrPortFrom(s.addr, dnsPort) }

// places are where the subs of a world are; there are more subs than places
// only in the fleet.
var places = []struct{ name, at string }{
	{"sydney", "-33.87,151.21"}, {"london", "51.51,-0.13"}, {"new-york", "40.71,-74.01"}, {"singapore", "1.35,103.82"},
	{"sao-paulo", "-23.55,-46.63"}, {"frankfurt", "50.11,8.68"}, {"tokyo", "35.68,139.69"}, {"johannesburg", "-26.20,28.05"},
	{"seattle", "47.61,-122.33"}, {"mumbai", "19.08,72.88"}, {"stockholm", "59.33,18.07"}, {"lima", "-12.05,-77.04"},
}

func (w *world) state() string { return filepath.Join(w.lab.dir, "dom") }

func (w *world) client() dom.Client { return dom.Client{State: w.state()} }

// newWorld runs a dom that publishes the zones and n subs that serve them.
func (l *lab) newWorld(ctx context.Context, n int, z zones) (*world, error) {
	w := &world{lab: l}
	if _, _, err := dom.Init(w.state()); err != nil {
		return nil, err
	}
	if err := w.startDom(ctx); err != nil {
		return nil, err
	}
	for range n {
		if _, err := w.addSub(ctx); err != nil {
			return nil, err
		}
	}
	return w, w.publish(ctx, z)
}

// startDom runs the dom until it answers.
func (w *world) startDom(ctx context.Context) (err error) {
	w.dom, err = w.lab.launch(ctx, "dom", w.lab.binary, "dom", "run", "--state", w.state())
	if err != nil {
		return err
	}
	return until(ctx, "the dom answers", 30*time.Second, 5*time.Millisecond, func() bool { return w.client().Ping(ctx) == nil })
}

// newSub runs a fresh sub and returns the ticket that it prints.
func (w *world) newSub(ctx context.Context) (*server, tunnel.Ticket, error) {
	n := len(w.subs)
	s := &server{name: places[n].name, at: places[n].at, addr: netip.AddrFrom4([4]byte{127, 21, 0, byte(n + 1)})}
	w.subs = append(w.subs, s)
	if err := w.startSub(ctx, s); err != nil {
		return s, tunnel.Ticket{}, err
	}
	for {
		select {
		case <-ctx.Done():
			return s, tunnel.Ticket{}, ctx.Err()
		case line, ok := <-s.lines:
			if !ok {
				return s, tunnel.Ticket{}, fmt.Errorf("sub %s has ended, see its log", s.name)
			}
			if _, rest, found := strings.Cut(line, "add-sub "); found {
				ticket, err := tunnel.ParseTicket(strings.Fields(rest)[0])
				return s, ticket, err
			}
		}
	}
}

func (w *world) startSub(ctx context.Context, s *server) (err error) {
	s.process, err = w.lab.launch(ctx, s.name, w.lab.binary, "sub", "run", "--state", filepath.Join(w.lab.dir, s.name),
		"--listen", s.dns().String(), "--tunnel-address", s.addr.String(), "--ipv4", s.addr.String(), "--coordinates", s.at)
	return err
}

// addSub runs a fresh sub and enrols it.
func (w *world) addSub(ctx context.Context) (*server, error) {
	s, ticket, err := w.newSub(ctx)
	if err != nil {
		return s, err
	}
	return s, addSub(ctx, w.client(), s.name, s.at, ticket, false)
}

func addSub(ctx context.Context, c dom.Client, name, at string, ticket tunnel.Ticket, noDNS bool) error {
	r, err := c.AddSub(ctx, dom.AddSubRequest{
		Ticket: ticket.String(), Coordinates: at, Name: name, Port: tunnel.DefaultPort, NoDNS: noDNS, Wait: time.Minute,
	}, nil)
	if err != nil {
		return err
	}
	for _, check := range r.Checks {
		if !check.OK {
			return fmt.Errorf("add-sub %s: %s: %s", name, check.What, check.Result)
		}
	}
	return nil
}

// dns are the addresses of all subs.
func (w *world) dns() (addrs []netip.AddrPort) {
	for _, s := range w.subs {
		addrs = append(addrs, s.dns())
	}
	return addrs
}

// zones are what a world publishes: count zones, the first of size records
// and each other of rest, with a site in the first, and a text in each that
// tells the versions apart.
type zones struct {
	count, size, rest int
	text              string
}

// tenZones of 100 records each.
var tenZones = zones{count: 10, size: 100, rest: 100, text: "first"}

func (z zones) apex(i int) string { return fmt.Sprintf("zone%d.example.", i) }

// mark is the name whose text tells the versions of zone i apart.
func (z zones) mark(i int) string { return "mark." + z.apex(i) }

// host is answered with the nearest sub.
func (z zones) host() string { return "www." + z.apex(0) }

// write makes b8s.yaml and the zone files in dir.
func (z zones) write(dir string) (config string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	var yaml strings.Builder
	yaml.WriteString("zones:\n")
	for i := range z.count {
		name := fmt.Sprintf("%d.zone", i)
		fmt.Fprintf(&yaml, "  %s: %s\n", strings.TrimSuffix(z.apex(i), "."), name)
		if err := os.WriteFile(filepath.Join(dir, name), z.zone(i), 0o644); err != nil {
			return "", err
		}
	}
	fmt.Fprintf(&yaml, "sites:\n  www:\n    hosts: [%s]\n", strings.TrimSuffix(z.host(), "."))
	config = filepath.Join(dir, "b8s.yaml")
	return config, os.WriteFile(config, []byte(yaml.String()), 0o644)
}

// zone is the text of zone i. Only the mark of the first changes with text.
func (z zones) zone(i int) []byte {
	var b strings.Builder
	b.WriteString("$TTL 300\n@ IN SOA ns1 hostmaster 1 7200 900 1209600 300\n@ IN NS ns1.elsewhere.test.\n")
	text, size := "first", z.rest
	if i == 0 {
		text, size = z.text, z.size
	}
	fmt.Fprintf(&b, "mark IN TXT %q\n", text)
	for r := 4; r < size; r++ {
		fmt.Fprintf(&b, "host%d IN A 192.0.2.%d\n", r, r%250+1)
	}
	return []byte(b.String())
}

// wish reads the zones as the verb does.
func (z zones) wish(dir string) (records.Wish, error) {
	path, err := z.write(dir)
	if err != nil {
		return records.Wish{}, err
	}
	file, err := config.Load(path)
	if err != nil {
		return records.Wish{}, err
	}
	return file.Wish()
}

// publish publishes the zones and waits until every sub confirmed them.
func (w *world) publish(ctx context.Context, z zones) error {
	wish, err := z.wish(filepath.Join(w.lab.dir, "site"))
	if err != nil {
		return err
	}
	r, err := w.client().PublishRecords(ctx, dom.PublishRequest{Wish: wish, Wait: time.Minute}, nil)
	if err != nil {
		return err
	}
	return confirmed("publish records", r.Verdict)
}

// publishCity publishes the city database and waits until every sub places
// visitors by it.
func (w *world) publishCity(ctx context.Context) error {
	path, err := w.lab.cityDatabase()
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	upload, err := w.client().Upload(file)
	if err != nil {
		return err
	}
	r, err := w.client().PublishGeoLite(ctx, dom.GeoLiteRequest{Upload: upload, Wait: 2 * time.Minute}, nil)
	if err != nil {
		return err
	}
	return confirmed("publish geolite", r.Verdict)
}

func confirmed(what string, v dom.Verdict) error {
	for _, s := range v.Subs {
		if !s.Confirmed {
			return fmt.Errorf("%s: %s: %s", what, s.Sub, s.Reason)
		}
	}
	return nil
}
