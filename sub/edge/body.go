package edge

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
)

var errBodySize = errors.New("request is larger than the site takes")

// boundedBody is a request's body that may be so long, and over HTTP/2 and 3
// has to keep coming.
type boundedBody struct {
	io.ReadCloser
	x     *exchange
	left  int64 // negative: without bound
	idle  time.Duration
	timer *time.Timer // nil: the connection sees to it
}

// hasBody tells whether a request has a body. HTTP/3 tells only by sending
// some, or the stream's end; for the methods that usually have none that is
// waited for, so that they can be sent again.
func hasBody(x *exchange) bool {
	r := x.r
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return false
	}
	if r.ContentLength > 0 || x.protocol == viaHTTP1 {
		return true
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
	default:
		return true
	}
	late := time.AfterFunc(x.s.opts.Limits.BodyIdle, func() { r.Body.Close() })
	defer late.Stop()
	var first [1]byte
	n, err := io.ReadFull(r.Body, first[:])
	if n == 0 && err == io.EOF {
		return false
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first[:n]), r.Body), r.Body}
	return true
}

// body is the request's body, bounded.
func (p *proxy) body(x *exchange) io.ReadCloser {
	b := &boundedBody{ReadCloser: x.r.Body, x: x, left: p.site.Limits.Body, idle: p.site.Limits.Idle}
	if x.protocol != viaHTTP1 {
		b.timer = time.AfterFunc(b.idle, func() { b.ReadCloser.Close() })
	}
	return b
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.timer != nil {
		b.timer.Reset(b.idle)
	}
	n, err := b.ReadCloser.Read(p)
	b.x.received += int64(n)
	if b.timer != nil && err != nil {
		b.timer.Stop()
	}
	if b.left < 0 {
		return n, err
	}
	if b.left -= int64(n); b.left < 0 {
		b.left = 0
		return 0, errBodySize
	}
	return n, err
}

// Close ends a Read too.
func (b *boundedBody) Close() error {
	if b.timer != nil {
		b.timer.Stop()
	}
	return b.ReadCloser.Close()
}
