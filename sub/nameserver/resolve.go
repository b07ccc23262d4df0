package nameserver

import (
	"encoding/binary"
	"net/netip"

	"b8s/sub/zone"
)

// resolve answers the question, along CNAME and DNAME through all our zones.
func (a *answerer) resolve() {
	q := &a.query
	if q.qclass != classIN || q.qtype == typeAXFR || q.qtype == typeIXFR {
		a.rcode = rcodeRefused
		return
	}
	name := &a.names[0]
	z, apex := a.zoneFor(name)
	if z == nil {
		a.rcode = rcodeRefused
		return
	}
	a.flags, a.ndnames = bitAA, 0
	at := link{at: headerSize, split: name.Offset(name.Labels()) + 1}
	for hop := 0; ; hop++ {
		r := z.Lookup(name, apex, q.qtype)
		ends := at.pointer(name.Offset(apex))
		next := &a.names[(hop+1)&1]
		more := false
		switch r.Kind {
		case zone.Alias:
			at, more = a.follow(z, r, at, ends, next)
		case zone.Redirect:
			at, more = a.redirect(z, r, at, ends, name, next)
		default:
			a.last(z, r, at, ends, name, hop)
		}
		if !more || a.seen(name, next, hop) {
			return
		}
		name = next
		if z, apex = a.zoneFor(name); z == nil {
			return
		}
	}
}

// zoneFor gives the deepest of our zones around a name; for DS the one above a
// zone's apex, as the parent answers for it (RFC 4035, 3.1.4.1).
func (a *answerer) zoneFor(name *zone.Name) (z *zone.Zone, apex int) {
	z, apex = a.view.Zones.Find(name)
	if z != nil && apex == 0 && a.query.qtype == typeDS && name.Labels() > 0 {
		if above, label := a.view.Zones.FindFrom(name, 1); above != nil {
			return above, label
		}
	}
	return z, apex
}

// seen ends a chain that is too long or comes back to where it was.
func (a *answerer) seen(name, next *zone.Name, hop int) bool {
	a.visited[hop] = name.Hash()
	if hop == maxChain-1 {
		return true
	}
	for _, h := range a.visited[:hop+1] {
		if h == next.Hash() {
			return true
		}
	}
	return false
}

// last writes what ends a chain; apex is a pointer to the zone's apex.
func (a *answerer) last(z *zone.Zone, r zone.Result, at link, apex uint16, name *zone.Name, hop int) {
	switch r.Kind {
	case zone.Answer:
		a.put(answer, r.RRset, at.pointer(0), apex)
	case zone.Referral:
		a.refer(z, r, at, apex, name, hop)
	case zone.Located:
		if !a.locate(r, at.pointer(0)) {
			a.put(authority, z.Negative(), apex, apex)
		}
	case zone.NoData:
		a.put(authority, z.Negative(), apex, apex)
	case zone.NXDomain:
		a.rcode = rcodeNXDomain
		a.put(authority, z.Negative(), apex, apex)
	}
}

// follow writes a CNAME and gives the name it leads to.
func (a *answerer) follow(z *zone.Zone, r zone.Result, at link, apex uint16, next *zone.Name) (link, bool) {
	start := a.at
	if !a.put(answer, r.RRset, at.pointer(0), apex) {
		return at, false
	}
	rdata, _, _ := r.RRset.Rdata(0)
	split, ok := r.RRset.Target(z, rdata, next)
	return link{at: start + rdata, split: split, tail: apex}, ok
}

