package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
)

// splice is one connection from outside, joined to the inner server by a pipe.
// It is listed under the address that the inner server is told, before the
// inner server can ask who it is.
type splice struct {
	outside net.Conn
	from    netip.AddrPort
	sub     string    // the sub that it is; empty for a guest
	guest   *Loopback // the loopback port that it came in by, or nil
	id      uint64    // the inner server's number for it, once it logged in
}

// Serve takes the connections of subs from l until ctx ends, then closes l and
// the connections and returns nil. A connection from an address that is no
// sub's is closed. Errors other than of l are the connection's own.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return s.accept(ctx, l, func(c net.Conn, from netip.AddrPort) (*splice, error) {
		name, err := s.subAt(from.Addr())
		return &splice{outside: c, from: from, sub: name}, err
	})
}

func (s *Server) accept(ctx context.Context, l net.Listener,
	who func(net.Conn, netip.AddrPort) (*splice, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	var joined sync.WaitGroup
	defer joined.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			if err == nil {
				c.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("bus: accept on %s: %w", l.Addr(), err)
		}
		joined.Go(func() { s.join(ctx, c, who) })
	}
}

// join runs one connection from outside to its end.
func (s *Server) join(ctx context.Context, c net.Conn, who func(net.Conn, netip.AddrPort) (*splice, error)) {
	defer c.Close()
	from, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		s.log.Warn("bus connection refused", "from", c.RemoteAddr(), "err", err)
		return
	}
	from = netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
	p, err := who(c, from)
	if err == nil {
		err = s.list(p)
	}
	if err != nil {
		s.log.Warn("bus connection refused", "from", from, "err", err)
		return
	}
	defer s.unlist(p)
	inner, err := s.current()
	if err != nil {
		return
	}
	inside, err := inner.InProcessConn()
	if err != nil {
		s.log.Debug("bus connection refused", "from", from, "err", err)
		return
	}
	defer context.AfterFunc(ctx, func() { c.Close(); inside.Close() })()
	p.copy(ctx, inside)
}

// copy moves bytes both ways until either side ends. The copy out starts
// first: the pipe has no buffer, and the inner server speaks first. Then comes
// the PROXY line, before any byte of the client's.
func (p *splice) copy(ctx context.Context, inside net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.CopyBuffer(onlyWriter{p.outside}, onlyReader{inside}, make([]byte, 16<<10))
		p.outside.Close()
		inside.Close()
	}()
	if _, err := io.WriteString(inside, proxyLine(p.from)); err == nil {
		in := limit(ctx, p.outside, maxInbound, maxInboundBurst)
		io.CopyBuffer(onlyWriter{inside}, in, make([]byte, 4<<10))
	}
	inside.Close()
	p.outside.Close()
	<-done
}

// onlyReader and onlyWriter hide every other method, so that CopyBuffer uses
// the small buffer that it is given.
type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }

// proxyLine tells the inner server where a connection comes from (PROXY
// protocol, version 1). The destination means nothing to it.
func proxyLine(from netip.AddrPort) string {
	family, to := "TCP6", "::1"
	if from.Addr().Is4() {
		family, to = "TCP4", "127.0.0.1"
	}
	return fmt.Sprintf("PROXY %s %s %s %d 4222\r\n", family, from.Addr(), to, from.Port())
}

// list enters p where authentication finds it.
func (s *Server) list(p *splice) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if _, ok := s.conns[p.from]; ok {
		return fmt.Errorf("a connection from %s is open already", p.from)
	}
	n := 0
	for _, q := range s.conns {
		if q.sub == p.sub && q.guest == nil {
			n++
		}
	}
	if p.guest == nil && n >= maxConnections {
		return fmt.Errorf("sub %s has %d connections already", p.sub, n)
	}
	s.conns[p.from] = p
	return nil
}

func (s *Server) unlist(p *splice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, p.from)
}
