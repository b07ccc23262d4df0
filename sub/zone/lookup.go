package zone

// Kind says what a lookup found.
type Kind uint8

// What a lookup finds. The zero value is that the name doesn't exist.
const (
	NXDomain Kind = iota
	NoData        // the name exists, without that type
	Answer        // RRset is the answer
	Alias         // RRset is a CNAME of the name, which was not asked for itself
	Redirect      // RRset is a DNAME of the suffix that starts with Label
	Referral      // RRset are the NS of the suffix that starts with Label, a zone cut
	Located       // an A or AAAA of a Host: Policy answers it, with TTL
)

// Types that lookups treat in their own way.
const (
	typeA     = 1
	typeNS    = 2
	typeCNAME = 5
	typeSOA   = 6
	typeAAAA  = 28
	typeDNAME = 39
	typeDS    = 43
	typeRRSIG = 46
	typeANY   = 255
)

// Result is what a lookup found.
type Result struct {
	Kind   Kind
	Wild   bool  // by a wildcard
	Label  uint8 // see Kind
	Policy uint16
	TTL    uint32
	RRset  RRset
}

// Lookup looks for qtype at n, whose suffix that starts with label apex is the
// zone's apex (as Set.Find gives it). ANY finds one RRset of the name
// (RFC 8482). A type that stands for no record finds no data.
func (z *Zone) Lookup(n *Name, apex int, qtype uint16) Result {
	label, apexOff := 0, int(n.off[apex])
	node := z.find(n, 0, apexOff)
	for node == 0 {
		label++
		node = z.find(n, label, apexOff)
	}
	flags := z.flags(node)
	if flags&(flagCut|flagDname|flagOccluded) != 0 {
		if r, ok := z.lookupAbove(n, node, label, apexOff, qtype); ok {
			return r
		}
	}
	if label == 0 {
		return z.at(node, qtype)
	}
	if flags&flagWild == 0 {
		return Result{}
	}
	r := z.at(z.findStar(n, label, apexOff), qtype)
	r.Wild = true
	return r
}

// lookupAbove answers when the closest node, which is that of the suffix from
// label on, is or has above it a zone cut or a DNAME; ok is false when they
// don't matter to this question.
func (z *Zone) lookupAbove(n *Name, node uint32, label, apexOff int, qtype uint16) (r Result, ok bool) {
	for z.flags(node)&flagOccluded != 0 {
		label++
		if above := z.find(n, label, apexOff); above != 0 {
			node = above
		}
	}
	switch flags := z.flags(node); {
	case flags&flagCut != 0 && !(label == 0 && qtype == typeDS):
		set, _ := z.set(node, typeNS)
		return Result{Kind: Referral, Label: uint8(label), RRset: set}, true
	case flags&flagDname != 0 && label > 0:
		set, _ := z.set(node, typeDNAME)
		return Result{Kind: Redirect, Label: uint8(label), RRset: set}, true
	}
	return Result{}, false
}

// at answers from the node which the name has, or a wildcard has for it.
func (z *Zone) at(node uint32, qtype uint16) Result {
	if qtype == typeANY {
		return z.any(node)
	}
	if z.flags(node)&flagGeo != 0 && (qtype == typeA || qtype == typeAAAA) {
		return z.located(node)
	}
	count, at := z.sets(node)
	alias := uint32(0)
	for range count {
		switch t := uint16(z.arena[at])<<8 | uint16(z.arena[at+1]); t {
		case typeHost:
		case qtype:
			r, _ := z.rrset(at)
			return Result{Kind: Answer, RRset: r}
		case typeCNAME:
			alias = at
		}
		at = z.skip(at)
	}
	if alias != 0 {
		r, _ := z.rrset(alias)
		return Result{Kind: Alias, RRset: r}
	}
	return Result{Kind: NoData}
}

// any gives the first RRset that is not a signature, else the host's address.
func (z *Zone) any(node uint32) Result {
	count, at := z.sets(node)
	var r RRset
	for range count {
		if r, at = z.rrset(at); r.Type != typeHost && r.Type != typeRRSIG {
			return Result{Kind: Answer, RRset: r}
		}
	}
	switch {
	case z.flags(node)&flagGeo != 0:
		return z.located(node)
	case r.Type == typeRRSIG:
		return Result{Kind: Answer, RRset: r}
	}
	return Result{Kind: NoData}
}

func (z *Zone) located(node uint32) Result {
	set, _ := z.set(node, typeHost)
	policy, ttl := set.host()
	return Result{Kind: Located, Policy: policy, TTL: ttl}
}

// Glue gives the A and AAAA that the zone holds at n, or a wildcard has for it,
// occluded or not; none if n is not in the zone.
func (z *Zone) Glue(n *Name) (a, aaaa RRset, ok bool) {
	apex := n.labels - z.labels
	if apex < 0 || n.hash[apex] != z.hash || string(n.wire[n.off[apex]:n.size]) != string(z.wire) {
		return a, aaaa, false
	}
	label, apexOff := 0, int(n.off[apex])
	node := z.find(n, 0, apexOff)
	for node == 0 {
		label++
		if node = z.find(n, label, apexOff); node == 0 {
			continue
		}
		if z.flags(node)&flagWild == 0 {
			return a, aaaa, false
		}
		node = z.findStar(n, label, apexOff)
	}
	a, _ = z.set(node, typeA)
	aaaa, _ = z.set(node, typeAAAA)
	return a, aaaa, a.Count+aaaa.Count > 0
}

// Below reports whether n is at or below the suffix of cut that starts with
// label.
func (n *Name) Below(cut *Name, label int) bool {
	suffix := cut.wire[cut.off[label]:cut.size]
	i := n.labels - (cut.labels - label)
	return i >= 0 && n.hash[i] == cut.hash[label] && string(n.wire[n.off[i]:n.size]) == string(suffix)
}
