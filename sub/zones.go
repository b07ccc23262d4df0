package sub

import (
	"fmt"
	"slices"
	"strings"

	"b8s/kv"
	"b8s/sub/zone"
	"b8s/subjects"
	"b8s/zonefile"
)

// zones is the compiled zones of the sub, by apex. A zone is compiled anew
// only when its text or its hosts changed. Not safe for concurrent use.
type zones struct {
	fetch  func(kind, digest string, size int64) ([]byte, error)
	served map[string]servedZone
	set    *zone.Set
}

// servedZone is a zone as it is served, and what it was compiled from.
type servedZone struct {
	digest string // of its text
	hosts  string // the hosts in it, as one string to compare
	serial uint32
	zone   *zone.Zone
}

// zoneText is a zone as the bucket has it: its text, or a reference to the
// object that has it.
type zoneText struct {
	key    string
	digest string
	value  []byte
}

// read is the zone's text.
func (z *zones) read(t zoneText) ([]byte, error) {
	if !kv.IsZoneReference(t.value) {
		return t.value, nil
	}
	ref, err := kv.DecodeZoneReference(t.value)
	if err != nil {
		return nil, err
	}
	return z.fetch(subjects.ObjectZones, ref.Digest, ref.Size)
}

// needs are the objects that texts refer to.
func (z *zones) needs(texts map[string]zoneText) (digests []string) {
	for _, t := range texts {
		if !kv.IsZoneReference(t.value) {
			continue
		}
		if ref, err := kv.DecodeZoneReference(t.value); err == nil {
			digests = append(digests, ref.Digest)
		}
	}
	return digests
}

// update makes the served zones those of texts, with the hosts in them. A zone
// that can't be compiled is in errs, and stays as it was served.
func (z *zones) update(texts map[string]zoneText, hosts []zone.Host) (errs map[string]error) {
	errs = map[string]error{}
	inZone := hostsByZone(texts, hosts)
	next := make(map[string]servedZone, len(texts))
	for apex, text := range texts {
		old, had := z.served[apex]
		want := inZone[apex]
		if had && old.digest == text.digest && old.hosts == hostsText(want) {
			next[apex] = old
			continue
		}
		fresh, err := z.compile(apex, text, want)
		if err != nil {
			errs[apex] = err
			if had {
				next[apex] = old
			}
			continue
		}
		next[apex] = fresh
	}
	z.swap(next)
	return errs
}

// swap makes the set of the served zones, sharing what did not change.
func (z *zones) swap(next map[string]servedZone) {
	if z.set == nil {
		z.set = zone.NewSet()
	}
	for apex := range z.served {
		if _, stays := next[apex]; !stays {
			z.set = z.set.Without(apex)
		}
	}
	for apex, s := range next {
		if z.served[apex].zone != s.zone {
			z.set = z.set.With(s.zone)
		}
	}
	z.served = next
}

func (z *zones) compile(apex string, text zoneText, hosts []zone.Host) (servedZone, error) {
	source, err := z.read(text)
	if err != nil {
		return servedZone{}, err
	}
	parsed, err := zonefile.Parse(apex, source, apex)
	if err != nil {
		return servedZone{}, err
	}
	compiled, err := zone.FromFile(parsed, hosts)
	if err != nil {
		return servedZone{}, err
	}
	return servedZone{digest: text.digest, hosts: hostsText(hosts), serial: parsed.Serial(), zone: compiled}, nil
}

// serials is the serial of each served zone.
func (z *zones) serials() map[string]uint32 {
	out := make(map[string]uint32, len(z.served))
	for apex, s := range z.served {
		out[strings.TrimSuffix(apex, ".")] = s.serial
	}
	return out
}

// hostsByZone gives each host to the deepest zone that contains it. A host in
// none is not served; the bus may bring its zone later.
func hostsByZone(texts map[string]zoneText, hosts []zone.Host) map[string][]zone.Host {
	in := map[string][]zone.Host{}
	for _, h := range hosts {
		for name := h.Name; ; {
			if _, ok := texts[name]; ok {
				in[name] = append(in[name], h)
				break
			}
			_, parent, ok := strings.Cut(name, ".")
			if !ok || name == "." {
				break
			}
			if parent == "" {
				parent = "."
			}
			name = parent
		}
	}
	for _, list := range in {
		slices.SortFunc(list, func(a, b zone.Host) int { return strings.Compare(a.Name, b.Name) })
	}
	return in
}

func hostsText(hosts []zone.Host) string {
	var b strings.Builder
	for _, h := range hosts {
		fmt.Fprintln(&b, h.Name, h.Policy, h.TTL)
	}
	return b.String()
}
