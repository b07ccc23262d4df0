package bus

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
)

// Loopback is a port of 127.0.0.1 by which one command reaches the bus as the
// dom does. It is open until Close, the end of its context, or Shutdown.
type Loopback struct {
	URL      string // nats://127.0.0.1:PORT
	User     string
	Password string // made for this port; secret

	writable bool
	cancel   context.CancelFunc
	done     chan struct{}
	once     sync.Once
	s        *Server
}

// OpenLoopback opens a port for one command. Without writable what comes in by
// it can read buckets and objects and watch them, and change nothing.
func (s *Server) OpenLoopback(ctx context.Context, writable bool) (*Loopback, error) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a port of 127.0.0.1 to the bus: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &Loopback{
		URL:      "nats://" + ln.Addr().String(),
		User:     "b8s",
		Password: rand.Text(),
		writable: writable,
		cancel:   cancel,
		done:     make(chan struct{}),
		s:        s,
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.guests[l] = struct{}{}
	}
	s.mu.Unlock()
	if closed {
		cancel()
		ln.Close()
		return nil, ErrClosed
	}
	go func() {
		defer close(l.done)
		err := s.accept(ctx, ln, func(c net.Conn, from netip.AddrPort) (*splice, error) {
			return &splice{outside: c, from: from, guest: l}, nil
		})
		if err != nil {
			s.log.Warn("bus loopback port", "err", err)
		}
	}()
	return l, nil
}

// Close closes the port and what came in by it.
func (l *Loopback) Close() {
	l.once.Do(l.cancel)
	<-l.done
	l.s.mu.Lock()
	delete(l.s.guests, l)
	l.s.mu.Unlock()
}

func (l *Loopback) login(inner *server.Server, c server.ClientAuthentication) bool {
	opts := c.GetOpts()
	if !same(opts.Username, l.User) || !same(opts.Password, l.Password) {
		return false
	}
	user := &server.User{Username: l.User, Account: inner.GlobalAccount()}
	if !l.writable {
		user.Permissions = readOnly()
	}
	c.RegisterUser(user)
	return true
}

// readOnly is what the nats command needs to list, get and watch. It keeps
// the operator from a slip; who may open the port may also open a writable
// one.
func readOnly() *server.Permissions {
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"$JS.API.INFO",
			"$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST",
			"$JS.API.STREAM.INFO.>", "$JS.API.STREAM.MSG.GET.>", "$JS.API.DIRECT.GET.>",
			"$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.DELETE.>",
			"$JS.API.CONSUMER.NAMES.>", "$JS.API.CONSUMER.LIST.>", "$JS.API.CONSUMER.INFO.>",
			"$JS.API.CONSUMER.MSG.NEXT.>",
			"$JS.ACK.>", "$JS.FC.>",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{
			"_INBOX.>", "b8s.live.>", "b8s.status.>", "$KV.>", "$O.>", "$JS.EVENT.>",
		}},
	}
}
