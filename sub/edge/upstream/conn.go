package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"b8s/sub/edge/http1"
)

// patience is how long an answer may take before its client's connection is
// watched.
const patience = 250 * time.Millisecond

// conn is a connection to the upstream. It belongs to one request at a time.
type conn struct {
	pool  *Pool
	net   net.Conn
	in    *http1.Reader
	out   []byte
	used  bool      // it has served a request before
	since time.Time // when it was kept

	raw    syscall.RawConn
	look   func(fd uintptr)
	silent bool // what look found

	// of the request
	ctx      context.Context
	limit    time.Duration // of a read
	deadline time.Time
	watched  bool
	stop     func() bool // the watch
	got      bool        // any octet
	header   http.Header
	head     http1.ResponseHead
	body     http1.Body
	res      Response
	sender   *sender
}

func newConn(p *Pool, nc net.Conn) *conn {
	c := &conn{pool: p, net: nc, header: http.Header{}}
	c.in = http1.NewReader((*source)(c), http1.Limits{Head: 64 << 10, Fields: 256})
	if sc, ok := nc.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn()
	}
	c.look = func(fd uintptr) {
		var one [1]byte
		_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		c.silent = err == unix.EAGAIN
	}
	return c
}

// quiet tells whether a connection that waits is open, and nothing has come.
func (c *conn) quiet() bool {
	if c.raw == nil {
		return true
	}
	c.silent = false
	return c.raw.Control(c.look) == nil && c.silent
}

// source reads from a conn's connection: with patience first, then with the
// phase's time-out and an eye on the request's context.
type source conn

