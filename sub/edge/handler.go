package edge

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"b8s/sub/edge/http1"
)

// handler answers requests over TLS, by one protocol.
type handler struct {
	s        *Server
	protocol int
}

// exchange is a request on its way, and the http.ResponseWriter of its answer.
type exchange struct {
	http.ResponseWriter
	s        *Server
	r        *http.Request
	site     *site
	protocol int
	start    time.Time
	status   int
	sent     int64
	received int64
	id       string        // made when it is asked for
	waited   time.Duration // for the upstream
	guard    *time.Timer   // of writes, over HTTP/2 and 3
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// ServeHTTP finds the site, and holds the request to its limits.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, host := h.s, hostOf(r.Host)
	st := s.sites.Load().find(host)
	switch {
	case st == nil:
		s.refuse(w, r, http.StatusMisdirectedRequest, "unknown host", "No site of this name is served here.")
		return
	case !s.covers(r.TLS, host):
		s.refuse(w, r, http.StatusMisdirectedRequest, "host of another certificate", "This connection is for another site.")
		return
	}
	if reason := checkTarget(r); reason != "" {
		s.refuse(w, r, http.StatusBadRequest, reason, "The address is malformed.")
		return
	}
	if h.protocol != viaHTTP1 {
		if v := r.Header["Host"]; len(v) > 1 || len(v) == 1 && v[0] != r.Host {
			s.refuse(w, r, http.StatusBadRequest, "missing or doubled host", "The request names its host twice.")
			return
		}
		if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
			s.refuse(w, r, http.StatusMethodNotAllowed, "method not served", "This method is not served.")
			return
		}
	}
	x := exchanges.Get().(*exchange)
	*x = exchange{ResponseWriter: w, s: s, r: r, site: st, protocol: h.protocol, start: time.Now()}
	defer x.end()
	x.serve()
}

// covers tells whether a connection's certificate is good for a host.
func (s *Server) covers(state *tls.ConnectionState, host string) bool {
	if state == nil || state.ServerName == host {
		return true
	}
	certificates := s.certificates.Load()
	id := certificates.find(canonicalHost(state.ServerName))
	if id == nil || certificates.find(host) == nil {
		return false
	}
	_, parent, _ := strings.Cut(host, ".")
	for _, name := range id.names {
		if name == host || strings.HasPrefix(name, "*.") && name[2:] == parent {
			return true
		}
	}
	return false
}

// checkTarget says what keeps a target from being forwarded as it is.
func checkTarget(r *http.Request) string {
	path := r.URL.Path
	if r.RequestURI == "*" {
		return ""
	}
	if path == "" || path[0] != '/' || r.RequestURI == "" || r.RequestURI[0] != '/' || !http1.IsTarget(r.RequestURI) {
		return "malformed target"
	}
	if strings.Contains(path, "/.") && hasDots(path) {
		return "dot segment"
	}
	return ""
}

// hasDots tells whether a path has a segment "." or "..", which would let it
// be matched as one path and served as another.
func hasDots(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// serve answers, within the site's limit of active requests.
func (x *exchange) serve() {
	st := x.site
	if active := st.counts.active.Add(1); active > int64(st.Limits.Active) {
		st.counts.refused.Add(1)
		x.Header()["Retry-After"] = []string{"1"}
		x.s.page(x, x.r, http.StatusServiceUnavailable, "The site has all the requests that it can take.")
		return
	}
	x.tell()
	if x.r.RequestURI == "*" {
		x.Header()["Content-Length"] = []string{"0"}
		x.WriteHeader(http.StatusOK)
		return
	}
	to := st.find(x.r.URL.Path)
	if to == nil {
		x.s.page(x, x.r, http.StatusNotFound, "There is nothing here.")
		return
	}
	if to.strip && to.path != "" {
		strip(x.r, to.path)
	}
	to.target.ServeHTTP(x, x.r)
}

// strip takes a prefix off a request's path.
func strip(r *http.Request, prefix string) {
	u := *r.URL
	u.Path = strings.TrimPrefix(u.Path, prefix)
	if u.Path == "" {
		u.Path = "/"
	}
	if raw, ok := strings.CutPrefix(u.RawPath, prefix); ok && strings.HasPrefix(raw, "/") {
		u.RawPath = raw
	} else {
		u.RawPath = ""
	}
	r.URL, r.RequestURI = &u, u.RequestURI()
}

// tell sets the site's own fields.
func (x *exchange) tell() {
	h, st := x.Header(), x.site
	if st.sub != nil {
		h["B8s-Sub"] = st.sub
	}
	if st.vers != nil {
		h["B8s-Version"] = st.vers
	}
	if st.hsts != nil {
		h["Strict-Transport-Security"] = st.hsts
	}
	if !st.NoAltSvc && x.protocol != viaHTTP3 {
		if v := *x.s.altSvc.Load(); len(v) > 0 {
			h["Alt-Svc"] = v
		}
	}
}

// WriteHeader implements http.ResponseWriter, and adds Server-Timing.
func (x *exchange) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		if x.status != 0 {
			return
		}
		x.status = status
		if !x.site.NoHeaders {
			x.addTiming()
		}
		if _, typed := x.Header()["Content-Type"]; !typed {
			x.Header()["Content-Type"] = nil // nothing is guessed
		}
	}
	x.ResponseWriter.WriteHeader(status)
}

