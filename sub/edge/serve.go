package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/sync/errgroup"

	"b8s/sub/edge/http1"
)

// protocol numbers, as in protocols.
const (
	viaHTTP1 = iota
	viaHTTP2
	viaHTTP3
)

// serve serves all addresses until ctx ends, and the requests that are being
// answered then for a little longer.
func (s *Server) serve(ctx context.Context) error {
	h2 := s.newHTTP2()
	life, kill := context.WithCancel(context.Background()) // of the connections
	defer kill()
	secure := &lane{server: s, http1: s.newHTTP1(handler{s, viaHTTP1}), http2: h2, life: life, tls: s.base(func(id *identity) *tls.Config { return id.tcp })}
	plain := &lane{server: s, http1: s.newHTTP1(redirects{s}), life: life}

	endpoints := s.endpoints(secure, plain)
	var waiting sync.WaitGroup
	waiting.Add(len(endpoints))
	g, inner := errgroup.WithContext(ctx)
	for _, e := range endpoints {
		var once sync.Once
		g.Go(func() error { return s.run(inner, e, func() { once.Do(waiting.Done) }) })
	}
	go func() { // ends with the endpoints, each of which tells of its first try
		waiting.Wait()
		close(s.ready)
	}()
	err := g.Wait()
	s.drain(h2, secure, plain)
	return err
}

// endpoints are all that is to be bound. HTTP/3 takes the port that TCP got.
func (s *Server) endpoints(secure, plain *lane) []endpoint {
	var out []endpoint
	for _, a := range s.opts.HTTPS {
		got := make(chan netip.AddrPort, 1)
		out = append(out, endpoint{"tcp " + listenText(a), func(ctx context.Context, first func(error)) error {
			return s.serveTCP(ctx, a, true, secure, first, got)
		}})
		if !s.opts.NoHTTP3 {
			out = append(out, endpoint{"udp " + listenText(a), func(ctx context.Context, first func(error)) error {
				return s.serveUDP(ctx, a, got, first)
			}})
		}
	}
	for _, a := range s.opts.HTTP {
		out = append(out, endpoint{"tcp " + listenText(a), func(ctx context.Context, first func(error)) error {
			return s.serveTCP(ctx, a, false, plain, first, nil)
		}})
	}
	return out
}

