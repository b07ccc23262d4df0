package config

import (
	"net/netip"
	"os"

	"github.com/goccy/go-yaml/ast"

	"b8s/place"
)

// Sub is a sub as subs.yaml tells of it. It has at least one address.
type Sub struct {
	Name        string
	IPv4, IPv6  netip.Addr // invalid if it has none
	Coordinates place.Point
	Drained     bool
	At          string
}

// LoadSubs reads the subs.yaml at path.
func LoadSubs(path string) ([]Sub, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseSubs(path, text)
}

// ParseSubs is LoadSubs for text that stands at path.
func ParseSubs(path string, text []byte) ([]Sub, error) {
	var subs []Sub
	err := decode(path, text, func(d *decoder, root ast.Node) {
		d.object(root, "the file of subs", fields{"subs": func(n ast.Node) { subs = d.subList(n) }})
	})
	if err != nil {
		return nil, err
	}
	return subs, nil
}

func (d *decoder) subList(n ast.Node) []Sub {
	var list []Sub
	seen := map[string]bool{}
	d.list(n, "subs", func(n ast.Node) {
		s, ok := d.sub(n)
		if ok && seen[s.Name] {
			d.fail(n, "sub %s stands here a second time", s.Name)
		}
		seen[s.Name] = true
		list = append(list, s)
	})
	return list
}

// sub reads one sub; ok is false if something about it was reported.
func (d *decoder) sub(n ast.Node) (s Sub, ok bool) {
	s.At = d.where(n)
	errs := len(d.errs)
	placed := false
	d.object(n, "a sub", fields{
		"name": func(n ast.Node) { s.Name, _ = d.name(n, "name") },
		"ipv4": func(n ast.Node) { s.IPv4 = d.addr(n, "ipv4", netip.Addr.Is4) },
		"ipv6": func(n ast.Node) { s.IPv6 = d.addr(n, "ipv6", netip.Addr.Is6) },
		"coordinates": func(n ast.Node) {
			s.Coordinates, placed = d.coordinates(n), true
		},
		"drained": func(n ast.Node) { s.Drained = d.boolean(n, "drained") },
	})
	if len(d.errs) > errs {
		return s, false
	}
	switch {
	case s.Name == "":
		d.fail(n, "the sub has no name")
	case !s.IPv4.IsValid() && !s.IPv6.IsValid():
		d.fail(n, "sub %s has no address: give it ipv4 or ipv6 or both", s.Name)
	case !placed:
		d.fail(n, "sub %s has no coordinates: give them as LAT,LON in degrees, as in -33.87,151.21", s.Name)
	}
	return s, len(d.errs) == errs
}

func (d *decoder) addr(n ast.Node, what string, family func(netip.Addr) bool) netip.Addr {
	text, ok := d.text(n, what)
	if !ok {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" || a.Is4In6() || !family(a) {
		d.fail(n, "%s %q is not an %s address", what, text, map[string]string{"ipv4": "IPv4", "ipv6": "IPv6"}[what])
		return netip.Addr{}
	}
	if a.IsUnspecified() || a.IsMulticast() {
		d.fail(n, "%s %s is not the address of a server", what, a)
	}
	return a
}

func (d *decoder) coordinates(n ast.Node) place.Point {
	text, ok := d.text(n, "coordinates")
	if !ok {
		return place.Point{}
	}
	p, err := place.Parse(text)
	if err != nil {
		d.fail(n, "%s", err)
	}
	return p
}

func (d *decoder) boolean(n ast.Node, what string) bool {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		d.fail(n, "%s is %s: want true or false", what, kind(n))
		return false
	}
	return b.Value
}
