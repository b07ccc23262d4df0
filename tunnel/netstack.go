package tunnel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/tun"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	// MTU of the overlay, in bytes: the least that IPv6 allows, so that a
	// packet fits any path to a sub with WireGuard's 80 bytes around it.
	MTU = 1280

	nic = 1

	// sendQueue is how many packets the stack may be ahead of WireGuard: more
	// than a connection has in flight, so that a burst after a pause drops none.
	sendQueue = 8192

	// bufferMax bounds a connection's send and receive buffer, in bytes, and
	// with it the throughput: half of it can be in flight, so 8 MiB carry 10 to
	// 20 MiB/s over 200 ms. A buffer takes memory only for bytes that are in it.
	bufferMax = 8 << 20

	// backlog is how many connections may wait to be accepted.
	backlog = 1024

	// maxRTO bounds TCP's retransmission back-off, so that a connection that
	// outlived a cut goes on within seconds of its end, and a dead one ends
	// after about a minute.
	maxRTO = 3 * time.Second
)

// A netstack is the user-space IPv6 host at this end of the tunnel: one
// address, TCP and UDP. To WireGuard it is a tun.Device.
type netstack struct {
	ep     *channel.Endpoint
	stack  *stack.Stack
	addr   netip.Addr
	events chan tun.Event

	mu      sync.RWMutex // held for writing to close, so that nothing opens behind it
	closing context.Context
	close   context.CancelFunc
	once    sync.Once

	in, out *gate // see bind

	// seen is called for each packet that came in, with the overlay address
	// of the peer that it was authenticated for, and reports whether the
	// packet may go on to the stack. Set before the first packet.
	seen func(src netip.Addr, packet []byte) bool
}

func newNetstack(addr netip.Addr) (*netstack, error) {
	n := &netstack{
		in:     newGate(),
		out:    newGate(),
		ep:     channel.New(sendQueue, MTU, ""),
		addr:   addr,
		events: make(chan tun.Event),
		stack: stack.New(stack.Options{
			NetworkProtocols:   []stack.NetworkProtocolFactory{ipv6.NewProtocol},
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocolCUBIC, udp.NewProtocol, icmp.NewProtocol6},
			HandleLocal:        true,
		}),
	}
	n.closing, n.close = context.WithCancel(context.Background())
	if err := n.configure(); err != nil {
		n.Close()
		return nil, fmt.Errorf("overlay network stack: %w", err)
	}
	return n, nil
}

func (n *netstack) configure() error {
	rto := tcpip.TCPMaxRTOOption(maxRTO)
	sack := tcpip.TCPSACKEnabled(true)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	send := tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: bufferMax, Max: bufferMax}
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: bufferMax, Max: bufferMax}
	for _, option := range []tcpip.SettableTransportProtocolOption{&rto, &sack, &moderate, &send, &receive} {
		if err := n.stack.SetTransportProtocolOption(tcp.ProtocolNumber, option); err != nil {
			return fmt.Errorf("TCP option %T: %s", option, err)
		}
	}
	if err := n.stack.CreateNIC(nic, n.ep); err != nil {
		return errors.New(err.String())
	}
	err := n.stack.AddProtocolAddress(nic, tcpip.ProtocolAddress{
		Protocol:          ipv6.ProtocolNumber,
		AddressWithPrefix: tcpip.AddrFrom16(n.addr.As16()).WithPrefix(),
	}, stack.AddressProperties{})
	if err != nil {
		return errors.New(err.String())
	}
	n.stack.AddRoute(tcpip.Route{Destination: header.IPv6EmptySubnet, NIC: nic})
	return nil
}

// Read gives WireGuard the next packet that the stack sends.
func (n *netstack) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	packet := n.ep.ReadContext(n.closing)
	if packet == nil {
		return 0, os.ErrClosed
	}
	defer packet.DecRef()
	n.out.enter()
	size := offset
	for _, part := range packet.AsSlices() {
		size += copy(bufs[0][size:], part)
	}
	sizes[0] = size - offset
	return 1, nil
}

