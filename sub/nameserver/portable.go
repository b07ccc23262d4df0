package nameserver

import (
	"errors"
	"net"
	"net/netip"
)

// portableSocket serves UDP with what every system has.
type portableSocket struct {
	server   *Server
	conn     *net.UDPConn
	counters *counters
}

func bindPortable(s *Server, addr netip.AddrPort) ([]udpSocket, error) {
	conn, err := net.ListenUDP(network("udp", addr), net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	return []udpSocket{&portableSocket{s, conn, s.newCounters()}}, nil
}

func (u *portableSocket) close() { u.conn.Close() }

func (u *portableSocket) run() {
	var a answerer
	buf := make([]byte, bufferSize)
	for {
		n, from, err := u.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || from.Port() == 0 {
			continue
		}
		if n = a.reply(u.server.view.Load(), buf, n, resolver(from.Addr()), false); n > 0 {
			u.conn.WriteToUDPAddrPort(buf[:n], from) // a lost answer is asked for again
		}
		u.counters.flush(&a.tally)
	}
}
