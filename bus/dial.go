package bus

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/nats-io/nats.go"
)

// Dial connects the dom itself, in process. The connection may do anything.
// It lives through a restart in place and is closed by Shutdown.
func (s *Server) Dial() (*nats.Conn, error) {
	nc, err := connect(inProcess{s}, "dom", s.log, false)
	if err != nil {
		return nil, fmt.Errorf("dial bus: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		nc.Close()
		return nil, ErrClosed
	}
	for old := range s.clients {
		if old.IsClosed() {
			delete(s.clients, old)
		}
	}
	s.clients[nc] = struct{}{}
	return nc, nil
}

// inProcess dials whichever inner server runs.
type inProcess struct{ s *Server }

func (d inProcess) Dial(_, _ string) (net.Conn, error) {
	inner, err := d.s.current()
	if err != nil {
		return nil, err
	}
	return inner.InProcessConn()
}

// dialTimeout is how long one try to reach the dom may take.
const dialTimeout = 4 * time.Second

// ConnectOptions are the settings of Connect.
type ConnectOptions struct {
	Dial func(context.Context) (net.Conn, error) // one try to reach the bus; needed
	Name string                                  // shown in the dom's list of connections
	Log  *slog.Logger                            // nil: nothing is logged
}

// Connect returns a sub's connection at once, connected or not: it tries and
// reconnects for ever, with jitter, quickly at first and every 2 s or so in
// the long run, until it or ctx is closed. ForceReconnect makes it try at
// once. While it is away nothing is buffered: a publish is an error, and so is
// a request. Subscriptions come back by themselves.
func Connect(ctx context.Context, opts ConnectOptions) (*nats.Conn, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	nc, err := connect(&outside{ctx: ctx, dial: opts.Dial}, opts.Name, opts.Log, true)
	if err != nil {
		return nil, fmt.Errorf("connect to bus: %w", err)
	}
	context.AfterFunc(ctx, nc.Close)
	return nc, nil
}

// outside dials the dom over the overlay. Its first try is refused, so that
// Connect returns at once and the tries are made by the connection's own
// goroutine.
type outside struct {
	ctx     context.Context
	dial    func(context.Context) (net.Conn, error)
	started bool
}

func (d *outside) Dial(_, _ string) (net.Conn, error) {
	if !d.started {
		d.started = true
		return nil, fmt.Errorf("not tried yet")
	}
	ctx, cancel := context.WithTimeout(d.ctx, dialTimeout)
	defer cancel()
	return d.dial(ctx)
}

func connect(dialer nats.CustomDialer, name string, log *slog.Logger, retry bool) (*nats.Conn, error) {
	return nats.Connect("nats://b8s",
		nats.Name(name),
		nats.SetCustomDialer(dialer),
		nats.SkipHostLookup(),
		nats.RetryOnFailedConnect(retry),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(reconnectDelay),
		nats.ReconnectBufSize(-1),
		nats.Timeout(dialTimeout),
		nats.PingInterval(10*time.Second),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(time.Minute),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			log.Debug("bus connection lost", "conn", name, "err", err)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Debug("bus connection", "conn", name, "subject", subject, "err", err)
		}))
}

// reconnectDelay is the wait before try n (from 1): some milliseconds at
// first, doubling to 2 s, each with half of it again as jitter, so that subs
// that lost the dom together don't come back together.
func reconnectDelay(n int) time.Duration {
	d := 4 * time.Millisecond << min(n-1, 9)
	return d + rand.N(d/2+1)
}
