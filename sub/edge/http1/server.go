package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// Server serves connections with a handler.
//
// The http.Request that the handler gets, its header and the header of the
// answer belong to the connection: they are valid until the handler returns,
// and must not be kept. The request's context ends with its client's
// connection, which is watched only from when somebody asks for Done.
type Server struct {
	Handler http.Handler
	Limits  Limits
	// HeadTime bounds a request's head from its first octets, Idle the silence
	// before it, BodyIdle each read of a body, WriteIdle each write of an
	// answer. 0: without bound.
	HeadTime, Idle, BodyIdle, WriteIdle time.Duration
	// BodyRate is the octets a second that a body has to keep once BodyIdle has
	// passed. 0: none.
	BodyRate int64
	// Refused is called for a request that is not well formed. nil: not.
	Refused func(*Error)
	// Panicked is called with what a handler panicked with, but for
	// http.ErrAbortHandler, which cuts an answer short. nil: not.
	Panicked func(any)
}

// Conn is a client's connection. Shutdown and Close may be called by anyone.
type Conn struct {
	server *Server
	conn   net.Conn
	in     *Reader
	tls    *tls.ConnectionState
	remote string

	state atomic.Int32 // idle, busy, closed

	req    *http.Request
	header http.Header
	head   RequestHead
	body   requestBody
	ctx    *requestContext
	res    response
	gone   bool // the client, as far as one can tell
}

const (
	stateIdle int32 = iota
	stateBusy
	stateClosed
)

// NewConn makes a connection of the server's. state is nil where there is no
// TLS.
func (s *Server) NewConn(ctx context.Context, conn net.Conn, state *tls.ConnectionState) *Conn {
	c := &Conn{server: s, conn: conn, tls: state, header: http.Header{}}
	c.in = NewReader(conn, s.Limits)
	if a := conn.RemoteAddr(); a != nil {
		c.remote = a.String()
	}
	c.ctx = &requestContext{Context: ctx, c: c}
	c.req = (&http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: c.header, RemoteAddr: c.remote, TLS: state}).WithContext(c.ctx)
	c.res.init(c)
	return c
}

// Serve answers requests, one after another, until the client or the server
// has enough. It closes the connection, unless a handler took it.
func (c *Conn) Serve() {
	for c.serveOne() {
	}
	if c.res.taken {
		return
	}
	if !c.gone {
		c.lastWords()
	}
	c.Close()
	c.in.Rest()
}

// Shutdown closes the connection at once if no request is being answered, or
// else after the answer.
func (c *Conn) Shutdown() {
	if c.state.CompareAndSwap(stateIdle, stateClosed) {
		c.conn.Close()
		return
	}
	c.state.CompareAndSwap(stateBusy, stateClosed)
}

// Close closes the connection, whatever happens on it.
func (c *Conn) Close() {
	c.state.Store(stateClosed)
	c.conn.Close()
}

// serveOne answers a request, and tells whether there may be another.
func (c *Conn) serveOne() bool {
	if !c.readHead() {
		return false
	}
	c.begin()
	done := c.handle()
	c.ctx.end()
	if c.res.taken {
		return false
	}
	if !done {
		c.Close()
		return false
	}
	if err := c.res.finish(); err != nil {
		c.res.close = true
	}
	if c.res.close || !c.body.drain() {
		return false
	}
	return c.state.CompareAndSwap(stateBusy, stateIdle)
}

// handle runs the handler; false: it panicked, and the answer must not look
// complete.
func (c *Conn) handle() (done bool) {
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler && c.server.Panicked != nil {
			c.server.Panicked(v)
		}
	}()
	c.server.Handler.ServeHTTP(&c.res, c.req)
	return true
}

// readHead waits for a request; false: there is none, or it was refused.
func (c *Conn) readHead() bool {
	if c.in.Buffered() == 0 {
		c.readDeadline(c.server.Idle)
	}
	text, err := c.in.head(func() { c.readDeadline(c.server.HeadTime) })
	if err == nil && !c.busy() {
		return false
	}
	if err == nil {
		clear(c.header)
		c.head, err = ParseRequest(text, c.header, c.server.Limits)
	} else if errors.Is(err, os.ErrDeadlineExceeded) && c.in.Buffered() > 0 {
		err = errHeadTime
	}
	if err == nil {
		return true
	}
	var refused *Error
	if c.gone = !errors.As(err, &refused); !c.gone {
		c.refuse(refused)
	}
	return false
}

// busy marks that a request is being answered; false: the connection is
// closed.
func (c *Conn) busy() bool { return c.state.CompareAndSwap(stateIdle, stateBusy) }

func (c *Conn) readDeadline(d time.Duration) {
	if d > 0 {
		c.conn.SetReadDeadline(time.Now().Add(d))
	}
}