// Write takes the packets that WireGuard has authenticated.
func (n *netstack) Write(bufs [][]byte, offset int) (int, error) {
	for _, buf := range bufs {
		n.in.leave()
		packet := buf[offset:]
		if len(packet) < header.IPv6MinimumSize || packet[0]>>4 != 6 {
			continue
		}
		if !n.seen(netip.AddrFrom16([16]byte(packet[8:24])), packet) {
			continue
		}
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(packet)})
		n.ep.InjectInbound(header.IPv6ProtocolNumber, pkt)
		pkt.DecRef()
	}
	return len(bufs), nil
}

// Close aborts every connection and listener. It gives the stack's own
// goroutines a moment to end, and doesn't wait for them longer than that.
func (n *netstack) Close() error {
	n.once.Do(func() {
		n.mu.Lock()
		n.close()
		n.mu.Unlock()
		n.stack.Close()
		n.ep.Close()
		close(n.events)
		stopped := make(chan struct{})
		go func() {
			n.stack.Wait()
			close(stopped)
		}()
		select {
		case <-stopped:
		case <-time.After(time.Second / 2):
		}
	})
	return nil
}

func (n *netstack) MTU() (int, error)        { return MTU, nil }
func (n *netstack) Name() (string, error)    { return "overlay", nil }
func (n *netstack) File() *os.File           { return nil }
func (n *netstack) Events() <-chan tun.Event { return n.events }
func (n *netstack) BatchSize() int           { return 1 }

func (n *netstack) listen(port uint16) (net.Listener, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.closing.Err() != nil {
		return nil, net.ErrClosed
	}
	var queue waiter.Queue
	ep, err := n.stack.NewEndpoint(tcp.ProtocolNumber, ipv6.ProtocolNumber, &queue)
	if err != nil {
		return nil, errors.New(err.String())
	}
	ep.SocketOptions().SetReuseAddress(true) // connections of an earlier listener may be in TIME_WAIT
	if err = ep.Bind(fullAddress(netip.AddrPortFrom(n.addr, port))); err == nil {
		err = ep.Listen(backlog)
	}
	if err != nil {
		ep.Close()
		return nil, errors.New(err.String())
	}
	return &listener{TCPListener: gonet.NewTCPListener(n.stack, &queue, ep)}, nil
}

func (n *netstack) listenPacket(port uint16) (net.PacketConn, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.closing.Err() != nil {
		return nil, net.ErrClosed
	}
	local := fullAddress(netip.AddrPortFrom(n.addr, port))
	return gonet.DialUDP(n.stack, &local, nil, ipv6.ProtocolNumber)
}

func (n *netstack) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.closing, cancel)()
	c, err := gonet.DialContextTCP(ctx, n.stack, fullAddress(to), ipv6.ProtocolNumber)
	if err != nil && n.closing.Err() != nil {
		return nil, net.ErrClosed
	}
	if err != nil {
		return nil, err // not c, which is a nil of another type
	}
	return c, nil
}

func fullAddress(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFrom16(a.Addr().As16()), Port: a.Port()}
}

// A listener ends Accept with net.ErrClosed, as those of package net do.
type listener struct {
	*gonet.TCPListener
	closed atomic.Bool
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.TCPListener.Accept()
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	return c, nil
}

func (l *listener) Close() error {
	if l.closed.Swap(true) {
		return net.ErrClosed
	}
	l.TCPListener.Shutdown()
	return l.TCPListener.Close()
}

// isTCPTo reports whether an IPv6 packet is TCP, right after the fixed
// header, for the given port.
func isTCPTo(packet []byte, port uint16) bool {
	const tcpAt = header.IPv6MinimumSize
	return len(packet) >= tcpAt+header.TCPMinimumSize &&
		packet[6] == uint8(header.TCPProtocolNumber) &&
		binary.BigEndian.Uint16(packet[tcpAt+2:]) == port
}
