package records

import (
	"fmt"
	"slices"
	"strings"

	"b8s/zonefile"
)

// Action says what a publish does with a zone or site.
type Action string

// The actions, as they stand in JSON and on the terminal.
const (
	Add    Action = "add"
	Remove Action = "remove"
	Change Action = "change"
)

// Plan is what a publish changes. What stays is not in it.
type Plan struct {
	Zones []ZonePlan `json:"zones"` // in canonical order
	Sites []SitePlan `json:"sites"` // by name
}

// ZonePlan is what happens to a zone. Counts are of RRsets, without the
// serial of the SOA.
type ZonePlan struct {
	Apex    string   `json:"apex"`
	Action  Action   `json:"action"`
	Added   int      `json:"added"`
	Removed int      `json:"removed"`
	Changed int      `json:"changed"`
	Serial  uint32   `json:"serial"` // afterwards; the last one if it is removed
	Lines   []string `json:"lines"`  // "+ record" and "- record"
}

// SitePlan is what happens to a site's hosts.
type SitePlan struct {
	Name   string     `json:"name"`
	Action Action     `json:"action"`
	Old    *SiteHosts `json:"old,omitempty"`
	New    *SiteHosts `json:"new,omitempty"`
}

// Compare gives what brings current to next. Both are as Assemble gives them:
// zones in canonical order, sites by name.
func Compare(current, next Assembled) Plan {
	p := Plan{Zones: []ZonePlan{}, Sites: []SitePlan{}}
	old, new := zonesByApex(current.Zones), zonesByApex(next.Zones)
	for _, z := range current.Zones {
		if new[z.Apex] == nil {
			p.zone(Remove, z.Apex, z.Serial(), zonefile.Diff(z, nil))
		}
	}
	for _, z := range next.Zones {
		was := old[z.Apex]
		switch c := zonefile.Diff(was, z); {
		case was == nil:
			p.zone(Add, z.Apex, z.Serial(), c)
		case !c.Empty():
			p.zone(Change, z.Apex, z.Serial(), c)
		}
	}
	slices.SortStableFunc(p.Zones, func(a, b ZonePlan) int { return zonefile.Compare(a.Apex, b.Apex) })
	p.compareSites(current.Hosts, next.Hosts)
	return p
}

func zonesByApex(zones []*zonefile.Zone) map[string]*zonefile.Zone {
	m := make(map[string]*zonefile.Zone, len(zones))
	for _, z := range zones {
		m[z.Apex] = z
	}
	return m
}

func (p *Plan) zone(action Action, apex string, serial uint32, c zonefile.Changes) {
	p.Zones = append(p.Zones, ZonePlan{apex, action, len(c.Added), len(c.Removed), len(c.Changed), serial, c.Lines()})
}

func (p *Plan) compareSites(current, next []SiteHosts) {
	old, new := sitesByName(current), sitesByName(next)
	for _, s := range current {
		if _, ok := new[s.Name]; !ok {
			p.Sites = append(p.Sites, SitePlan{s.Name, Remove, &s, nil})
		}
	}
	for _, s := range next {
		was, ok := old[s.Name]
		switch {
		case !ok:
			p.Sites = append(p.Sites, SitePlan{s.Name, Add, nil, &s})
		case !was.equal(s):
			p.Sites = append(p.Sites, SitePlan{s.Name, Change, &was, &s})
		}
	}
	slices.SortStableFunc(p.Sites, func(a, b SitePlan) int { return strings.Compare(a.Name, b.Name) })
}

func sitesByName(sites []SiteHosts) map[string]SiteHosts {
	m := make(map[string]SiteHosts, len(sites))
	for _, s := range sites {
		m[s.Name] = s
	}
	return m
}

func (s SiteHosts) equal(t SiteHosts) bool {
	return s.TTL == t.TTL && s.Default == t.Default && slices.Equal(s.Hosts, t.Hosts) && slices.Equal(s.Subs, t.Subs)
}

// Empty reports whether nothing is to be published.
func (p Plan) Empty() bool { return len(p.Zones)+len(p.Sites) == 0 }

// RemovedZones gives the apexes that will no longer be answered: what an
// operator should be asked about.
func (p Plan) RemovedZones() []string {
	var list []string
	for _, z := range p.Zones {
		if z.Action == Remove {
			list = append(list, z.Apex)
		}
	}
	return list
}

// maxLines of one zone are shown on the terminal.
const maxLines = 200

// String shows the plan as lines for a terminal, "no change" if it is empty.
func (p Plan) String() string {
	if p.Empty() {
		return "no change\n"
	}
	var b strings.Builder
	for _, z := range p.Zones {
		z.write(&b)
	}
	for _, s := range p.Sites {
		s.write(&b)
	}
	if gone := p.RemovedZones(); len(gone) > 0 {
		fmt.Fprintf(&b, "REMOVED: no sub will answer for %s any more\n", strings.Join(gone, ", "))
	}
	return b.String()
}

func (z ZonePlan) write(b *strings.Builder) {
	switch z.Action {
	case Add:
		fmt.Fprintf(b, "zone %s: new, %d RRsets, serial %d\n", z.Apex, z.Added, z.Serial)
	case Remove:
		fmt.Fprintf(b, "zone %s: REMOVED, with its %d RRsets\n", z.Apex, z.Removed)
		return
	case Change:
		fmt.Fprintf(b, "zone %s: RRsets added %d, removed %d, changed %d, serial %d\n", z.Apex, z.Added, z.Removed, z.Changed, z.Serial)
	}
	for i, line := range z.Lines {
		if i == maxLines {
			fmt.Fprintf(b, "  … %d lines more\n", len(z.Lines)-i)
			break
		}
		fmt.Fprintf(b, "  %s\n", line)
	}
}

func (s SitePlan) write(b *strings.Builder) {
	switch s.Action {
	case Add:
		fmt.Fprintf(b, "site %s: new, %s\n", s.Name, s.New)
	case Remove:
		fmt.Fprintf(b, "site %s: removed, was %s\n", s.Name, s.Old)
	case Change:
		fmt.Fprintf(b, "site %s: changed\n  - %s\n  + %s\n", s.Name, s.Old, s.New)
	}
}

// String is the site in one line.
func (s *SiteHosts) String() string {
	subs := "all subs"
	if len(s.Subs) > 0 {
		subs = "subs " + strings.Join(s.Subs, " ")
	}
	text := fmt.Sprintf("hosts %s, %s, TTL %d", strings.Join(s.Hosts, " "), subs, s.TTL)
	if s.Default != "" {
		text += ", default " + s.Default
	}
	return text
}