// addTiming tells how long the request took here, and at the upstream.
func (x *exchange) addTiming() {
	buf := make([]byte, 0, 64)
	buf = append(buf, "b8s;dur="...)
	buf = appendMillis(buf, time.Since(x.start)-x.waited)
	if x.waited > 0 {
		buf = append(buf, ", upstream;dur="...)
		buf = appendMillis(buf, x.waited)
	}
	h := x.Header()
	h["Server-Timing"] = append(h["Server-Timing"], string(buf))
}

func appendMillis(buf []byte, d time.Duration) []byte {
	micros := max(d.Microseconds(), 0)
	buf = strconv.AppendInt(buf, micros/1000, 10)
	return append(buf, '.', byte('0'+micros/100%10), byte('0'+micros/10%10), byte('0'+micros%10))
}

// Write implements http.ResponseWriter. A client that takes nothing loses the
// answer.
func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	if x.protocol != viaHTTP1 {
		x.watchWrite()
		defer x.guard.Stop()
	}
	n, err := x.ResponseWriter.Write(p)
	x.sent += int64(n)
	return n, err
}

// watchWrite bounds a write over HTTP/2 or 3, which may wait for the client to
// open its window. Over HTTP/1.1 the connection does it.
func (x *exchange) watchWrite() {
	idle := x.s.opts.Limits.WriteIdle
	if x.guard != nil {
		x.guard.Reset(idle)
		return
	}
	control := http.NewResponseController(x.ResponseWriter)
	x.guard = time.AfterFunc(idle, func() { control.SetWriteDeadline(time.Unix(1, 0)) })
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// Flush implements http.Flusher.
func (x *exchange) Flush() {
	if f, ok := x.ResponseWriter.(http.Flusher); ok {
		if x.protocol != viaHTTP1 {
			x.watchWrite()
			defer x.guard.Stop()
		}
		f.Flush()
	}
}

// requestID names the request in error pages, to the upstream, and in the
// access log. It says nothing of the visitor.
func (x *exchange) requestID() string {
	if x.id == "" {
		x.id = fmt.Sprintf("%016x", rand.Uint64())
	}
	return x.id
}

// end counts the request, and logs it.
func (x *exchange) end() {
	panicked := recover()
	st := x.site
	st.counts.active.Add(-1)
	took := time.Since(x.start)
	status := x.status
	if status == 0 {
		status = http.StatusOK
	}
	if panicked != nil && panicked != http.ErrAbortHandler {
		status = http.StatusInternalServerError
	}
	st.counts.done(x.protocol, status, took, x.received, x.sent)
	if st.AccessLog && x.s.lines != nil {
		x.log(status, took, panicked != nil)
	}
	if x.guard == nil && panicked == nil { // a guard's function may still run
		*x = exchange{}
		exchanges.Put(x)
	}
	if panicked != nil {
		panic(panicked)
	}
}

// log writes the line of the access log. There is no address, no query, and no
// field of the client's in it.
func (x *exchange) log(status int, took time.Duration, cut bool) {
	path, _, _ := strings.Cut(x.r.RequestURI, "?")
	attrs := []slog.Attr{
		slog.String("site", x.site.Name), slog.String("host", hostOf(x.r.Host)), slog.String("method", x.r.Method),
		slog.String("path", path), slog.Int("status", status), slog.String("protocol", protocols[x.protocol]),
		slog.Int64("received", x.received), slog.Int64("sent", x.sent),
		slog.Float64("ms", float64(took.Microseconds())/1000), slog.Float64("upstream_ms", float64(x.waited.Microseconds())/1000),
		slog.String("request", x.requestID()),
	}
	if cut {
		attrs = append(attrs, slog.Bool("cut", true))
	}
	x.s.lines.lines.LogAttrs(x.r.Context(), slog.LevelInfo, "request", attrs...)
}

// clientAddr is the client's address, without its port.
func clientAddr(r *http.Request) string {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return ap.Addr().Unmap().WithZone("").String()
}

// refuse answers a request for which there is no site.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, reason, text string) {
	s.meters.refused.WithLabelValues(reason).Inc()
	s.page(w, r, status, text)
}

// page is a short answer of the edge's own.
func (s *Server) page(w http.ResponseWriter, r *http.Request, status int, text string) {
	id := ""
	if x, ok := w.(*exchange); ok {
		id = x.requestID()
	} else {
		id = fmt.Sprintf("%016x", rand.Uint64())
	}
	body := fmt.Sprintf("%d %s\n\n%s\n\n", status, http.StatusText(status), text)
	if s.opts.Name != "" {
		body += "sub " + s.opts.Name + ", "
	}
	body += "request " + id + "\n"
	h := w.Header()
	h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = []string{"no-store"}
	if status >= 400 && r.ContentLength != 0 && r.ProtoMajor == 1 {
		h["Connection"] = []string{"close"} // what is left of the body isn't read
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		io.WriteString(w, body)
	}
}
