package dom

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"b8s/control"
	"b8s/human"
	"b8s/kv"
	"b8s/records"
	"b8s/subjects"
	"b8s/zonefile"
)

// publishRecords carries out "publish records": plan, publish, wait, verdict.
func (d *Dom) publishRecords(ctx context.Context, req PublishRequest, report func(any)) (r PublishResult, err error) {
	d.publishing.Lock()
	defer d.publishing.Unlock()
	next, plan, err := d.plan(ctx, req.Wish)
	if err != nil {
		return r, err
	}
	r.Plan = plan
	if req.DryRun {
		return r, nil
	}
	if removed := plan.RemovedZones(); len(removed) > 0 && !req.RemoveZones {
		return r, control.Failed(fmt.Errorf("this takes %s off every sub: nothing was published", strings.Join(removed, ", ")), "if that is meant, say so with --yes")
	}
	if err := d.journal.Push(req.Wish, time.Now().UTC()); err != nil {
		return r, err
	}
	r.Verdict, err = d.putAndWait(ctx, next, plan, req.Wait, report)
	return r, err
}

// undoRecords carries out "undo records".
func (d *Dom) undoRecords(ctx context.Context, req UndoRequest, report func(any)) (r PublishResult, err error) {
	d.publishing.Lock()
	defer d.publishing.Unlock()
	apex := ""
	if req.Zone != "" {
		if apex, err = zonefile.Name(req.Zone); err != nil {
			return r, control.Usage(err, "")
		}
	}
	if _, err := d.journal.Undo(apex); err != nil {
		return r, control.Failed(fmt.Errorf("undo records%s: %w", of(req.Zone), err), "what was published when:  b8s dom history records ZONE")
	}
	wish, err := d.journal.Wish()
	if err != nil {
		return r, err
	}
	next, plan, err := d.plan(ctx, wish)
	if err != nil {
		return r, err
	}
	r.Plan = plan
	r.Verdict, err = d.putAndWait(ctx, next, plan, req.Wait, report)
	return r, err
}

// reconcile makes the bus follow from the journal and the fleet: at a start,
// and when a sub was added.
func (d *Dom) reconcile(ctx context.Context) error {
	d.publishing.Lock()
	defer d.publishing.Unlock()
	if err := d.putSubs(ctx); err != nil {
		return err
	}
	wish, err := d.journal.Wish()
	if err != nil || len(wish.Zones) == 0 {
		return err
	}
	next, plan, err := d.plan(ctx, wish)
	if err != nil {
		return err
	}
	if !plan.Empty() {
		d.log.Info("published again after a change of the fleet or a cut", "zones", len(plan.Zones), "sites", len(plan.Sites))
	}
	return d.put(ctx, next, plan)
}

// plan is what the wish comes to with the fleet as it is, and how that
// differs from what is published.
func (d *Dom) plan(ctx context.Context, wish records.Wish) (next records.Assembled, plan records.Plan, err error) {
	var subs []records.Sub
	var names []string
	for _, m := range d.fleet.Enrolled() {
		subs = append(subs, records.Sub{Name: m.Name, IPv4: m.IPv4, IPv6: m.IPv6, Coordinates: m.Coordinates})
		names = append(names, m.Name)
	}
	next, err = records.Assemble(wish, subs)
	if err != nil {
		return next, plan, control.Failed(err, "nothing was published")
	}
	for i := range next.Hosts {
		if len(next.Hosts[i].Subs) == 0 {
			next.Hosts[i].Subs = names
		}
	}
	current, err := d.published(ctx)
	if err != nil {
		return next, plan, err
	}
	next = next.WithSerials(current, d.reportedSerials())
	return next, records.Compare(current, next), nil
}

// published is what the bus has now. An entry that this version can't read
// counts as absent: it is then published anew.
func (d *Dom) published(ctx context.Context) (current records.Assembled, err error) {
	zones, err := d.store.Entries(ctx, subjects.Records)
	if err != nil {
		return current, err
	}
	parsed := map[string]*zonefile.Zone{}
	for _, e := range zones {
		if e.Deleted {
			continue
		}
		if z, err := d.readZone(ctx, e); err == nil {
			current.Zones = append(current.Zones, z)
			parsed[e.Digest] = z
		}
	}
	d.zones.Keep(parsed)
	slices.SortFunc(current.Zones, func(a, b *zonefile.Zone) int { return zonefile.Compare(a.Apex, b.Apex) })
	hosts, err := d.store.Entries(ctx, subjects.Hosts)
	if err != nil {
		return current, err
	}
	for _, e := range hosts {
		if h, err := kv.DecodeHosts(e.Value); err == nil && !e.Deleted {
			current.Hosts = append(current.Hosts, records.SiteHosts{Name: e.Key, Hosts: h.Hosts, Subs: h.Subs, TTL: h.TTL, Default: h.Default})
		}
	}
	return current, nil
}

