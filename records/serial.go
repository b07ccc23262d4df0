package records

import "b8s/zonefile"

// NextSerial is the serial for changed content: that of the file, or one more
// than the highest that was published or that a sub reports, whichever comes
// last in the arithmetic of RFC 1982.
func NextSerial(file uint32, published ...uint32) uint32 {
	serial := file
	for _, p := range published {
		serial = zonefile.LaterSerial(serial, p+1)
	}
	return serial
}

// WithSerials gives each zone of a its serial. One whose content is that of
// the current zone keeps the current serial, the others get NextSerial of the
// file's, the current one, and reported, the highest that any sub reports for
// an apex.
func (a Assembled) WithSerials(current Assembled, reported map[string]uint32) Assembled {
	old := zonesByApex(current.Zones)
	out := Assembled{Hosts: a.Hosts, Zones: make([]*zonefile.Zone, len(a.Zones))}
	for i, z := range a.Zones {
		was := old[z.Apex]
		if was != nil && zonefile.Diff(was, z).Empty() {
			out.Zones[i] = z.WithSerial(was.Serial())
			continue
		}
		var published []uint32
		if was != nil {
			published = append(published, was.Serial())
		}
		if r, ok := reported[z.Apex]; ok {
			published = append(published, r)
		}
		out.Zones[i] = z.WithSerial(NextSerial(z.Serial(), published...))
	}
	return out
}
