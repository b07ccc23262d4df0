// Package bus is the message bus between the dom and its subs: a NATS server
// with JetStream inside the dom's process, and the client that dials it.
//
// What a caller may rely on:
//
//   - No port of the host is opened. A client comes in through Dial (the dom
//     itself), through a listener handed to Serve (subs, over the overlay), or
//     through OpenLoopback, which holds a port of 127.0.0.1 open for one
//     command and asks for a password made for it.
//   - Who a connection is follows from where it comes from, and from nothing
//     that it says. Each sub has an account of its own, which has nothing but
//     the imports of package subjects: it can't name a subject of the dom or of
//     another sub, in a request, in a reply or in a header.
//   - A write that was acknowledged is on disk (fsync), encrypted with
//     Options.Key. Another key than the one that the store was made with is
//     refused before anything is created.
//   - A store that got stuck (a full disk that has space again) is restarted in
//     place by Run; connections made by Dial and Connect live through it.
//
// Not promised: delivery of core NATS messages to a client that is away or too
// slow. All methods are safe for concurrent use.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Limits on what one sub can do to the dom. A sub in health stays far below.
const (
	maxConnections   = 8        // of one sub at once
	maxSubscriptions = 256      // of one connection
	maxPayload       = 1 << 20  // bytes of one message
	maxPending       = 16 << 20 // bytes that wait for one slow connection before it is cut
	maxInbound       = 512 << 10
	maxInboundBurst  = 4 << 20
	maxMemory        = 64 << 20 // bytes of the buckets kept in memory
)

// ErrClosed is returned once Shutdown was called.
var ErrClosed = errors.New("bus is shut down")

// Options are the settings of Start.
type Options struct {
	Dir      string       // the store's folder, made 0700 where it is missing; needed
	Key      []byte       // encrypts the store, at least 16 bytes; needed
	MaxStore int64        // bytes that the store may take; 0: half of what its disk has left for it
	Log      *slog.Logger // nil: nothing is logged
}

// Server is a running bus.
type Server struct {
	opts Options
	log  *slog.Logger

	restart sync.Mutex // held while the inner server is replaced

	mu      sync.Mutex
	inner   *server.Server
	closed  bool
	subs    map[string]netip.Addr      // name: overlay address
	conns   map[netip.AddrPort]*splice // spliced connections by where they come from
	guests  map[*Loopback]struct{}     // open ports on 127.0.0.1
	clients map[*nats.Conn]struct{}    // given out by Dial

	accountsAlone bool // tests: no permissions beside the accounts
}

// Start opens the store and starts the bus. It returns ErrWrongKey, wrapped
// with the folder, when the store was made with another key: then nothing
// was written. ctx is for the start only; Shutdown ends the bus.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if len(opts.Key) < 16 {
		return nil, fmt.Errorf("start bus: the store's key has %d bytes, want 16 at least", len(opts.Key))
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("start bus: %w", err)
	}
	if opts.MaxStore <= 0 {
		free, err := freeSpace(opts.Dir)
		if err != nil {
			return nil, fmt.Errorf("start bus: space left at %s: %w", opts.Dir, err)
		}
		opts.MaxStore = max((free+taken(opts.Dir))/2, 64<<20)
	}
	s := &Server{
		opts:    opts,
		log:     opts.Log,
		subs:    map[string]netip.Addr{},
		conns:   map[netip.AddrPort]*splice{},
		guests:  map[*Loopback]struct{}{},
		clients: map[*nats.Conn]struct{}{},
	}
	inner, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("start bus: %w", err)
	}
	s.inner = inner
	return s, nil
}

// open starts an inner server on the store, and returns it once every stream
// on disk was recovered.
func (s *Server) open(ctx context.Context) (*server.Server, error) {
	proof, err := checkKey(s.opts.Dir, s.opts.Key)
	if err != nil {
		return nil, err
	}
	had, err := storedStreams(s.opts.Dir)
	if err != nil {
		return nil, err
	}
	if proof == keyUnknown && len(had) == 0 {
		if err := keepKey(s.opts.Dir, s.opts.Key); err != nil {
			return nil, err
		}
	}
	inner, err := s.run(ctx)
	if err != nil {
		return nil, err
	}
	if err := recovered(inner, had, proof); err != nil {
		stop(inner)
		return nil, fmt.Errorf("store %s: %w", s.opts.Dir, err)
	}
	if proof == keyUnknown && len(had) > 0 {
		if err := keepKey(s.opts.Dir, s.opts.Key); err != nil {
			stop(inner)
			return nil, err
		}
	}
	return inner, nil
}

// run starts an inner server and waits until it takes connections.
func (s *Server) run(ctx context.Context) (*server.Server, error) {
	inner, err := server.NewServer(s.serverOptions())
	if err != nil {
		return nil, err
	}
	log := &logger{log: s.log}
	inner.SetLoggerV2(log, false, false, false)
	inner.Start()
	for !inner.ReadyForConnections(10 * time.Millisecond) {
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case !inner.Running():
			err = log.fatal()
		default:
			continue
		}
		stop(inner)
		return nil, err
	}
	if !inner.JetStreamEnabled() {
		stop(inner)
		return nil, log.fatal()
	}
	if err := exports(inner); err != nil {
		stop(inner)
		return nil, err
	}
	return inner, nil
}

func (s *Server) serverOptions() *server.Options {
	return &server.Options{
		ServerName:                 "b8s",
		DontListen:                 true,
		ProxyProtocol:              true,
		NoSigs:                     true,
		CustomClientAuthentication: s,
		WriteDeadline:              time.Minute,
		AuthTimeout:                5,
		PingInterval:               20 * time.Second,
		MaxPingsOut:                2,
		MaxSubs:                    maxSubscriptions,
		MaxPayload:                 maxPayload,
		MaxPending:                 maxPending,
		MaxClosedClients:           32,
		JetStream:                  true,
		DisableJetStreamBanner:     true,
		StoreDir:                   s.opts.Dir,
		SyncAlways:                 true,
		JetStreamKey:               string(s.opts.Key),
		JetStreamCipher:            server.ChaCha,
		JetStreamMaxStore:          s.opts.MaxStore,
		JetStreamMaxMemory:         maxMemory,
	}
}

// MaxStore is how many bytes the store may take.
func (s *Server) MaxStore() int64 { return s.opts.MaxStore }

func stop(inner *server.Server) {
	inner.Shutdown()
	inner.WaitForShutdown()
}

// current is the running inner server.
func (s *Server) current() (*server.Server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	return s.inner, nil
}

// Shutdown ends the bus: loopback ports, connections, then the store, which
// is complete on disk when it returns. Further calls do nothing.
func (s *Server) Shutdown() {
	s.restart.Lock()
	defer s.restart.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	inner := s.inner
	var guests []*Loopback
	for l := range s.guests {
		guests = append(guests, l)
	}
	var clients []*nats.Conn
	for nc := range s.clients {
		clients = append(clients, nc)
	}
	s.mu.Unlock()
	for _, l := range guests {
		l.Close()
	}
	for _, nc := range clients {
		nc.Close()
	}
	stop(inner)
}
