package zonefile

// SerialAfter reports whether serial a comes after b in the arithmetic of
// RFC 1982. Two serials 2^31 apart come neither after nor before each other;
// then the higher number counts as later, so that there is always an order.
func SerialAfter(a, b uint32) bool {
	d := a - b
	if d == 1<<31 {
		return a > b
	}
	return d != 0 && d < 1<<31
}

// LaterSerial is the one of two serials that comes after the other.
func LaterSerial(a, b uint32) uint32 {
	if SerialAfter(b, a) {
		return b
	}
	return a
}
