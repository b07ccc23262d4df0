package zonefile

import (
	"bytes"
	"strconv"

	"github.com/miekg/dns"
)

// rrType reads a type's name, or TYPEn.
func rrType(w []byte) (uint16, bool) {
	switch string(w) {
	case "A":
		return dns.TypeA, true
	case "AAAA":
		return dns.TypeAAAA, true
	case "CNAME":
		return dns.TypeCNAME, true
	case "TXT":
		return dns.TypeTXT, true
	}
	if t, ok := lookUp(dns.StringToType, w); ok {
		return t, true
	}
	return numbered(w, "TYPE")
}

// rrClass reads a class's name, or CLASSn.
func rrClass(w []byte) (uint16, bool) {
	if string(w) == "IN" {
		return dns.ClassINET, true
	}
	if c, ok := lookUp(dns.StringToClass, w); ok {
		return c, true
	}
	return numbered(w, "CLASS")
}

// lookUp finds w in a table of upper-case words.
func lookUp(table map[string]uint16, w []byte) (uint16, bool) {
	var upper [16]byte
	if len(w) == 0 || len(w) > len(upper) || digit(w[0]) {
		return 0, false
	}
	for i, c := range w {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper[i] = c
	}
	v, ok := table[string(upper[:len(w)])]
	return v, ok
}

func numbered(w []byte, prefix string) (uint16, bool) {
	if len(w) <= len(prefix) || !bytes.EqualFold(w[:len(prefix)], []byte(prefix)) {
		return 0, false
	}
	v, ok := parseUint(w[len(prefix):], 16)
	return uint16(v), ok
}

// typeName is the type as a master file names it.
func typeName(t uint16) string {
	if s, ok := dns.TypeToString[t]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t))
}
