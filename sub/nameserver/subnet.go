package nameserver

import (
	"encoding/binary"
	"net/netip"
)

const optionSubnet = 8

// subnet is a client subnet option (RFC 7871).
type subnet struct {
	given  bool
	family uint16 // 1 IPv4, 2 IPv6, 0 none (with source 0)
	source uint8
	size   uint8 // octets of addr that the option has
	addr   [16]byte
}

// parse reads the option's data. It refuses an unknown family, a source longer
// than the family's addresses, a scope other than 0, an address with more or
// fewer octets than the source needs, and bits set past the source; nothing is
// kept then.
func (s *subnet) parse(data []byte) bool {
	*s = subnet{}
	if len(data) < 4 {
		return false
	}
	read := subnet{family: binary.BigEndian.Uint16(data), source: data[2]}
	var most uint8
	switch read.family {
	case 1:
		most = 32
	case 2:
		most = 128
	case 0:
	default:
		return false
	}
	if read.source > most || data[3] != 0 || len(data)-4 != (int(read.source)+7)/8 {
		return false
	}
	read.size = uint8(copy(read.addr[:], data[4:]))
	if rest := read.source % 8; rest != 0 && read.addr[read.size-1]<<rest != 0 {
		return false
	}
	read.given = true
	*s = read
	return true
}

// asker is the network's first address, the one to be located. It is invalid
// for source 0: then neither the network nor the resolver is to be located.
func (s *subnet) asker() netip.Addr {
	switch {
	case s.source == 0:
		return netip.Addr{}
	case s.family == 1:
		return netip.AddrFrom4([4]byte(s.addr[:4]))
	}
	return netip.AddrFrom16(s.addr).Unmap()
}

// put writes the option with a scope, and says where it ends.
func (s *subnet) put(msg []byte, at int, scope uint8) int {
	binary.BigEndian.PutUint16(msg[at:], optionSubnet)
	binary.BigEndian.PutUint16(msg[at+2:], 4+uint16(s.size))
	binary.BigEndian.PutUint16(msg[at+4:], s.family)
	msg[at+6] = s.source
	msg[at+7] = scope
	return at + 8 + copy(msg[at+8:], s.addr[:s.size])
}

// len is that of the option in a message; 0 if none was given.
func (s *subnet) len() int {
	if !s.given {
		return 0
	}
	return 8 + int(s.size)
}

// scope is a choice's scope in the bits of the option's family.
func (s *subnet) scope(choice uint8) uint8 {
	if s.source == 0 {
		return 0
	}
	if s.family == 2 && netip.AddrFrom16(s.addr).Is4In6() {
		return choice + 96
	}
	return choice
}
