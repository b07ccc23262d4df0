package nameserver

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// generator makes zones of few labels, so that wildcards, empty non-terminals,
// cuts, aliases and questions meet each other often.
type generator struct {
	*rand.Rand
	apexes []string
}

func newGenerator(seed uint64, zones int) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0))}
	for i := range zones {
		apex := fmt.Sprintf("z%d.test.", i)
		if i%4 == 3 {
			apex = "a." + g.apexes[i-1] // a child of the zone before
		}
		g.apexes = append(g.apexes, apex)
	}
	return g
}

func (g *generator) has(apex string) bool { return slices.Contains(g.apexes, apex) }

var labels = []string{"a", "b", "c", "d", "ns", "*", "\\000x", "a\\.b"}

func (g *generator) pick(s ...string) string { return s[g.IntN(len(s))] }

// name is one in the zone, relative labels in front of the apex.
func (g *generator) name(apex string) string {
	n := ""
	for range 1 + g.IntN(4) {
		n += labels[min(g.IntN(len(labels)+3), g.IntN(len(labels)+1), len(labels)-1)] + "."
	}
	if g.IntN(12) == 0 {
		n = ""
	}
	return n + apex
}

// target is a name that records point to.
func (g *generator) target(apex string) string {
	switch g.IntN(8) {
	case 0:
		return "www.elsewhere.org."
	case 1:
		// Not from or to a parent or child of another: NSD mixes their names.
		if i := slices.Index(g.apexes, apex); i&2 == 0 {
			return g.name(g.apexes[g.IntN(len(g.apexes))&^2])
		}
	}
	return g.name(apex)
}

// zone is the text of a zone that every server accepts.
func (g *generator) zone(apex string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d IN SOA ns.%s h.%s 7 7200 900 1209600 %d\n", apex, 100+g.IntN(900), apex, apex, 100+g.IntN(900))
	fmt.Fprintf(&b, "%s 500 IN NS ns.%s\n%s 500 IN NS ns.elsewhere.org.\nns.%s 500 IN A 192.0.2.1\n", apex, apex, apex, apex)
	used := map[string]string{apex: "data", "ns." + apex: "data"}
	kinds := []string{"data", "data", "data", "data", "cut", "cut", "cname", "cname", "dname"}
	switch {
	case strings.HasPrefix(apex, "a."): // NSD takes the parent's names for the child's
		kinds = kinds[:8]
	case g.has("a." + apex):
		used["a."+apex], used["ns.a."+apex] = "cut", "data"
		g.node(&b, "a."+apex, apex, "cut")
	}
	for range 4 + g.IntN(25) {
		owner := g.name(apex)
		if used[owner] != "" {
			continue
		}
		kind := g.pick(kinds...)
		if strings.HasPrefix(owner, "*.") && (kind == "cut" || kind == "dname") {
			kind = "data"
		}
		if below(used, owner) || kind == "dname" && (above(used, owner) || strings.HasSuffix(owner, "a."+apex)) {
			continue
		}
		if kind == "cut" {
			if used["ns."+owner] != "" {
				continue
			}
			used["ns."+owner] = "data"
		}
		used[owner] = kind
		g.node(&b, owner, apex, kind)
	}
	return b.String()
}

// below reports a DNAME above owner, above names below it.
func below(used map[string]string, owner string) bool {
	for n, kind := range used {
		if kind == "dname" && strings.HasSuffix(owner, "."+n) {
			return true
		}
	}
	return false
}

func above(used map[string]string, owner string) bool {
	for n := range used {
		if strings.HasSuffix(n, "."+owner) {
			return true
		}
	}
	return false
}

func (g *generator) node(b *strings.Builder, owner, apex, kind string) {
	ttl := 200 + g.IntN(100)
	line := func(format string, args ...any) {
		fmt.Fprintf(b, "%s %d IN %s\n", owner, ttl, fmt.Sprintf(format, args...))
	}
	switch kind {
	case "cname":
		line("CNAME %s", g.target(apex))
	case "dname":
		line("DNAME %s", g.target(apex))
	case "cut":
		for _, ns := range []string{"ns." + owner, g.target(apex), g.name(apex)}[:1+g.IntN(3)] {
			line("NS %s", ns)
		}
		if g.IntN(2) == 0 {
			line("DS 1 13 2 %064x", g.IntN(1000))
		}
		if g.IntN(4) > 0 {
			fmt.Fprintf(b, "ns.%s 222 IN A 192.0.2.%d\n", owner, g.IntN(250))
			fmt.Fprintf(b, "ns.%s 222 IN AAAA 2001:db8::%d\n", owner, g.IntN(250))
		}
	default:
		for range 1 + g.IntN(3) {
			line("%s", g.pick(
				fmt.Sprintf("A 192.0.2.%d", g.IntN(250)), fmt.Sprintf("AAAA 2001:db8::%d", g.IntN(250)),
				"TXT \"some text\"", "MX 10 "+g.target(apex), "SRV 1 2 3 "+g.target(apex), "PTR "+g.target(apex)))
		}
	}
}

// question is a name near those of the zone, and a type.
func (g *generator) question(apex, text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	name := strings.Fields(lines[g.IntN(len(lines))])[0]
	switch g.IntN(6) {
	case 0:
		name = g.name(apex)
	case 1:
		name = labels[g.IntN(len(labels))] + "." + name
	case 2:
		if name != apex {
			name = name[endOfLabel(name):]
		}
	case 3:
		name = g.pick("a", "b", "x") + "." + g.pick("c", "y") + "." + name
	}
	return name + " " + g.pick("A", "A", "AAAA", "TXT", "MX", "NS", "DS", "CNAME", "DNAME", "SOA", "SRV", "PTR")
}

func endOfLabel(name string) int {
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '\\':
			i++
		case '.':
			return i + 1
		}
	}
	return len(name)
}
