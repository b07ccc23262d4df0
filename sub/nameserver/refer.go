package nameserver

import "b8s/sub/zone"

// refer sends the asker to the servers of a delegated zone, with their
// addresses as far as we have them: those at or below the cut, without which
// it can't be crossed, and siblings (RFC 9471).
func (a *answerer) refer(z *zone.Zone, r zone.Result, at link, apex uint16, name *zone.Name, hop int) {
	if hop == 0 {
		a.flags &^= bitAA
	}
	start := a.at
	if !a.put(authority, r.RRset, at.pointer(name.Offset(int(r.Label))), apex) {
		return
	}
	a.putGlue(z, r, start, name, true)
	if a.flags&bitTC == 0 {
		a.putGlue(z, r, start, name, false)
	}
}

// putGlue adds the addresses of the servers that are below the cut, or of
// those that aren't. Without room the former truncate, the latter are left out.
func (a *answerer) putGlue(z *zone.Zone, r zone.Result, start int, cut *zone.Name, below bool) {
	for i := 0; i < r.RRset.Len(); {
		rdata, _, next := r.RRset.Rdata(i)
		i = next
		owner := start + rdata
		if _, ok := r.RRset.Target(z, rdata, &a.glue); !ok || owner >= 0x4000 || a.glue.Below(cut, int(r.Label)) != below {
			continue
		}
		v4, v6, ok := z.Glue(&a.glue)
		if !ok {
			continue
		}
		if !a.add(v4, uint16(owner)) || !a.add(v6, uint16(owner)) {
			if below {
				a.flags |= bitTC
				return
			}
		}
	}
}

// add puts glue if there is room for it.
func (a *answerer) add(r zone.RRset, owner uint16) bool {
	if a.at+r.Len() > a.limit {
		return false
	}
	a.at = r.Put(a.msg, a.at, pointer|owner, 0)
	a.counts[additional] += uint16(r.Count)
	return true
}
