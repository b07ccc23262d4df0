package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// serveUDP serves HTTP/3 at an address until ctx ends. With port 0 it takes
// the port that TCP got.
func (s *Server) serveUDP(ctx context.Context, a netip.AddrPort, tcp <-chan netip.AddrPort, first func(error)) error {
	if a.Port() == 0 {
		select {
		case bound := <-tcp:
			a = netip.AddrPortFrom(a.Addr(), bound.Port())
		case <-ctx.Done():
			return nil
		}
	}
	conn, err := listenUDP(a)
	if err != nil {
		return err
	}
	defer conn.Close()
	gate := &quicGate{server: s}
	transport := &quic.Transport{Conn: conn, VerifySourceAddress: gate.doubtful}
	defer transport.Close()
	listener, err := transport.Listen(s.quicBase(), s.quicConfig())
	if err != nil {
		return err
	}
	defer listener.Close()
	gate.Listener = listener
	server := &http3.Server{
		Handler: handler{s, viaHTTP3}, MaxHeaderBytes: s.opts.Limits.Head, IdleTimeout: s.opts.Limits.Idle,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeListener(gate) }()
	s.setAltSvc(addrPort(conn.LocalAddr()).Port())
	first(nil)
	select {
	case err = <-ended:
	case <-ctx.Done():
		deadline, cancel := context.WithTimeout(context.Background(), s.opts.Limits.Drain)
		defer cancel()
		server.Shutdown(deadline)
		<-ended
		err = nil
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// quicBase is the settings that a QUIC handshake begins with. A client of an
// unknown name gets the alert unrecognized_name too.
func (s *Server) quicBase() *tls.Config {
	base := s.base(func(id *identity) *tls.Config { return id.quic })
	base.MinVersion, base.NextProtos = tls.VersionTLS13, []string{"h3"}
	find := base.GetConfigForClient
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		conf, err := find(hello)
		if conf == nothing {
			conf = nothingQUIC
		}
		return conf, err
	}
	return base
}

var nothingQUIC = &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h3"}, SessionTicketsDisabled: true}

func (s *Server) quicConfig() *quic.Config {
	l := s.opts.Limits
	return &quic.Config{
		HandshakeIdleTimeout: l.Handshake / 2, MaxIdleTimeout: l.Idle, // a handshake may take twice that
		MaxIncomingStreams: int64(l.Streams), MaxIncomingUniStreams: 8,
		InitialStreamReceiveWindow: 128 << 10, MaxStreamReceiveWindow: 512 << 10,
		InitialConnectionReceiveWindow: 256 << 10, MaxConnectionReceiveWindow: 2 << 20,
		Allow0RTT: false, // a replayed request is a request
	}
}

// quicGate is a listener that counts connections, and bounds them.
type quicGate struct {
	*quic.Listener
	server *Server
	open   atomic.Int64
	second atomic.Int64 // since 1970
	fresh  atomic.Int64 // handshakes begun in it
}

// maxFresh is how many handshakes a second are begun with addresses that may
// be forged; from then on a client has to show that it gets what is sent to it.
const maxFresh = 200

func (g *quicGate) doubtful(net.Addr) bool {
	now := time.Now().Unix()
	if g.second.Swap(now) != now {
		g.fresh.Store(0)
	}
	return g.fresh.Add(1) > maxFresh
}

// Accept implements http3.QUICListener.
func (g *quicGate) Accept(ctx context.Context) (*quic.Conn, error) {
	m := g.server.meters
	for {
		conn, err := g.Listener.Accept(ctx)
		if err != nil {
			return nil, err
		}
		if g.open.Add(1) > int64(g.server.opts.Limits.Connections) {
			g.open.Add(-1)
			m.refused.WithLabelValues("too many connections").Inc()
			conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "too many connections")
			continue
		}
		context.AfterFunc(conn.Context(), func() { g.open.Add(-1) })
		if conn.ConnectionState().TLS.DidResume {
			m.resumed[1].Inc()
		} else {
			m.full[1].Inc()
		}
		return conn, nil
	}
}