// redirect writes a DNAME, unless the answer has it, and the CNAME that
// follows from it (RFC 6672).
func (a *answerer) redirect(z *zone.Zone, r zone.Result, at link, apex uint16, name, next *zone.Name) (link, bool) {
	label := int(r.Label)
	off := name.Offset(label)
	target, ok := a.putDNAME(r, at.pointer(off), apex, name)
	if !ok {
		return at, false
	}
	rdata, _, _ := r.RRset.Rdata(0)
	if _, ok := r.RRset.Target(z, rdata, &a.glue); !ok || !next.Join(name.Wire()[:off], a.glue.Wire()) {
		a.rcode = rcodeYXDomain
		return at, false
	}
	if a.at+12+off+2 > a.limit {
		a.truncate()
		return at, false
	}
	prefix := name.Wire()[:off]
	if off <= at.split {
		prefix = a.msg[at.at : at.at+off] // as the asker wrote it
	}
	start := a.putHead(at.pointer(0), typeCNAME, r.RRset.TTL(), off+2)
	copy(a.msg[start:], prefix)
	tail := pointer | uint16(target)
	binary.BigEndian.PutUint16(a.msg[start+off:], tail)
	a.at = start + off + 2
	a.counts[answer]++
	// A DNAME into its own tree would go round for ever.
	more := a.query.qtype != typeCNAME && !a.glue.Below(name, label)
	return link{at: start, split: off, tail: tail}, more
}

// putDNAME gives the place of the DNAME's target in the message.
func (a *answerer) putDNAME(r zone.Result, owner, apex uint16, name *zone.Name) (target int, ok bool) {
	key := written{labels: name.Labels() - int(r.Label), hash: name.SuffixHash(int(r.Label))}
	for _, d := range a.dnames[:a.ndnames] {
		if d.labels == key.labels && d.hash == key.hash {
			return d.target, true
		}
	}
	rdata, _, _ := r.RRset.Rdata(0)
	key.target = a.at + rdata
	if !a.put(answer, r.RRset, owner, apex) {
		return 0, false
	}
	a.dnames[a.ndnames] = key
	a.ndnames++
	return key.target, true
}

// putHead writes a record up to its rdata and says where that starts. The
// caller has seen to the room.
func (a *answerer) putHead(owner, rrtype uint16, ttl uint32, rdlength int) int {
	h := a.msg[a.at : a.at+12]
	binary.BigEndian.PutUint16(h, owner)
	binary.BigEndian.PutUint16(h[2:], rrtype)
	binary.BigEndian.PutUint16(h[4:], classIN)
	binary.BigEndian.PutUint32(h[6:], ttl)
	binary.BigEndian.PutUint16(h[10:], uint16(rdlength))
	return a.at + 12
}

// locate answers by the place of the asker; false when the host has no address
// of the family.
func (a *answerer) locate(r zone.Result, owner uint16) bool {
	target := a.target(r)
	if target == nil || len(target.Addrs) == 0 {
		return false
	}
	asker := a.source
	if a.query.subnet.given {
		asker = a.query.subnet.asker()
	}
	addr, scope := target.choose(asker)
	a.scope = a.query.subnet.scope(scope)
	if addr.Is4() {
		b := addr.As4()
		a.putAddr(owner, typeA, r.TTL, b[:])
	} else {
		b := addr.As16()
		a.putAddr(owner, typeAAAA, r.TTL, b[:])
	}
	return true
}

// target is what a host's policy has for the type asked for; ANY takes IPv4 if
// there is some.
func (a *answerer) target(r zone.Result) *Target {
	if int(r.Policy) >= len(a.view.Policies) {
		return nil
	}
	p := &a.view.Policies[r.Policy]
	switch {
	case a.query.qtype == typeA:
		return &p.A
	case a.query.qtype == typeAAAA || len(p.A.Addrs) == 0:
		return &p.AAAA
	}
	return &p.A
}

func (a *answerer) putAddr(owner, rrtype uint16, ttl uint32, addr []byte) {
	if a.at+12+len(addr) > a.limit {
		a.truncate()
		return
	}
	start := a.putHead(owner, rrtype, ttl, len(addr))
	a.at = start + copy(a.msg[start:], addr)
	a.counts[answer]++
}

// resolver is an address without the form that an IPv6 socket gives it.
func resolver(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
