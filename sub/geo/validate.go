package geo

import "errors"

// validate makes sure that Lookup stays within the blocks whatever the
// address, so that not even a file made by someone else brings the process
// down.
func (t *Table) validate() error {
	n4, n6, long, outcomes := len(t.start4)/4, len(t.start6)/8, len(t.longAt)/4, len(t.outcomes)/4
	if len(t.index4) != indexSize || n4 == 0 || n6 == 0 || outcomes == 0 ||
		len(t.start4) != 4*n4 || len(t.outcome4) != 2*n4 ||
		len(t.start6) != 8*n6 || len(t.outcome6) != 2*n6 ||
		len(t.longAt) != 4*long || len(t.longLow) != 8*long || len(t.outcomes) != 4*outcomes {
		return errors.New("its blocks don't fit together")
	}
	return errors.Join(t.validateOutcomes(outcomes), t.validateRanges4(n4), t.validateRanges6(n6, long))
}

func (t *Table) validateOutcomes(n int) error {
	for i := range n {
		o := t.outcome(i)
		if o.kind > alias || o.kind == alias && o.order[0] > 96 {
			return errors.New("it has an unknown kind of range")
		}
	}
	for at := range len(t.outcome4) / 2 {
		if id := u16(t.outcome4, at); id >= n || t.outcome(id).kind == alias {
			return errors.New("an IPv4 range has no outcome")
		}
	}
	for at := range len(t.outcome6) / 2 {
		if u16(t.outcome6, at) >= n {
			return errors.New("an IPv6 range has no outcome")
		}
	}
	return nil
}

func (t *Table) validateRanges4(n int) error {
	if u32(t.start4, 0) != 0 || u32(t.index4, 0) != 0 || int(u32(t.index4, 1<<16)) != n {
		return errors.New("its IPv4 ranges don't cover all addresses")
	}
	at := 0
	for h := range 1 << 16 {
		end := int(u32(t.index4, h+1))
		if end < at || end > n {
			return errors.New("its IPv4 index is out of order")
		}
		for ; at < end; at++ {
			if s := u32(t.start4, at); s>>16 != uint32(h) || at > 0 && s <= u32(t.start4, at-1) {
				return errors.New("its IPv4 ranges are out of order")
			}
		}
	}
	return nil
}

func (t *Table) validateRanges6(n, long int) error {
	for i := range long {
		if int(u32(t.longAt, i)) >= n || i > 0 && u32(t.longAt, i) <= u32(t.longAt, i-1) {
			return errors.New("its long IPv6 ranges are out of order")
		}
	}
	if hi, lo := t.start6At(0); hi != 0 || lo != 0 {
		return errors.New("its IPv6 ranges don't cover all addresses")
	}
	before := u64(t.start6, 0)
	for at := 1; at < n; at++ {
		hi := u64(t.start6, at)
		if hi < before || hi == before && t.low6(at) <= t.low6(at-1) {
			return errors.New("its IPv6 ranges are out of order")
		}
		before = hi
	}
	return nil
}
