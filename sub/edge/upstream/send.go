package upstream

import (
	"context"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"b8s/sub/edge/http1"
)

// appendRequest writes a request's head, and its body where it is whole.
func appendRequest(out []byte, req *Request) []byte {
	out = append(out, req.Method...)
	out = append(out, ' ')
	out = append(out, req.Target...)
	out = append(out, " HTTP/1.1\r\nHost: "...)
	out = append(out, req.Host...)
	out = append(out, "\r\n"...)
	out = http1.AppendFields(out, req.Header)
	for _, f := range req.Fields {
		out = http1.AppendField(out, f.Name, f.Value)
	}
	switch {
	case req.Upgrade != "":
		out = append(out, "Connection: Upgrade\r\nUpgrade: "...)
		out = append(out, req.Upgrade...)
		out = append(out, "\r\n"...)
	case req.Body != nil && req.Length < 0:
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	case req.Body != nil || req.whole != nil || needsLength(req.Method):
		out = append(out, "Content-Length: "...)
		out = strconv.AppendInt(out, req.Length, 10)
		out = append(out, "\r\n"...)
	}
	out = append(out, "\r\n"...)
	return append(out, req.whole...)
}

// needsLength tells whether servers expect a length even of an empty body.
func needsLength(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}

// sender sends a request's body beside the reading of its answer. A nil sender
// has nothing to send, and is finished.
type sender struct {
	body   io.Closer
	done   chan struct{}
	broken atomic.Bool // the body, not the upstream
	cause  error       // of broken; read it when done
	whole  bool        // all of it was sent; read it when done
}

var sendBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// send begins to send the body.
func send(c *conn, req *Request, limits *Limits) *sender {
	s := &sender{body: req.Body, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		buf := sendBuffers.Get().(*[32 << 10]byte)
		defer sendBuffers.Put(buf)
		readErr, writeErr := s.copy(c, req, buf[:], limits.Idle)
		switch {
		case readErr != nil:
			s.cause = readErr
			s.broken.Store(true)
			c.net.SetDeadline(past)
		case writeErr == nil:
			c.net.SetWriteDeadline(time.Time{})
			s.whole = true
		}
	}()
	return s
}

// copy sends the body, each write in its time.
func (s *sender) copy(c *conn, req *Request, buf []byte, idle time.Duration) (readErr, writeErr error) {
	before := func() { c.net.SetWriteDeadline(time.Now().Add(idle)) }
	if req.Length < 0 {
		return http1.CopyChunked(c.net, req.Body, req.Trailer, buf, before)
	}
	for left := req.Length; left > 0; {
		n, err := req.Body.Read(buf[:min(left, int64(len(buf)))])
		if n > 0 {
			before()
			if _, err := c.net.Write(buf[:n]); err != nil {
				return nil, err
			}
			left -= int64(n)
		}
		if err != nil && left > 0 {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err, nil
		}
	}
	return nil, nil
}

// failed tells whether the body broke off.
func (s *sender) failed() bool { return s != nil && s.broken.Load() }

// err is why the body broke off, or nil.
func (s *sender) err() error {
	if !s.failed() {
		return nil
	}
	return s.cause
}

// settle is how long the last write of a body may take to return once the
// answer has ended.
const settle = 5 * time.Millisecond

// finished tells whether all has been sent, and nothing runs any more.
func (s *sender) finished() bool {
	if s == nil {
		return true
	}
	select {
	case <-s.done:
		return s.whole
	case <-time.After(settle):
		return false
	}
}

// abort ends the sending, and waits until it has.
func (s *sender) abort(c *conn) {
	if s == nil {
		return
	}
	select {
	case <-s.done:
		return
	default:
	}
	s.body.Close()
	c.net.SetWriteDeadline(past)
	for {
		select {
		case <-s.done:
			return
		case <-time.After(10 * time.Millisecond): // a write may have set its deadline anew
			c.net.SetWriteDeadline(past)
		}
	}
}

// idempotent methods may be sent twice (RFC 9110 section 9.2.2).
func idempotent(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE":
		return true
	}
	return false
}

// MaxWhole is the longest body that is read before it is sent, so that a slow
// client holds no connection of the upstream, and it can be sent again.
const MaxWhole = 16 << 10

// readWhole reads a short body.
func readWhole(req *Request) error {
	if req.Body == nil || req.Length <= 0 || req.Length > MaxWhole {
		return nil
	}
	whole := make([]byte, req.Length)
	if _, err := io.ReadFull(req.Body, whole); err != nil {
		return err
	}
	req.whole, req.Body = whole, nil
	return nil
}

// Do sends a request, and returns once the head of the answer is there. Its
// errors are of type *Error.
func (p *Pool) Do(ctx context.Context, req *Request) (*Response, error) {
	p.active.Add(1)
	res, err := p.do(ctx, req)
	if err != nil {
		p.active.Add(-1)
	}
	p.note(err)
	return res, err
}

// do tries on a connection that waits, and where that one was closed, or there
// is none, on a new one.
func (p *Pool) do(ctx context.Context, req *Request) (*Response, error) {
	if p.h2 != nil {
		return p.doH2C(ctx, req)
	}
	limits := p.limits.Load()
	if err := readWhole(req); err != nil {
		return nil, &Error{Address: p.Address, Reason: ReasonBody, Err: err}
	}
	c := p.kept(limits)
	for try := 0; ; try++ {
		if c == nil {
			var err error
			if c, err = p.dial(ctx, limits); err != nil {
				return nil, err
			}
		}
		res, err := c.do(ctx, req, limits)
		if err == nil {
			return res, nil
		}
		c.abandon()
		if try > 0 || !unused(err) || req.Body != nil || !idempotent(req.Method) {
			return nil, err
		}
		c = nil
	}
}
