package tunnel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
)

// A bind is WireGuard's UDP side: one socket for each address that it listens
// on, or one for each family on all addresses. An answer leaves from the
// address that the peer's last packet came to.
//
// It moves one datagram a call: WireGuard then keeps one 64 KiB buffer for
// each socket, where the batches of its stock bind keep 128.
type bind struct {
	addrs []netip.Addr // none: all addresses
	clock *Clock       // asked before an initiation leaves; nil: never refuses

	in, out *gate // of data packets: socket to stack, stack to socket

	mu      sync.RWMutex
	sockets []*socket

	// What came in and went out, for the one who looks for a closed port.
	datagrams   atomic.Uint64 // in, all
	initiations atomic.Uint64 // in, of an initiation's form
	replies     atomic.Uint64 // out: responses and cookies

	failed   atomic.Int64 // entries in failures
	failures sync.Map     // netip.AddrPort to the error of the last datagram to it
}

// A socket is one UDP socket of a bind.
type socket struct {
	*net.UDPConn
	addr   netip.Addr // invalid: all of the family
	is6    bool
	sticky bool // tells and takes the local address of each datagram
}

// An endpoint is a peer's UDP address, with the way that its last packet
// came: by which socket, and to which of our addresses.
type endpoint struct {
	dst netip.AddrPort

	mu  sync.Mutex
	via *socket
	src netip.Addr // on a sticky socket
}

func (e *endpoint) ClearSrc() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.via, e.src = nil, netip.Addr{}
}

func (e *endpoint) way() (*socket, netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.via, e.src
}

func (e *endpoint) is(dst netip.AddrPort, via *socket, src netip.Addr) bool {
	v, s := e.way()
	return e.dst == dst && v == via && s == src
}

func (e *endpoint) SrcIP() netip.Addr {
	via, src := e.way()
	if via != nil && via.addr.IsValid() {
		return via.addr
	}
	return src
}

func (e *endpoint) SrcToString() string { return e.SrcIP().String() }
func (e *endpoint) DstToString() string { return e.dst.String() }
func (e *endpoint) DstIP() netip.Addr   { return e.dst.Addr() }
func (e *endpoint) DstToBytes() []byte  { b, _ := e.dst.MarshalBinary(); return b }

func (b *bind) ParseEndpoint(s string) (conn.Endpoint, error) {
	dst, err := netip.ParseAddrPort(s)
	if err != nil {
		return nil, err
	}
	return &endpoint{dst: dst}, nil
}

func (b *bind) BatchSize() int         { return 1 }
func (b *bind) SetMark(_ uint32) error { return nil }

// Open implements conn.Bind. With port 0 all sockets share one free port.
func (b *bind) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.sockets) > 0 {
		return nil, 0, conn.ErrBindAlreadyOpen
	}
	sockets, err := b.openAll(port)
	for try := 0; port == 0 && try < 100 && errors.Is(err, syscall.EADDRINUSE); try++ {
		sockets, err = b.openAll(port)
	}
	if err != nil {
		return nil, 0, err
	}
	b.sockets = sockets
	receive := make([]conn.ReceiveFunc, len(sockets))
	for i, s := range sockets {
		receive[i] = b.receiver(s)
	}
	return receive, sockets[0].port(), nil
}

