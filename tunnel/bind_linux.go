package tunnel

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// controlSize holds one IP_PKTINFO or IPV6_PKTINFO message.
var controlSize = unix.CmsgSpace(unix.SizeofInet6Pktinfo)

// askLocalAddress makes the kernel tell, with each datagram, the address that
// it came to.
func askLocalAddress(c *net.UDPConn, is6 bool) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	level, option := unix.IPPROTO_IP, unix.IP_PKTINFO
	if is6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), level, option, 1)
	})
	if err != nil {
		return err
	}
	return set
}

// localAddress reads what askLocalAddress asked for; invalid when it isn't
// there.
func localAddress(control []byte, is6 bool) netip.Addr {
	for len(control) > 0 {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return netip.Addr{}
		}
		switch {
		case is6 && h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			return netip.AddrFrom16([16]byte(data[0:16]))
		case !is6 && h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			return netip.AddrFrom4([4]byte(data[8:12])) // ipi_addr: the datagram's destination
		}
		control = rest
	}
	return netip.Addr{}
}

// controlFrom makes the kernel send a datagram from src; nil when src is
// invalid, which leaves the choice to the kernel.
func controlFrom(src netip.Addr, is6 bool) []byte {
	switch {
	case !src.IsValid():
		return nil
	case is6:
		return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: src.As16()})
	default:
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: src.As4()})
	}
}
