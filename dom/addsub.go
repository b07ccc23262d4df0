package dom

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"b8s/citydb"
	"b8s/control"
	"b8s/human"
	"b8s/kv"
	"b8s/place"
	"b8s/probe"
	"b8s/subjects"
	"b8s/tunnel"
)

// addSub carries out "add-sub". Each step is done only where it isn't yet, so
// that a re-run completes what was cut, at whichever point.
func (d *Dom) addSub(ctx context.Context, req AddSubRequest, report func(any)) (r AddSubResult, err error) {
	ticket, err := tunnel.ParseTicket(req.Ticket)
	if err != nil {
		return r, control.Usage(err, "copy the line as b8s sub run prints it")
	}
	if err := subjects.ValidName(req.Name); err != nil {
		return r, control.Usage(err, "")
	}
	m, err := d.newMember(req, ticket, &r)
	if err != nil {
		return r, err
	}
	step := func(stage string) { report(Event{Sub: m.Name, Stage: stage}) }
	step("enrol")
	if m, err = d.enrol(ctx, m, ticket, req.Wait); err != nil {
		return r, err
	}
	started := time.Now()
	waiting, cancel := context.WithTimeout(ctx, req.Wait)
	defer cancel()
	step("tunnel")
	if err := d.pulse.Await(waiting, m.Key); err != nil {
		return r, control.Failed(fmt.Errorf("add-sub %s: enrolled, but the tunnel is silent: %w", m.Name, err), "run the command again; on the sub:  b8s sub status")
	}
	r.pass("tunnel", fmt.Sprintf("up, round trip %.1f ms", d.roundTrip(m.Key)))
	if err := d.reconcile(ctx); err != nil {
		return r, fmt.Errorf("add-sub %s: it is enrolled; publish what depends on it: %w", m.Name, err)
	}
	step("first sync")
	if err := d.checkSync(waiting, m, started, &r); err != nil {
		return r, err
	}
	step("DNS")
	return r, d.checkDNS(ctx, m, &r)
}

func (r *AddSubResult) pass(what, result string) {
	r.Checks = append(r.Checks, Check{What: what, Result: result, OK: true})
}

func (r *AddSubResult) fail(what, result string) {
	r.Checks = append(r.Checks, Check{What: what, Result: result})
}

// newMember is the sub that the request names, unless it contradicts one that
// is there. It is not saved yet.
func (d *Dom) newMember(req AddSubRequest, ticket tunnel.Ticket, r *AddSubResult) (m member, err error) {
	if old, ok := d.fleet.Get(req.Name); ok && old.Key != ticket.Key && !old.Enrolled.IsZero() {
		return m, control.Usage(fmt.Errorf("a sub named %s is enrolled already, with another key (%s)", req.Name, old.Key.Fingerprint()), "choose another name")
	}
	if old, ok := d.fleet.ByKey(ticket.Key); ok && old.Name != req.Name && !old.Enrolled.IsZero() {
		return m, control.Usage(fmt.Errorf("this server is enrolled already, as %s", old.Name), "use that name")
	}
	m, _ = d.fleet.Get(req.Name)
	if m.Key != ticket.Key {
		m = member{Name: req.Name, Key: ticket.Key}
	}
	m.IPv4, m.IPv6, m.Port, m.DNS = ticket.IPv4, ticket.IPv6, req.Port, !req.NoDNS
	if m.Coordinates, err = d.coordinates(req.Coordinates, ticket, r); err != nil {
		return m, err
	}
	r.Name, r.Coordinates = m.Name, m.Coordinates.String()
	return m, nil
}