// serveTCP accepts connections of an address until ctx ends.
func (s *Server) serveTCP(ctx context.Context, a netip.AddrPort, https bool, l *lane, first func(error), got chan<- netip.AddrPort) error {
	listener, err := listenTCP(ctx, a)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	defer listener.Close()
	bound := addrPort(listener.Addr())
	s.ports.bound(https, a, bound)
	if got != nil {
		select {
		case got <- bound:
		default:
		}
	}
	first(nil)
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			l.take(conn)
		case ctx.Err() != nil, errors.Is(err, net.ErrClosed):
			return nil
		default: // out of descriptors, for one
			s.log.Warn("connection not accepted", "address", bound, "err", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}

// lane is what connections of a kind of address get.
type lane struct {
	server *Server
	http1  *http1.Server
	http2  *h2Server
	tls    *tls.Config // nil: none
	life   context.Context
	busy   sync.WaitGroup
}

// take serves a connection, unless there are too many.
func (l *lane) take(conn net.Conn) {
	s := l.server
	if !s.conns.add(conn, cut{conn}) {
		s.meters.refused.WithLabelValues("too many connections").Inc()
		conn.Close()
		return
	}
	l.busy.Add(1)
	go func() {
		defer l.busy.Done()
		defer s.conns.remove(conn)
		defer conn.Close()
		l.serve(conn)
	}()
}

func (l *lane) serve(conn net.Conn) {
	s := l.server
	if l.tls == nil {
		l.serveHTTP1(conn, conn, nil)
		return
	}
	secure := tls.Server(conn, l.tls)
	conn.SetDeadline(time.Now().Add(s.opts.Limits.Handshake))
	if err := secure.Handshake(); err != nil {
		s.meters.broken[0].Inc()
		tellPlain(err)
		return
	}
	conn.SetDeadline(time.Time{})
	state := secure.ConnectionState()
	if state.DidResume {
		s.meters.resumed[0].Inc()
	} else {
		s.meters.full[0].Inc()
	}
	if state.NegotiatedProtocol == "h2" {
		if s.conns.become(conn, goingAway{conn}) {
			l.http2.serve(l.life, newCoalescer(secure, s.opts.Limits.WriteIdle))
		}
		return
	}
	l.serveHTTP1(conn, secure, &state)
}

func (l *lane) serveHTTP1(raw, conn net.Conn, state *tls.ConnectionState) {
	c := l.http1.NewConn(l.life, conn, state)
	if l.server.conns.become(raw, c) {
		c.Serve()
	}
}

// tellPlain answers who speaks HTTP without TLS to the TLS port.
func tellPlain(err error) {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader) {
		io.WriteString(record.Conn, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis port speaks https, not http\n")
		record.Conn.Close()
	}
}

func looksLikeHTTP(head [5]byte) bool {
	switch string(head[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	}
	return false
}

// newHTTP1 makes the server of HTTP/1.1 connections.
func (s *Server) newHTTP1(h http.Handler) *http1.Server {
	l := s.opts.Limits
	return &http1.Server{
		Handler: h, Limits: http1.Limits{Head: l.Head, Fields: l.Fields},
		HeadTime: l.HeadTime, Idle: l.Idle, BodyIdle: l.BodyIdle, WriteIdle: l.WriteIdle, BodyRate: bodyRate,
		Refused:  func(e *http1.Error) { s.meters.refused.WithLabelValues(e.Reason).Inc() },
		Panicked: func(v any) { s.log.Error("request handler panicked", "panic", v) },
	}
}

// bodyRate is the octets a second that a request's body has to keep: a tenth
// of a bad mobile link.
const bodyRate = 512

// h2Server is the server of HTTP/2 connections.
type h2Server struct {
	conf http2.Server
	base *http.Server
}

func (s *Server) newHTTP2() *h2Server {
	l := s.opts.Limits
	h := &h2Server{
		base: &http.Server{
			Handler: handler{s, viaHTTP2}, MaxHeaderBytes: l.Head, IdleTimeout: l.Idle,
			ErrorLog: log.New(io.Discard, "", 0),
		},
		conf: http2.Server{
			MaxConcurrentStreams: uint32(l.Streams), MaxReadFrameSize: 16 << 10, IdleTimeout: l.Idle,
			ReadIdleTimeout: l.Idle / 2, PingTimeout: 15 * time.Second, WriteByteTimeout: l.WriteIdle,
			MaxUploadBufferPerConnection: 1 << 20, MaxUploadBufferPerStream: 256 << 10,
		},
	}
	if err := http2.ConfigureServer(h.base, &h.conf); err != nil {
		panic(err) // the settings are ours
	}
	return h
}

func (h *h2Server) serve(ctx context.Context, conn net.Conn) {
	h.conf.ServeConn(conn, &http2.ServeConnOpts{Context: ctx, BaseConfig: h.base})
}

// drain lets requests end, and closes what is left.
func (s *Server) drain(h2 *h2Server, lanes ...*lane) {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Limits.Drain)
	defer cancel()
	h2.base.Shutdown(ctx) // GOAWAY; it knows no connections to wait for
	s.conns.end(false)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, l := range lanes {
			l.busy.Wait()
		}
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.conns.end(true)
		<-done
	}
}

// setAltSvc tells clients of a port for HTTP/3.
func (s *Server) setAltSvc(port uint16) {
	value := []string{`h3=":` + strconv.Itoa(int(port)) + `"; ma=86400`}
	if have := *s.altSvc.Load(); len(have) == 0 || !strings.Contains(have[0], value[0]) {
		s.altSvc.Store(&value)
	}
}
