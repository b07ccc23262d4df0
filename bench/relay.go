package main

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"b8s/tunnel"
)

const tunnelPort = tunnel.DefaultPort

// A relay stands in for a sub at an address of its own: each datagram between
// one dom and that sub waits a while in it, and none is lost or overtaken.
type relay struct {
	front, back *net.UDPConn // the dom's side, and the sub's
	delay       time.Duration

	mu  sync.Mutex
	dom netip.AddrPort

	wg sync.WaitGroup
}

func newRelay(at, to netip.AddrPort, delay time.Duration) (*relay, error) {
	front, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	back, err := net.ListenUDP("udp4", &net.UDPAddr{IP: at.Addr().AsSlice()})
	if err != nil {
		return nil, errors.Join(err, front.Close())
	}
	for _, c := range []*net.UDPConn{front, back} {
		c.SetReadBuffer(socketBuffer) // as far as the system lets us
		c.SetWriteBuffer(socketBuffer)
	}
	r := &relay{front: front, back: back, delay: delay}
	r.wg.Go(func() {
		r.pump(front, r.saw, func(packet []byte) { back.WriteToUDPAddrPort(packet, to) })
	})
	r.wg.Go(func() {
		r.pump(back, func(netip.AddrPort) {}, func(packet []byte) { front.WriteToUDPAddrPort(packet, r.domAddr()) })
	})
	return r, nil
}

const socketBuffer = 8 << 20

func (r *relay) close() {
	r.front.Close()
	r.back.Close()
	r.wg.Wait()
}

func (r *relay) saw(from netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dom = from
}

func (r *relay) domAddr() netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dom
}

// held is a datagram on its way.
type held struct {
	packet []byte
	due    time.Time
}

// pump reads until the socket is closed and passes on, in order, what is due.
func (r *relay) pump(from *net.UDPConn, saw func(netip.AddrPort), send func([]byte)) {
	way := make(chan held, 1<<16)
	r.wg.Go(func() {
		for h := range way {
			time.Sleep(time.Until(h.due))
			send(h.packet)
		}
	})
	defer close(way)
	buf := make([]byte, 1<<16)
	for {
		n, addr, err := from.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		saw(addr)
		way <- held{append([]byte(nil), buf[:n]...), time.Now().Add(r.delay)}
	}
}