// openAll opens every socket on one port. On all addresses, a family that the
// system doesn't have is left out.
func (b *bind) openAll(port uint16) (sockets []*socket, err error) {
	defer func() {
		if err != nil {
			closeAll(sockets)
		}
	}()
	addrs := b.addrs
	all := len(addrs) == 0
	if all {
		addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	var absent error
	for _, addr := range addrs {
		s, err := openSocket(addr, port)
		if all && isNoFamily(err) {
			absent = err
			continue
		}
		if err != nil {
			return sockets, fmt.Errorf("listen on UDP %s: %w", netip.AddrPortFrom(addr, port), err)
		}
		sockets, port = append(sockets, s), s.port()
	}
	if len(sockets) == 0 {
		return nil, absent
	}
	return sockets, nil
}

func isNoFamily(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

func openSocket(addr netip.Addr, port uint16) (*socket, error) {
	network := "udp4"
	if addr.Is6() {
		network = "udp6"
	}
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
	if err != nil {
		return nil, err
	}
	c.SetReadBuffer(socketBuffer) // as much of it as the system gives
	c.SetWriteBuffer(socketBuffer)
	s := &socket{UDPConn: c, addr: addr, is6: addr.Is6()}
	if addr.IsUnspecified() {
		s.addr = netip.Addr{}
		s.sticky = askLocalAddress(c, s.is6) == nil
	}
	return s, nil
}

// socketBuffer is wanted for each direction of a socket, in bytes: a burst of
// a few TCP windows.
const socketBuffer = 4 << 20

func (s *socket) port() uint16 {
	return s.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

func closeAll(sockets []*socket) error {
	var errs []error
	for _, s := range sockets {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Close implements conn.Bind.
func (b *bind) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := closeAll(b.sockets)
	b.sockets = nil
	return err
}

// The message types of WireGuard, in the first of four little-endian bytes.
const (
	typeInitiation = device.MessageInitiationType
	typeResponse   = device.MessageResponseType
	typeCookie     = device.MessageCookieReplyType
)

// isData reports whether a message carries a packet.
func isData(message []byte) bool {
	return len(message) > device.MessageKeepaliveSize && message[0] == device.MessageTransportType
}

func (b *bind) receiver(s *socket) conn.ReceiveFunc {
	last := new(endpoint)
	var control []byte
	if s.sticky {
		control = make([]byte, controlSize)
	}
	return func(packets [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
		n, nc, _, from, err := s.ReadMsgUDPAddrPort(packets[0], control)
		if err != nil {
			return 0, err
		}
		b.datagrams.Add(1)
		switch {
		case n == device.MessageInitiationSize && packets[0][0] == typeInitiation:
			b.initiations.Add(1)
		case isData(packets[0][:n]):
			b.in.enter()
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if src := localAddress(control[:nc], s.is6); !last.is(from, s, src) {
			last = &endpoint{dst: from, via: s, src: src}
		}
		sizes[0], eps[0] = n, last
		return 1, nil
	}
}

// Send implements conn.Bind.
func (b *bind) Send(bufs [][]byte, to conn.Endpoint) error {
	e, ok := to.(*endpoint)
	if !ok {
		return conn.ErrWrongEndpointType
	}
	err := b.send(bufs, e)
	b.note(e.dst, err)
	return err
}

func (b *bind) send(bufs [][]byte, e *endpoint) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s, src := e.way()
	if s == nil {
		if s = b.socketFor(e.dst.Addr()); s == nil {
			return fmt.Errorf("send to %s: no socket of its address family", e.dst)
		}
	}
	control := controlFrom(src, s.is6)
	for _, buf := range bufs {
		if err := b.admit(buf); err != nil {
			return err
		}
		if isData(buf) {
			b.out.leave()
		}
		if _, _, err := s.WriteMsgUDPAddrPort(buf, control, e.dst); err != nil {
			return err
		}
	}
	return nil
}

// admit asks the clock before an initiation leaves, and counts replies.
func (b *bind) admit(buf []byte) error {
	switch buf[0] {
	case typeInitiation:
		return b.clock.use()
	case typeResponse, typeCookie:
		b.replies.Add(1)
	}
	return nil
}

// note keeps the error of the last datagram to an address.
func (b *bind) note(dst netip.AddrPort, err error) {
	if err == nil && b.failed.Load() == 0 {
		return
	}
	if err != nil && b.failed.Load() < failuresMax {
		if _, had := b.failures.Swap(dst, err); !had {
			b.failed.Add(1)
		}
		return
	}
	if _, had := b.failures.LoadAndDelete(dst); had {
		b.failed.Add(-1)
	}
}

// failuresMax bounds what peers that roam can make a bind remember.
const failuresMax = 4096

// failure returns the error of the last datagram to an address.
func (b *bind) failure(dst netip.AddrPort) error {
	if err, ok := b.failures.Load(dst); ok {
		return err.(error)
	}
	return nil
}

// socketFor chooses the socket of a first packet to an address. Among several
// it is the one that listens on all addresses, or the first of the family.
func (b *bind) socketFor(to netip.Addr) *socket {
	for _, s := range b.sockets {
		if s.is6 == to.Is6() {
			return s
		}
	}
	return nil
}
