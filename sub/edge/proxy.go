package edge

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"b8s/sub/edge/compress"
	"b8s/sub/edge/http1"
	"b8s/sub/edge/upstream"
)

// proxy forwards a route's requests to its upstream.
type proxy struct {
	server *Server
	site   *site
	pool   *upstream.Pool
}

// ServeHTTP forwards a request, and its answer as it comes.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := w.(*exchange)
	if limit := p.site.Limits.Body; limit > 0 && r.ContentLength > limit {
		p.server.page(x, r, http.StatusRequestEntityTooLarge, "The request is larger than the site takes.")
		return
	}
	req := p.request(x)
	accept := r.Header["Accept-Encoding"]
	asked := time.Now()
	res, err := p.pool.Do(r.Context(), req)
	x.waited = time.Since(asked)
	if err != nil {
		p.failed(x, err)
		return
	}
	defer res.Close()
	if res.Status == http.StatusSwitchingProtocols {
		p.upgrade(x, res)
		return
	}
	p.answer(x, res, accept)
}

// request is what goes to the upstream.
func (p *proxy) request(x *exchange) *upstream.Request {
	r := x.r
	req := &upstream.Request{
		Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header,
		Inform: func(status int, h http.Header) { inform(x, status, h) },
	}
	if x.protocol == viaHTTP1 && r.Method == http.MethodGet && r.ProtoMinor == 1 && http1.HasToken(r.Header["Connection"], "upgrade") {
		if to := r.Header["Upgrade"]; len(to) == 1 && http1.IsToken(to[0]) && !strings.EqualFold(to[0], "h2c") {
			req.Upgrade = to[0]
		}
	}
	cleanRequest(r.Header)
	req.Fields = forwarded(r, x.requestID())
	if hasBody(x) {
		req.Body, req.Length = p.body(x), r.ContentLength
		req.Trailer = func() http.Header { return r.Trailer }
	}
	return req
}

// inform hands on an interim answer.
func inform(x *exchange, status int, h http.Header) {
	if status < 102 {
		return
	}
	own := x.Header()
	links := own["Link"]
	own["Link"] = h["Link"]
	x.ResponseWriter.WriteHeader(status)
	if own["Link"] = links; links == nil {
		delete(own, "Link")
	}
}

// answer sends the upstream's answer to the client.
func (p *proxy) answer(x *exchange, res *upstream.Response, accept []string) {
	h := x.Header()
	copyAnswer(h, res.Header, p.site)
	encoding := compress.Identity
	if !p.site.NoCompression && compressible(res) {
		addVary(h)
		if x.r.Method != http.MethodHead {
			encoding = compress.Choose(accept, compress.Streamed)
		}
	}
	if encoding != compress.Identity {
		p.compressed(x, res, encoding)
		return
	}
	if v := res.Header["Content-Length"]; v != nil {
		h["Content-Length"] = v
	}
	x.WriteHeader(res.Status)
	if !http1.HasBody(x.r.Method, res.Status) {
		return
	}
	if res.Length < 0 && !res.Buffered() {
		x.Flush() // the head, as the body may be long in coming
	}
	p.copy(x, x, x.Flush, res)
	addTrailers(h, res.Trailer())
}

// compressed sends the answer encoded.
func (p *proxy) compressed(x *exchange, res *upstream.Response, e compress.Encoding) {
	h := x.Header()
	h["Content-Encoding"] = []string{string(e)}
	if tag := h["Etag"]; len(tag) == 1 && !strings.HasPrefix(tag[0], "W/") {
		h["Etag"] = []string{"W/" + tag[0]}
	}
	delete(h, "Accept-Ranges")
	delete(h, "Content-Md5")
	delete(h, "Content-Digest")
	x.WriteHeader(res.Status)
	if res.Length < 0 && !res.Buffered() {
		x.Flush()
	}
	enc := compress.Get(e, x)
	defer compress.Put(e, enc)
	p.copy(x, enc, func() { enc.Flush(); x.Flush() }, res)
	if enc.Close() != nil {
		panic(http.ErrAbortHandler)
	}
	addTrailers(h, res.Trailer())
}

var copies = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// copy sends the body, and flushes where the upstream pauses. A body that
// breaks off cuts the client's off too, so that it doesn't look complete.
func (p *proxy) copy(x *exchange, w io.Writer, flush func(), res *upstream.Response) {
	buf := copies.Get().(*[64 << 10]byte)
	defer copies.Put(buf)
	left := res.Length
	for {
		n, err := res.Read(buf[:])
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				panic(http.ErrAbortHandler) // the client is gone
			}
			left -= int64(n)
		}
		switch {
		case err == io.EOF:
			return
		case err != nil:
			p.count(err)
			panic(http.ErrAbortHandler)
		case left != 0 && n < len(buf) && !res.Buffered():
			flush()
		}
	}
}

// failed answers for an upstream that didn't.
func (p *proxy) failed(x *exchange, err error) {
	reason := p.count(err)
	var malformed *http1.Error
	switch {
	case errors.Is(err, errBodySize):
		p.server.page(x, x.r, http.StatusRequestEntityTooLarge, "The request is larger than the site takes.")
	case reason == upstream.ReasonBody && errors.As(err, &malformed):
		p.server.page(x, x.r, malformed.Status, "The request's body is not well formed: "+malformed.Reason+".")
	case reason == upstream.ReasonBody, reason == upstream.ReasonClient:
		x.status = statusClientGone
		panic(http.ErrAbortHandler)
	case reason == upstream.ReasonTimeout:
		p.server.page(x, x.r, http.StatusGatewayTimeout, "The site's server did not answer in time.")
	default:
		p.server.page(x, x.r, http.StatusBadGateway, "The site's server does not answer.")
	}
}

// statusClientGone stands in log and counters for a client that left.
const statusClientGone = 499

// count counts a failure, and returns its reason.
func (p *proxy) count(err error) string {
	var failure *upstream.Error
	if !errors.As(err, &failure) {
		return ""
	}
	p.site.counts.upstreamFailed(failure.Reason)
	return failure.Reason
}
