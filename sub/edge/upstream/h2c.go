package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// NewH2C makes a pool for a server that speaks HTTP/2 without TLS, as gRPC
// servers do.
func NewH2C(address string, limits Limits) *Pool {
	p := New(address, limits)
	p.h2 = &http2.Transport{
		AllowHTTP: true, DisableCompression: true,
		ReadIdleTimeout: 30 * time.Second, PingTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second,
		MaxHeaderListSize: 64 << 10,
		DialTLSContext: func(ctx context.Context, _, _ string, _ *tls.Config) (net.Conn, error) {
			c, err := p.dial(ctx, p.limits.Load())
			if err != nil {
				return nil, err
			}
			return c.net, nil
		},
	}
	return p
}

// h2cAnswer is a response over HTTP/2, whose body has to keep coming.
type h2cAnswer struct {
	pool   *Pool
	res    *http.Response
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
}

var errIdle = errors.New("no answer in time")

// doH2C is do over HTTP/2. The transport sends again what the server says that
// it has not begun.
func (p *Pool) doH2C(ctx context.Context, req *Request) (*Response, error) {
	limits := p.limits.Load()
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limits.Head, func() { cancel(errIdle) })
	res, err := p.h2.RoundTrip(h2cRequest(ctx, p.Address, req))
	if err != nil {
		timer.Stop()
		err = p.h2cError(ctx, err)
		cancel(nil)
		return nil, err
	}
	timer.Reset(limits.Idle)
	a := &h2cAnswer{pool: p, res: res, cancel: cancel, timer: timer, idle: limits.Idle}
	return &Response{Status: res.StatusCode, Header: res.Header, Length: res.ContentLength, h2: a}, nil
}

func h2cRequest(ctx context.Context, address string, req *Request) *http.Request {
	path, query, _ := strings.Cut(req.Target, "?")
	u := &url.URL{Scheme: "http", Host: address, RawQuery: query}
	if decoded, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = decoded, path
	} else {
		u.Path = path
	}
	header := req.Header.Clone()
	for _, f := range req.Fields {
		header.Add(f.Name, f.Value)
	}
	out := &http.Request{Method: req.Method, URL: u, Host: req.Host, Header: header, ContentLength: req.Length, Proto: "HTTP/2.0", ProtoMajor: 2}
	if req.Body != nil {
		out.Body = &trailing{ReadCloser: req.Body, req: req, out: out}
		if req.Trailer != nil {
			out.Trailer = http.Header{} // their names have to be known before
			for name := range req.Trailer() {
				out.Trailer[name] = nil
			}
		}
	}
	return out.WithContext(ctx)
}

// trailing sets the trailers of a request when its body has ended.
type trailing struct {
	io.ReadCloser
	req *Request
	out *http.Request
}

func (t *trailing) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err == io.EOF && t.req.Trailer != nil {
		maps.Copy(t.out.Trailer, t.req.Trailer())
	}
	return n, err
}

func (p *Pool) h2cError(ctx context.Context, err error) error {
	var own *Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(context.Cause(ctx), errIdle):
		return &Error{Address: p.Address, Reason: ReasonTimeout, Err: errIdle}
	case ctx.Err() != nil:
		return &Error{Address: p.Address, Reason: ReasonClient, Err: context.Canceled}
	}
	return &Error{Address: p.Address, Reason: ReasonClosed, Err: err}
}

// Read implements io.Reader.
func (a *h2cAnswer) Read(p []byte) (int, error) {
	a.timer.Reset(a.idle)
	n, err := a.res.Body.Read(p)
	if err != nil && err != io.EOF {
		err = a.pool.h2cError(a.res.Request.Context(), err)
	}
	return n, err
}

func (a *h2cAnswer) close() {
	a.timer.Stop()
	a.res.Body.Close()
	a.cancel(nil)
	a.pool.active.Add(-1)
}