// coordinates reads what the operator gave, or looks the sub's address up.
func (d *Dom) coordinates(given string, ticket tunnel.Ticket, r *AddSubResult) (place.Point, error) {
	if given != "auto" {
		p, err := place.Parse(given)
		if err != nil {
			return p, control.Usage(err, "")
		}
		return p, nil
	}
	const cure = "name them:  b8s dom add-sub … -- LAT,LON NAME\nor publish GeoLite data first:  b8s dom geolite"
	db, err := citydb.Open(d.geolite.database())
	if err != nil {
		return place.Point{}, control.Usage(errors.New("coordinates auto: this dom has no GeoLite data to look the address up in"), cure)
	}
	defer db.Close()
	for _, addr := range []netip.Addr{ticket.IPv4, ticket.IPv6} {
		if !addr.IsValid() {
			continue
		}
		p, err := db.Lookup(addr)
		if err != nil {
			return place.Point{}, err
		}
		if p.Found {
			r.Place, r.AccuracyKM = placeText(p), p.AccuracyKM
			r.pass("coordinates", fmt.Sprintf("%s, from %s: %s, within %d km", p.Point, addr, r.Place, p.AccuracyKM))
			return p.Point, nil
		}
	}
	return place.Point{}, control.Usage(errors.New("coordinates auto: the sub's address is not in this dom's GeoLite data"), cure)
}

func placeText(p citydb.Place) string {
	text := p.Country
	if p.City != "" {
		text = p.City + ", " + text
	}
	return text
}

func (d *Dom) roundTrip(key tunnel.PublicKey) Millis { return millis(d.vitals()[key].Smoothed) }

// checkSync waits until the sub serves everything that is published.
func (d *Dom) checkSync(ctx context.Context, m member, started time.Time, r *AddSubResult) error {
	cond := d.serves(served()...)
	for {
		changed := d.reports.Changed()
		told := d.told(m.Name)
		ok, reason := cond(m, told)
		if ok {
			r.pass("first sync", fmt.Sprintf("%s after %d ms, version %s", human.Count(told.Zones.Count, "zone"), time.Since(started).Milliseconds(), told.Version))
			return d.learn(ctx, m, told)
		}
		select {
		case <-ctx.Done():
			r.fail("first sync", reason)
			return nil
		case <-changed:
		}
	}
}

// learn takes from the status what a lost answer to the enrolment had.
func (d *Dom) learn(ctx context.Context, m member, told *kv.SubStatus) error {
	if m.Recipient == told.Recipient && m.Platform == told.Platform {
		return nil
	}
	m.Recipient, m.Platform = told.Recipient, told.Platform
	if err := d.fleet.Save(m); err != nil {
		return err
	}
	return d.reconcile(ctx)
}

// checkDNS asks the sub for the SOA of every zone, at its public addresses,
// over UDP and TCP.
func (d *Dom) checkDNS(ctx context.Context, m member, r *AddSubResult) error {
	if !m.DNS {
		r.pass("DNS", "not asked for (--no-dns)")
		return nil
	}
	current, err := d.published(ctx)
	if err != nil {
		return err
	}
	if len(current.Zones) == 0 {
		r.pass("DNS", "no zone is published yet:  b8s dom publish records")
		return nil
	}
	apexes := make([]string, 0, len(current.Zones))
	for _, z := range current.Zones {
		apexes = append(apexes, z.Apex)
	}
	ctx, cancel := context.WithTimeout(ctx, dnsWithin)
	defer cancel()
	for _, addr := range d.dnsAddrs(m) {
		for _, network := range []string{"udp", "tcp"} {
			what := fmt.Sprintf("DNS %s over %s", addr, network)
			if err := probe.SOAs(ctx, network, addr, apexes); err != nil {
				r.fail(what, err.Error())
			} else {
				r.pass(what, "SOA of "+human.Count(len(apexes), "zone"))
			}
		}
	}
	return nil
}

// dnsWithin is for the questions of checkDNS, however long the sync took.
const dnsWithin = 5 * time.Second

// dnsAddrs are where the sub answers the public: its public addresses, at the
// port that it says it listens at.
func (d *Dom) dnsAddrs(m member) (addrs []netip.AddrPort) {
	port := uint16(53)
	if told := d.told(m.Name); told != nil && len(told.DNS) > 0 {
		if a, err := netip.ParseAddrPort(told.DNS[0]); err == nil {
			port = a.Port()
		}
	}
	for _, a := range []netip.Addr{m.IPv4, m.IPv6} {
		if a.IsValid() {
			addrs = append(addrs, netip.AddrPortFrom(a, port))
		}
	}
	return addrs
}