// refuse answers what could not be read; the connection is closed then.
func (c *Conn) refuse(e *Error) {
	if c.server.Refused != nil {
		c.server.Refused(e)
	}
	text := http.StatusText(e.Status)
	body := strconv.Itoa(e.Status) + " " + text + ": " + e.Reason + "\n"
	c.writeDeadline()
	io.WriteString(c.conn, "HTTP/1.1 "+strconv.Itoa(e.Status)+" "+text+"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "+
		strconv.Itoa(len(body))+"\r\nConnection: close\r\n\r\n"+body)
}

func (c *Conn) writeDeadline() {
	if c.server.WriteIdle > 0 {
		c.conn.SetWriteDeadline(time.Now().Add(c.server.WriteIdle))
	}
}

// begin makes request and response ready for the handler.
func (c *Conn) begin() {
	if c.ctx.used() {
		c.ctx = &requestContext{Context: c.ctx.Context, c: c}
		c.req = c.req.WithContext(c.ctx)
	}
	r, h := c.req, &c.head
	r.Method, r.URL, r.Host, r.RequestURI = h.Method, &h.URL, h.Host, h.Target
	r.Proto, r.ProtoMinor = "HTTP/1.1", h.Minor
	if h.Minor == 0 {
		r.Proto = "HTTP/1.0"
	}
	r.Header, r.Trailer, r.TransferEncoding, r.Close = c.header, nil, nil, h.Close
	r.ContentLength = h.Framing.Length
	c.body.begin(c)
	if c.body.Done() {
		r.Body = http.NoBody
	} else {
		r.Body = &c.body
	}
	c.res.begin()
}

// lastWords lets the client read the answer before the connection is gone: a
// close with unread octets would cut it off.
func (c *Conn) lastWords() {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || c.state.Load() == stateClosed && c.in.Buffered() == 0 || half.CloseWrite() != nil {
		return
	}
	c.conn.SetReadDeadline(time.Now().Add(lingerTime))
	var waste [512]byte
	for n := 0; n < lingerSize; {
		k, err := c.conn.Read(waste[:])
		if err != nil {
			return
		}
		n += k
	}
}

const (
	lingerTime = time.Second
	lingerSize = 256 << 10
)

// requestBody is the body of the request that is being answered. It may be read
// beside the writing of the answer.
type requestBody struct {
	Body
	c      *Conn
	closed atomic.Bool
	ended  atomic.Bool // all of it has been read
	broken atomic.Bool // it can't be read
	asked  bool        // 100-continue is still to be sent
	start  time.Time
	got    int64
}

// begin makes the body ready to be read.
func (b *requestBody) begin(c *Conn) {
	b.Body.init(c.in, c.head.Framing)
	b.c, b.got, b.start = c, 0, time.Time{}
	b.closed.Store(false)
	b.broken.Store(false)
	b.ended.Store(b.Done())
	b.asked = c.head.Expect && !b.Done()
	b.before, b.after = b.wait, b.finished
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.asked {
		b.asked = false
		if err := b.c.res.informContinue(); err != nil {
			return 0, err
		}
	}
	n, err := b.Body.Read(p)
	b.got += int64(n)
	if err == io.EOF {
		b.c.req.Trailer = b.Trailer()
	} else if err != nil {
		b.broken.Store(true)
	}
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && !b.closed.Load() {
		b.err = errSlowBody
		return n, errSlowBody
	}
	return n, err
}

// Close ends a Read of another goroutine, and lets none follow.
func (b *requestBody) Close() error {
	if !b.closed.Swap(true) {
		b.c.conn.SetReadDeadline(past)
	}
	return nil
}

var past = time.Unix(1, 0)

// wait sets the time for the next octets, and holds the body to its rate.
func (b *requestBody) wait() error {
	now := time.Now()
	if b.start.IsZero() {
		b.start = now
	}
	if b.closed.Load() {
		return http.ErrBodyReadAfterClose
	}
	s := b.c.server
	if late := now.Sub(b.start) - s.BodyIdle; s.BodyRate > 0 && late > 0 && b.got < int64(late.Seconds())*s.BodyRate {
		return errSlowBody
	}
	b.c.readDeadline(s.BodyIdle)
	if b.closed.Load() { // Close came between: its deadline stands
		b.c.conn.SetReadDeadline(past)
	}
	return nil
}

// finished lets the connection be watched, if that was asked for.
func (b *requestBody) finished() {
	b.ended.Store(true)
	b.c.ctx.bodyEnded()
}

// maxDrain is what is read of a body that the handler left, to keep the
// connection.
const maxDrain = 64 << 10

// drain reads what the handler left of the body; false: the connection can't
// be used again.
func (b *requestBody) drain() bool {
	if b.Done() {
		return true
	}
	if b.err != nil || b.asked || b.closed.Load() || !b.chunked && b.left > maxDrain {
		return false
	}
	io.CopyN(io.Discard, &b.Body, maxDrain)
	return b.Done()
}