// readZone is the zone of an entry of bucket records.
func (d *Dom) readZone(ctx context.Context, e kv.Entry) (*zonefile.Zone, error) {
	if z := d.zones.Get(e.Digest); z != nil {
		return z, nil
	}
	apex, err := subjects.Name(e.Key)
	if err != nil {
		return nil, err
	}
	text, err := d.store.ZoneText(ctx, e)
	if err != nil {
		return nil, err
	}
	return zonefile.Parse(apex, text, apex)
}

// reportedSerials is the highest serial that any sub says it serves, by apex.
func (d *Dom) reportedSerials() map[string]uint32 {
	highest := map[string]uint32{}
	for _, s := range d.reports.All() {
		for apex, serial := range s.Zones.Serials {
			if apex, err := zonefile.Name(apex); err == nil {
				if old, had := highest[apex]; !had || zonefile.SerialAfter(serial, old) {
					highest[apex] = serial
				}
			}
		}
	}
	return highest
}

// put brings the bus from what it has to next. Hosts that come, come before
// the zones, and those that go, go after: a sub doesn't answer for a host
// without its zone, while of a zone without its host it would say that the name
// does not exist, which resolvers keep. Each step may be repeated.
func (d *Dom) put(ctx context.Context, next records.Assembled, plan records.Plan) error {
	if err := d.putSubs(ctx); err != nil {
		return err
	}
	for _, s := range plan.Sites {
		if s.Action != records.Remove {
			if err := d.putSite(ctx, s); err != nil {
				return fmt.Errorf("publish site %s: %w", s.Name, err)
			}
		}
	}
	zones := map[string]*zonefile.Zone{}
	for _, z := range next.Zones {
		zones[z.Apex] = z
	}
	for _, p := range plan.Zones {
		if err := d.putZone(ctx, p.Apex, zones[p.Apex]); err != nil {
			return fmt.Errorf("publish zone %s: %w", p.Apex, err)
		}
	}
	for _, s := range plan.Sites {
		if s.Action == records.Remove {
			if _, err := d.store.Delete(ctx, subjects.Hosts, s.Name); err != nil {
				return fmt.Errorf("remove site %s: %w", s.Name, err)
			}
		}
	}
	return nil
}

func (d *Dom) putSite(ctx context.Context, s records.SitePlan) error {
	value, err := kv.Encode(kv.Hosts{Hosts: s.New.Hosts, Subs: s.New.Subs, TTL: s.New.TTL, Default: s.New.Default})
	if err == nil {
		_, err = d.store.Put(ctx, subjects.Hosts, s.Name, value)
	}
	return err
}

// putZone publishes a zone, nil to remove it.
func (d *Dom) putZone(ctx context.Context, apex string, z *zonefile.Zone) error {
	if z != nil {
		_, err := d.store.PutZone(ctx, z)
		return err
	}
	key, err := subjects.Key(apex)
	if err == nil {
		_, err = d.store.Delete(ctx, subjects.Records, key)
	}
	return err
}

// putAndWait publishes and waits until every sub serves it.
func (d *Dom) putAndWait(ctx context.Context, next records.Assembled, plan records.Plan, wait time.Duration, report func(any)) (Verdict, error) {
	started := time.Now()
	if err := d.put(ctx, next, plan); err != nil {
		return Verdict{}, err
	}
	report(Event{Stage: "published", Detail: fmt.Sprintf("%s, %s changed", human.Count(len(plan.Zones), "zone"), human.Count(len(plan.Sites), "site"))})
	return d.await(ctx, started, wait, report, d.serves(subjects.Records, subjects.Hosts))
}

// putSubs publishes what the subs may know of each other, as far as it changed.
func (d *Dom) putSubs(ctx context.Context) error {
	entries, err := d.store.Entries(ctx, subjects.Subs)
	if err != nil {
		return err
	}
	published := map[string]kv.Entry{}
	for _, e := range entries {
		published[e.Key] = e
	}
	for _, m := range d.fleet.Enrolled() {
		value, err := kv.Encode(m.published())
		if err != nil {
			return err
		}
		if old := published[m.Name]; !old.Deleted && bytes.Equal(old.Value, value) {
			continue
		}
		if _, err := d.store.Put(ctx, subjects.Subs, m.Name, value); err != nil {
			return fmt.Errorf("publish sub %s: %w", m.Name, err)
		}
	}
	return nil
}

// published is what the other subs may know of a member.
func (m member) published() kv.Sub {
	s := kv.Sub{
		IPv4: m.IPv4, IPv6: m.IPv6, Coordinates: m.Coordinates,
		PublicKey: m.Key.String(), Port: m.Port, Recipient: m.Recipient, Platform: m.Platform,
		Roles: []string{kv.RoleEdge},
	}
	if m.DNS {
		s.Roles = append(s.Roles, kv.RoleDNS)
	}
	return s
}

// of puts a name behind a verb, if there is one.
func of(name string) string {
	if name == "" {
		return ""
	}
	return " " + name
}
