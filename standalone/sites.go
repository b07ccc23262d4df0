package standalone

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"b8s/citydb"
	"b8s/config"
	"b8s/records"
	"b8s/sub/geo"
	"b8s/sub/nameserver"
	"b8s/sub/zone"
	"b8s/zonefile"
)

// sites is what a b8s.yaml asks for, ready to serve.
type sites struct {
	files    []*zonefile.Zone // as read, before anything was added
	zones    []*zone.Zone
	policies []nameserver.Policy
	hosts    int
}

// readSites reads b8s.yaml, its zones and the subs. With an error it gives nil,
// or, where only zone files are bad, the rest with the old ones' version of
// those.
func readSites(ctx context.Context, o Options, old *sites) (*sites, error) {
	file, err := config.Load(o.Config)
	if err != nil {
		return nil, err
	}
	subs, err := readSubs(o.Subs)
	if err != nil {
		return nil, err
	}
	wish, bad := file.Wish()
	if bad != nil {
		if old == nil {
			return nil, bad
		}
		wish.Zones = old.fill(wish.Zones, file.Zones)
	}
	assembled, err := records.Assemble(wish, subs)
	if err != nil {
		return nil, errors.Join(bad, err)
	}
	next := &sites{files: wish.Zones}
	if err := next.compile(assembled); err != nil {
		return nil, errors.Join(bad, err)
	}
	if err := next.place(ctx, o.GeoLite, assembled.Hosts, subs); err != nil {
		return nil, errors.Join(bad, err)
	}
	return next, bad
}

func readSubs(path string) ([]records.Sub, error) {
	if path == "" {
		return nil, nil
	}
	list, err := config.LoadSubs(path)
	if err != nil {
		return nil, err
	}
	var subs []records.Sub
	for _, s := range list {
		subs = append(subs, records.Sub{Name: s.Name, IPv4: s.IPv4, IPv6: s.IPv6, Coordinates: s.Coordinates, Drained: s.Drained})
	}
	return subs, nil
}

// fill adds the last good version of the zones that are wanted and missing.
func (s *sites) fill(good []*zonefile.Zone, wanted []config.Zone) []*zonefile.Zone {
	for _, w := range wanted {
		has := func(z *zonefile.Zone) bool { return z.Apex == w.Apex }
		if slices.ContainsFunc(good, has) {
			continue
		}
		if i := slices.IndexFunc(s.files, has); i >= 0 {
			good = append(good, s.files[i])
		}
	}
	return good
}

// compile makes the zones, each with the hosts that lie in it and in no deeper
// one.
func (s *sites) compile(a records.Assembled) error {
	hosts := map[string][]zone.Host{}
	for i, site := range a.Hosts {
		for _, name := range site.Hosts {
			apex := ""
			for _, z := range a.Zones {
				if zonefile.Within(name, z.Apex) && len(z.Apex) > len(apex) {
					apex = z.Apex
				}
			}
			hosts[apex] = append(hosts[apex], zone.Host{Name: name, Policy: uint16(i), TTL: site.TTL})
			s.hosts++
		}
	}
	for _, file := range a.Zones {
		z, err := zone.FromFile(file, hosts[file.Apex])
		if err != nil {
			return err
		}
		s.zones = append(s.zones, z)
	}
	return nil
}

// place makes a policy for each site, in their order.
func (s *sites) place(ctx context.Context, database string, list []records.SiteHosts, subs []records.Sub) error {
	t := &tables{known: map[string]*geo.Table{}}
	if database != "" && len(list) > 0 {
		db, err := citydb.Open(database)
		if err != nil {
			return err
		}
		defer db.Close()
		t.db = db
	}
	for _, site := range list {
		v4, err := t.target(ctx, site, subs, func(s records.Sub) netip.Addr { return s.IPv4 })
		if err != nil {
			return err
		}
		v6, err := t.target(ctx, site, subs, func(s records.Sub) netip.Addr { return s.IPv6 })
		if err != nil {
			return err
		}
		s.policies = append(s.policies, nameserver.Policy{A: v4, AAAA: v6})
	}
	return nil
}

// tables makes one table for each distinct set of candidates.
type tables struct {
	db    *citydb.DB // nil: no database
	known map[string]*geo.Table
}

func (t *tables) target(ctx context.Context, site records.SiteHosts, subs []records.Sub, family func(records.Sub) netip.Addr) (nameserver.Target, error) {
	var target nameserver.Target
	var set []geo.Candidate
	for _, sub := range subs {
		if !family(sub).IsValid() || len(site.Subs) > 0 && !slices.Contains(site.Subs, sub.Name) {
			continue
		}
		if sub.Name == site.Default {
			target.Default = len(set)
		}
		set = append(set, geo.Candidate{Name: sub.Name, At: sub.Coordinates})
		target.Addrs = append(target.Addrs, family(sub))
		target.Up = append(target.Up, !sub.Drained)
	}
	if t.db == nil || len(set) == 0 {
		return target, nil
	}
	digest := geo.Digest(set)
	if t.known[digest] == nil {
		table, err := geo.BuildContext(ctx, t.db, set)
		if err != nil {
			return target, fmt.Errorf("site %s: %w", site.Name, err)
		}
		t.known[digest] = table
	}
	target.Locator = t.known[digest]
	return target, nil
}