func (s *source) Read(p []byte) (int, error) {
	c := (*conn)(s)
	if !c.watched {
		if now := time.Now(); c.deadline.Sub(now) < patience/2 {
			c.deadline = now.Add(patience)
			c.net.SetReadDeadline(c.deadline)
		}
		n, err := c.net.Read(p)
		if n > 0 || err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || c.sender.failed() {
			c.got = c.got || n > 0
			return n, err
		}
		c.watch()
	}
	c.net.SetReadDeadline(time.Now().Add(c.limit))
	if c.ctx.Err() != nil || c.sender.failed() { // the deadline that was set for it is gone
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.net.Read(p)
	c.got = c.got || n > 0
	return n, err
}

var past = time.Unix(1, 0)

// watch ends the reads and writes when the context ends.
func (c *conn) watch() {
	c.watched = true
	c.stop = context.AfterFunc(c.ctx, func() { c.net.SetDeadline(past) })
}

// do sends the request, and reads the head of its answer.
func (c *conn) do(ctx context.Context, req *Request, limits *Limits) (*Response, error) {
	c.ctx, c.limit, c.got, c.watched, c.stop, c.sender = ctx, limits.Head, false, false, nil, nil
	c.out = appendRequest(c.out[:0], req)
	if _, err := c.net.Write(c.out); err != nil {
		return nil, c.fail(ReasonClosed, errors.Join(errUnused, err))
	}
	if cap(c.out) > maxKeptOut {
		c.out = nil
	}
	if req.Body != nil && req.Length != 0 {
		c.sender = send(c, req, limits)
	}
	if err := c.readHead(req); err != nil {
		c.abandon()
		return nil, err
	}
	c.limit = limits.Idle
	return c.answer(req)
}

const maxKeptOut = 16 << 10

// maxInterim bounds the interim answers to a request.
const maxInterim = 16

// readHead reads the answer's head, and hands on the interim ones before it.
func (c *conn) readHead(req *Request) error {
	for range maxInterim {
		clear(c.header)
		var err error
		if c.head, err = c.in.ReadResponse(c.header); err != nil {
			return c.headError(err)
		}
		switch {
		case c.head.Status == http.StatusSwitchingProtocols:
			if req.Upgrade == "" || !strings.EqualFold(c.header.Get("Upgrade"), req.Upgrade) {
				return c.fail(ReasonAnswer, errors.New("another protocol than asked for"))
			}
			return nil
		case c.head.Status >= 200:
			return nil
		case c.head.Status != http.StatusContinue && req.Inform != nil:
			req.Inform(c.head.Status, c.header)
		}
	}
	return c.fail(ReasonAnswer, errors.New("too many interim answers"))
}

// headError says why there is no head.
func (c *conn) headError(err error) error {
	if failed := c.sender.err(); failed != nil {
		return c.fail(ReasonBody, failed)
	}
	var malformed *http1.Error
	switch {
	case errors.As(err, &malformed):
		return c.fail(ReasonAnswer, err)
	case c.ctxEnded():
		return c.fail(ReasonClient, context.Canceled)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.fail(ReasonTimeout, errors.New("no answer in time"))
	case !c.got:
		return c.fail(ReasonClosed, errors.Join(errUnused, err))
	}
	return c.fail(ReasonClosed, err)
}

func (c *conn) ctxEnded() bool { return c.watched && c.ctx.Err() != nil }

func (c *conn) fail(reason string, err error) error {
	return &Error{Address: c.pool.Address, Reason: reason, Err: err}
}

// answer makes the response of the head that was read.
func (c *conn) answer(req *Request) (*Response, error) {
	f := c.head.Framing
	if !http1.HasBody(req.Method, c.head.Status) {
		f = http1.Framing{}
	}
	if f.Length < 0 && !f.Chunked {
		c.head.Close = true
	}
	c.body.Begin(c.in, f)
	c.res = Response{Status: c.head.Status, Header: c.header, Length: f.Length, c: c}
	return &c.res, nil
}

// abandon ends an exchange in its midst.
func (c *conn) abandon() {
	if c.stop != nil {
		c.stop()
	}
	c.sender.abort(c)
	c.net.Close()
	c.in.Rest()
}

// release keeps the connection if it is in order.
func (c *conn) release() {
	good := c.body.Done() && c.in.Buffered() == 0 && !c.head.Close && c.sender.finished()
	if c.stop != nil && !c.stop() {
		good = false // its deadline may still come
	}
	if !good {
		c.stop = nil
		c.abandon()
		return
	}
	c.ctx, c.sender, c.stop = nil, nil, nil
	c.in.Rest()
	c.pool.keep(c)
}

// Response is an answer. It, its header and its body are valid until Close,
// which has to be called.
type Response struct {
	Status int
	Header http.Header
	Length int64 // of the body; -1: unknown

	c  *conn
	h2 *h2cAnswer
}

// Read implements io.Reader for the body.
func (r *Response) Read(p []byte) (int, error) {
	if r.h2 != nil {
		return r.h2.Read(p)
	}
	n, err := r.c.body.Read(p)
	if err != nil && err != io.EOF {
		err = r.c.bodyError(err)
	}
	return n, err
}

// Buffered tells whether more of the body can be read without waiting.
func (r *Response) Buffered() bool { return r.h2 == nil && r.c.in.Buffered() > 0 }

// bodyError says why a body ended too early.
func (c *conn) bodyError(err error) error {
	var malformed *http1.Error
	switch {
	case errors.As(err, &malformed):
		return c.fail(ReasonAnswer, err)
	case c.ctxEnded():
		return c.fail(ReasonClient, context.Canceled)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.fail(ReasonTimeout, errors.New("answer stopped"))
	}
	return c.fail(ReasonClosed, err)
}

// Trailer is the fields behind the body, once it has been read.
func (r *Response) Trailer() http.Header {
	if r.h2 != nil {
		return r.h2.res.Trailer
	}
	return r.c.body.Trailer()
}

// Close ends the exchange.
func (r *Response) Close() {
	if r.h2 != nil {
		r.h2.close()
		return
	}
	if c := r.c; c != nil {
		r.c = nil
		c.pool.active.Add(-1)
		c.release()
	}
}

// Upgraded is the connection behind a 101, with what was read ahead. It stays
// the response's, until Close.
func (r *Response) Upgraded() (net.Conn, []byte) {
	if r.c.stop != nil {
		r.c.stop()
		r.c.stop = nil
	}
	r.c.head.Close = true
	r.c.net.SetDeadline(time.Time{})
	return r.c.net, r.c.in.Take()
}
