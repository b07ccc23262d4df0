package upstream

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// Pool is the connections to one upstream. It is for concurrent use.
type Pool struct {
	Address string

	limits atomic.Pointer[Limits]
	active atomic.Int64
	ill    atomic.Bool // failing is set
	dialer net.Dialer
	h2     *http2.Transport // nil: HTTP/1.1

	mu       sync.Mutex
	idle     []*conn // the last used at the end
	closed   bool
	sweeping bool
	failing  time.Time
	err      string
}

// New makes a pool for HOST:PORT, without connections.
func New(address string, limits Limits) *Pool {
	p := &Pool{Address: address}
	p.SetLimits(limits)
	return p
}

// SetLimits holds for requests that begin later.
func (p *Pool) SetLimits(limits Limits) {
	limits = limits.withDefaults()
	p.limits.Store(&limits)
}

// Close closes the connections that wait, and lets the others close when
// their request has ended. The pool still works, but keeps none.
func (p *Pool) Close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		c.net.Close()
	}
	if p.h2 != nil {
		p.h2.CloseIdleConnections()
	}
}

// Open undoes Close.
func (p *Pool) Open() {
	p.mu.Lock()
	p.closed = false
	p.mu.Unlock()
}

// State is how the pool does.
type State struct {
	Active  int64 // requests, and connections that were upgraded
	Idle    int
	Failing time.Time // since when; zero: it isn't
	Err     string
}

// State tells how the pool does.
func (p *Pool) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return State{Active: p.active.Load(), Idle: len(p.idle), Failing: p.failing, Err: p.err}
}

// note keeps whether the upstream answers.
func (p *Pool) note(err error) {
	var failure *Error
	if err == nil && !p.ill.Load() || errors.As(err, &failure) && failure.blameless() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ill.Store(err != nil)
	if err == nil {
		p.failing, p.err = time.Time{}, ""
		return
	}
	if p.failing.IsZero() {
		p.failing = time.Now()
	}
	p.err = err.Error()
}

// kept is a connection that waits and is still good, or nil.
func (p *Pool) kept(limits *Limits) *conn {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if time.Since(c.since) < limits.KeptFor && c.quiet() {
			c.used = true
			return c
		}
		c.net.Close()
	}
}

// keep takes a connection back, whose answer has ended.
func (p *Pool) keep(c *conn) {
	c.since = time.Now()
	p.mu.Lock()
	if p.closed || len(p.idle) >= p.limits.Load().Kept {
		p.mu.Unlock()
		c.net.Close()
		return
	}
	p.idle = append(p.idle, c)
	begin := !p.sweeping
	p.sweeping = true
	p.mu.Unlock()
	if begin {
		time.AfterFunc(p.limits.Load().KeptFor, p.sweep)
	}
}

// sweep closes what has waited for too long, and comes again while some wait.
func (p *Pool) sweep() {
	keptFor := p.limits.Load().KeptFor
	p.mu.Lock()
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].since) >= keptFor {
		old++
	}
	stale := append([]*conn(nil), p.idle[:old]...)
	p.idle = append(p.idle[:0], p.idle[old:]...)
	p.sweeping = len(p.idle) > 0
	if p.sweeping {
		time.AfterFunc(keptFor/2, p.sweep)
	}
	p.mu.Unlock()
	for _, c := range stale {
		c.net.Close()
	}
}

// dial makes a connection. An upstream that refuses, as one that is being
// restarted does, is asked again while there is time.
func (p *Pool) dial(ctx context.Context, limits *Limits) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limits.Connect)
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait *= 2 {
		nc, err := p.dialer.DialContext(ctx, "tcp", p.Address)
		if err == nil {
			return newConn(p, nc), nil
		}
		if wait > dialAgain {
			return nil, p.connectError(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil, p.connectError(ctx, err)
		case <-time.After(wait):
		}
	}
}

// dialAgain is the longest wait between two tries to connect: after those of
// 20, 40, 80 and 160 ms it is given up.
const dialAgain = 200 * time.Millisecond

func (p *Pool) connectError(ctx context.Context, err error) error {
	reason := ReasonConnect
	switch {
	case errors.Is(context.Cause(ctx), context.Canceled):
		reason = ReasonClient
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		reason = ReasonTimeout
	}
	return &Error{Address: p.Address, Reason: reason, Err: err}
}
