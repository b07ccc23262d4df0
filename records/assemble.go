package records

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"b8s/zonefile"
)

// Assemble gives the zones and hosts that the wish asks for with these subs.
// The serials are those of the files: see WithSerials. The error joins all
// that is wrong.
func Assemble(wish Wish, subs []Sub) (Assembled, error) {
	a := newAssembly(wish, subs)
	a.checkZones()
	a.checkNameservers()
	for _, z := range a.zones {
		a.addNameservers(z)
	}
	hosts := a.sites()
	if len(a.errs) > 0 {
		return Assembled{}, errors.Join(a.errs...)
	}
	return a.finish(hosts)
}

// assembly is the work of one Assemble.
type assembly struct {
	wish  Wish
	ttl   uint32
	subs  map[string]Sub
	names []string // of subs
	zones []*draft
	errs  []error
}

// draft is a zone that records are added to.
type draft struct {
	*zonefile.Zone
	added []added
	cuts  []string // owners of delegations
}

func newAssembly(wish Wish, subs []Sub) *assembly {
	a := &assembly{wish: wish, ttl: wish.NameserverTTL, subs: make(map[string]Sub, len(subs))}
	if a.ttl == 0 {
		a.ttl = DefaultNameserverTTL
	}
	for _, s := range subs {
		a.subs[s.Name] = s
		a.names = append(a.names, s.Name)
	}
	for _, z := range wish.Zones {
		a.zones = append(a.zones, &draft{Zone: z, cuts: cuts(z)})
	}
	sort.SliceStable(a.zones, func(i, j int) bool {
		return zonefile.Compare(a.zones[i].Apex, a.zones[j].Apex) < 0
	})
	return a
}

// fail reports what is wrong, with where it stands before it.
func (a *assembly) fail(at, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if at != "" {
		text = at + ": " + text
	}
	a.errs = append(a.errs, errors.New(text))
}

// sub finds a sub; what says who names it.
func (a *assembly) sub(at, what, name string) (Sub, bool) {
	s, ok := a.subs[name]
	switch {
	case ok && !s.IPv4.IsValid() && !s.IPv6.IsValid():
		a.fail(at, "%s is on sub %s, which has no address", what, name)
		return s, false
	case ok:
		return s, true
	case len(a.names) == 0:
		a.fail(at, "%s is on sub %q, but no sub is enrolled: enrol it with b8s dom add-sub", what, name)
	default:
		a.fail(at, "%s is on sub %q, which is not enrolled%s", what, name, suggest(name, a.names))
	}
	return s, false
}

func (a *assembly) checkZones() {
	for i, z := range a.zones {
		if i > 0 && z.Apex == a.zones[i-1].Apex {
			a.fail("", "zone %s is named twice", z.Apex)
		}
	}
}

// zone finds the zone that a name belongs to, the one with the longest apex;
// nil if there is none.
func (a *assembly) zone(name string) *draft {
	var best *draft
	for _, z := range a.zones {
		if zonefile.Within(name, z.Apex) && (best == nil || len(z.Apex) > len(best.Apex)) {
			best = z
		}
	}
	return best
}

func (a *assembly) apexes() string {
	var list []string
	for _, z := range a.zones {
		if list = append(list, z.Apex); len(list) == 12 {
			list = append(list, "…")
			break
		}
	}
	if len(list) == 0 {
		return "there is none"
	}
	return strings.Join(list, ", ")
}

// finish puts the added records in.
func (a *assembly) finish(hosts []SiteHosts) (Assembled, error) {
	out := Assembled{Hosts: hosts}
	var errs []error
	for _, d := range a.zones {
		z, err := d.finish()
		errs = append(errs, err)
		out.Zones = append(out.Zones, z)
	}
	if err := errors.Join(errs...); err != nil {
		return Assembled{}, err
	}
	return out, nil
}
