package zonefile

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// Changes is what differs between two versions of a zone, by RRset, in
// canonical order. The serial of the SOA doesn't count.
type Changes struct {
	Added   []RRset
	Removed []RRset
	Changed []Change
}

// Change is an RRset whose records or TTL differ.
type Change struct {
	Old, New RRset
}

// Diff compares two versions of a zone. Either may be nil: then all is added,
// or removed.
func Diff(old, new *Zone) Changes {
	var c Changes
	a, b := cursor{z: old}, cursor{z: new}
	for {
		x, y := a.peek(), b.peek()
		switch order := compareSets(x, y); {
		case x == nil && y == nil:
			return c
		case order < 0:
			c.Removed = append(c.Removed, *a.take())
		case order > 0:
			c.Added = append(c.Added, *b.take())
		default:
			if x, y := a.take(), b.take(); !sameRecords(*x, *y) {
				c.Changed = append(c.Changed, Change{*x, *y})
			}
		}
	}
}

// cursor walks the RRsets of a zone.
type cursor struct {
	z   *Zone
	i   int
	set *RRset
}

func (c *cursor) peek() *RRset {
	if c.set == nil && c.z != nil && c.i < len(c.z.Records) {
		h := c.z.Records[c.i].Header()
		end := c.z.setEnd(c.i)
		c.set = &RRset{h.Name, h.Rrtype, c.z.Records[c.i:end:end], c.z.At(c.i)}
	}
	return c.set
}

func (c *cursor) take() *RRset {
	set := c.peek()
	c.i += len(set.Records)
	c.set = nil
	return set
}

// compareSets orders by owner and type; nil comes last.
func compareSets(x, y *RRset) int {
	switch {
	case x == nil && y == nil:
		return 0
	case x == nil:
		return 1
	case y == nil:
		return -1
	}
	if x.Owner != y.Owner {
		return Compare(x.Owner, y.Owner)
	}
	return typeRank(x.Type) - typeRank(y.Type)
}

func sameRecords(x, y RRset) bool {
	if len(x.Records) != len(y.Records) {
		return false
	}
	for i, rr := range x.Records {
		if !sameRecord(rr, y.Records[i]) {
			return false
		}
	}
	return true
}

func sameRecord(a, b dns.RR) bool {
	if a.Header().Ttl != b.Header().Ttl {
		return false
	}
	if s, ok := a.(*dns.SOA); ok {
		if t, ok := b.(*dns.SOA); ok {
			x, y := *s, *t
			x.Serial, y.Serial = 0, 0
			return x == y
		}
	}
	return bytes.Equal(appendRdata(nil, a), appendRdata(nil, b))
}

// Empty reports whether nothing differs.
func (c Changes) Empty() bool {
	return len(c.Added)+len(c.Removed)+len(c.Changed) == 0
}

// String counts: "2 RRsets added, 1 changed".
func (c Changes) String() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{len(c.Added), "added"}, {len(c.Removed), "removed"}, {len(c.Changed), "changed"}} {
		if p.n == 0 {
			continue
		}
		if len(parts) == 0 {
			p.what = map[bool]string{true: "RRset ", false: "RRsets "}[p.n == 1] + p.what
		}
		parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
	}
	if len(parts) == 0 {
		return "no change"
	}
	return strings.Join(parts, ", ")
}

// Lines shows the records that come with "+" and those that go with "-", in
// canonical order, as in "+ www.example.com. 300 IN A 192.0.2.1".
func (c Changes) Lines() []string {
	var lines []string
	add := func(sign string, records []dns.RR) {
		for _, rr := range records {
			lines = append(lines, sign+" "+string(AppendText(nil, rr)))
		}
	}
	added, removed, changed := c.Added, c.Removed, c.Changed
	for len(added)+len(removed)+len(changed) > 0 {
		var x, y, z *RRset
		if len(removed) > 0 {
			x = &removed[0]
		}
		if len(added) > 0 {
			y = &added[0]
		}
		if len(changed) > 0 {
			z = &changed[0].Old
		}
		switch {
		case z != nil && compareSets(z, x) <= 0 && compareSets(z, y) <= 0:
			gone, come := changed[0].records()
			add("-", gone)
			add("+", come)
			changed = changed[1:]
		case compareSets(x, y) < 0:
			add("-", x.Records)
			removed = removed[1:]
		default:
			add("+", y.Records)
			added = added[1:]
		}
	}
	return lines
}

// records gives the records that only one of the versions has.
func (c Change) records() (gone, come []dns.RR) {
	return missing(c.Old.Records, c.New.Records), missing(c.New.Records, c.Old.Records)
}

func missing(from, in []dns.RR) []dns.RR {
	have := make(map[string]bool, len(in))
	for _, rr := range in {
		have[string(AppendText(nil, rr))] = true
	}
	var list []dns.RR
	for _, rr := range from {
		if !have[string(AppendText(nil, rr))] {
			list = append(list, rr)
		}
	}
	return list
}
