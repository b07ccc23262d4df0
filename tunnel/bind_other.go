//go:build !linux

package tunnel

import (
	"errors"
	"net"
	"net/netip"
)

// Away from Linux only the dom runs, which speaks first and so leaves the
// choice of its own address to the system.

const controlSize = 0

func askLocalAddress(*net.UDPConn, bool) error { return errors.ErrUnsupported }

func localAddress([]byte, bool) netip.Addr { return netip.Addr{} }

func controlFrom(netip.Addr, bool) []byte { return nil }
