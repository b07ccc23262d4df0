package edge

import (
	"net/http"
	"strings"

	"b8s/sub/edge/compress"
	"b8s/sub/edge/http1"
	"b8s/sub/edge/upstream"
)

// dropped are fields of a request that are the connection's, or that a client
// could use to pass for another or for another address.
var dropped = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Transfer-Encoding": true, "Content-Length": true, "Upgrade": true, "Trailer": true, "Expect": true, "Host": true, "Http2-Settings": true,
	"Forwarded": true, "X-Real-Ip": true, "X-Client-Ip": true, "X-Cluster-Client-Ip": true, "True-Client-Ip": true,
	"Cf-Connecting-Ip": true, "Fastly-Client-Ip": true, "X-Original-Url": true, "X-Rewrite-Url": true, "X-Original-Host": true,
	"X-Host": true, "X-Request-Id": true, "Proxy": true, "Early-Data": true, "Via": true,
}

// cleanRequest takes out what doesn't go on to the upstream.
func cleanRequest(h http.Header) {
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); !strings.EqualFold(name, "te") {
				h.Del(name)
			}
		}
	}
	for key, values := range h {
		switch {
		case key[0] == 'T' && key == "Te":
			if delete(h, key); http1.HasToken(values, "trailers") {
				h["Te"] = teTrailers
			}
		case key[0] == 'C' && key == "Cookie" && len(values) > 1:
			h[key] = []string{strings.Join(values, "; ")}
		case dropped[key], key[0] == 'X' && strings.HasPrefix(key, "X-Forwarded-"), key[0] == 'B' && strings.HasPrefix(key, "B8s-"),
			strings.IndexByte(key, '_') >= 0: // which many read as '-'
			delete(h, key)
		}
	}
}

var teTrailers = []string{"trailers"}

// forwarded is what the upstream is told of the client.
func forwarded(r *http.Request, id string) []upstream.Field {
	addr, host := clientAddr(r), r.Host
	node := addr
	if strings.IndexByte(addr, ':') >= 0 {
		node = `"[` + addr + `]"`
	}
	return []upstream.Field{
		{Name: "X-Forwarded-For", Value: addr}, {Name: "X-Forwarded-Proto", Value: "https"}, {Name: "X-Forwarded-Host", Value: host},
		{Name: "X-Real-Ip", Value: addr}, {Name: "Forwarded", Value: "for=" + node + `;host="` + host + `";proto=https`},
		{Name: "X-Request-Id", Value: id},
	}
}

// droppedAnswer are fields of an answer that are the connection's, or the
// edge's own to set.
var droppedAnswer = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Transfer-Encoding": true, "Upgrade": true, "Trailer": true,
	"Content-Length": true, "Alt-Svc": true, "B8s-Sub": true, "B8s-Version": true,
}

// copyAnswer copies an answer's fields to the client's.
func copyAnswer(to, from http.Header, st *site) {
	connection := from["Connection"]
	for key, values := range from {
		if droppedAnswer[key] || st.hsts != nil && key == "Strict-Transport-Security" {
			continue
		}
		if connection != nil && http1.HasToken(connection, key) {
			continue
		}
		to[key] = values
	}
}

// compressible tells whether an answer gets smaller, and may be changed.
func compressible(res *upstream.Response) bool {
	h := res.Header
	if res.Status != http.StatusOK && (res.Status < 400 || res.Status > 599) || h["Content-Encoding"] != nil || h["Content-Range"] != nil {
		return false
	}
	kind := h["Content-Type"]
	if len(kind) != 1 || !compress.Benefits(kind[0]) || res.Length >= 0 && res.Length < compress.Least {
		return false
	}
	return !http1.HasToken(h["Cache-Control"], "no-transform")
}

// addVary adds Accept-Encoding to Vary, once.
func addVary(h http.Header) {
	vary := h["Vary"]
	if http1.HasToken(vary, "Accept-Encoding") || http1.HasToken(vary, "*") {
		return
	}
	h["Vary"] = append(vary[:len(vary):len(vary)], "Accept-Encoding")
}

// addTrailers sends the upstream's trailers behind the body.
func addTrailers(h, trailers http.Header) {
	for name, values := range trailers {
		h[http.TrailerPrefix+name] = values
	}
}
