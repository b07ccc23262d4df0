package nameserver

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// bufferSize holds any UDP query worth answering and its answer.
const bufferSize = 2048

// maxMessage is the largest message over TCP.
const maxMessage = 65535

// clients counts the TCP connections of a server, in all and by address.
type clients struct {
	most, mostEach int
	refused        atomic.Uint64

	mu   sync.Mutex
	all  int
	each map[netip.Prefix]int
}

func newClients(most, mostEach int) *clients {
	return &clients{most: most, mostEach: mostEach, each: map[netip.Prefix]int{}}
}

// network of an address is what counts as one client.
func clientNetwork(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}

func (c *clients) enter(p netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= c.most || c.each[p] >= c.mostEach {
		c.refused.Add(1)
		return false
	}
	c.all++
	c.each[p]++
	return true
}

func (c *clients) leave(p netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.each[p]--; c.each[p] == 0 {
		delete(c.each, p)
	}
}

// accept serves TCP connections until the listener is closed.
func (e *endpoint) accept(s *Server) {
	counters := s.newCounters()
	for {
		conn, err := e.tcp.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors: let some connections end
			time.Sleep(10 * time.Millisecond)
			continue
		}
		from := resolver(conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr())
		network := clientNetwork(from)
		if !s.tcp.enter(network) {
			conn.SetLinger(0) // no state is kept for those refused
			conn.Close()
			continue
		}
		if !e.hold(conn) {
			s.tcp.leave(network)
			conn.Close()
			return
		}
		e.done.Go(func() {
			defer s.tcp.leave(network)
			defer e.release(conn)
			serveStream(s, counters, conn, from)
		})
	}
}

// hold notes a connection, that stop may close it; false after stop.
func (e *endpoint) hold(c net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.conns[c] = struct{}{}
	}
	return !e.closed
}

func (e *endpoint) release(c net.Conn) {
	c.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
}

// stream is the memory of a connection that has queries to answer.
type stream struct {
	answerer answerer
	out      []byte // answers that wait to be written
}

var streams = sync.Pool{New: func() any { return &stream{out: make([]byte, 0, 2*(maxMessage+2))} }}

// serveStream answers the queries of a connection in their order (RFC 7766).
// Those that came together are answered in one write.
func serveStream(s *Server, counters *counters, conn net.Conn, from netip.Addr) {
	in := make([]byte, 0, 512)
	for {
		conn.SetReadDeadline(time.Now().Add(s.opts.TCPIdle))
		if !fill(conn, &in) {
			return
		}
		st := streams.Get().(*stream)
		rest, ok := st.answer(s, conn, in, from)
		counters.flush(&st.answerer.tally)
		streams.Put(st)
		if !ok {
			return
		}
		in = append(in[:0], rest...)
	}
}

// fill reads until in begins with a whole message; all of that within one
// deadline, so that a slow sender is not waited for.
func fill(conn net.Conn, in *[]byte) bool {
	for {
		b := *in
		need := 2
		if len(b) >= 2 {
			if need += int(binary.BigEndian.Uint16(b)); len(b) >= need {
				return true
			}
		}
		if need > cap(b) {
			b = append(make([]byte, 0, need), b...)
		}
		n, err := conn.Read(b[len(b):cap(b)])
		*in = b[:len(b)+n]
		if n == 0 && err != nil {
			return false
		}
	}
}

// answer answers the whole messages in in, and gives what is left of it.
func (st *stream) answer(s *Server, conn net.Conn, in []byte, from netip.Addr) (rest []byte, ok bool) {
	view := s.view.Load()
	st.out = st.out[:0]
	for len(in) >= 2 {
		size := int(binary.BigEndian.Uint16(in))
		if len(in) < 2+size {
			break
		}
		if len(st.out) > cap(st.out)-(maxMessage+2) {
			if !st.write(s, conn) {
				return nil, false
			}
		}
		at := len(st.out)
		room := st.out[at : at+2+maxMessage]
		copy(room[2:], in[2:2+size])
		n := st.answerer.reply(view, room[2:], size, from, true)
		if n == 0 {
			return nil, false // who sends no query on a connection gets none
		}
		binary.BigEndian.PutUint16(room, uint16(n))
		st.out = st.out[:at+2+n]
		in = in[2+size:]
	}
	return in, st.write(s, conn)
}

func (st *stream) write(s *Server, conn net.Conn) bool {
	conn.SetWriteDeadline(time.Now().Add(s.opts.TCPIdle))
	_, err := conn.Write(st.out)
	st.out = st.out[:0]
	return err == nil
}
