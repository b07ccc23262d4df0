package http1

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
)

// Limits of a message's head and trailers.
type Limits struct {
	Head   int // octets; 0: 32 KiB
	Fields int // lines; 0: 128
}

func (l Limits) withDefaults() Limits {
	if l.Head <= 0 {
		l.Head = 32 << 10
	}
	if l.Fields <= 0 {
		l.Fields = 128
	}
	return l
}

// RequestHead is a request up to its body.
type RequestHead struct {
	Method  string
	Target  string // origin-form, or "*"
	Host    string // of the Host field, as sent
	Minor   int    // of HTTP/1.x
	URL     url.URL
	Framing Framing // Length 0 without a body
	Close   bool    // the client wants the connection closed
	Expect  bool    // 100-continue
}

// ResponseHead is a response up to its body.
type ResponseHead struct {
	Status  int
	Minor   int
	Framing Framing // as the fields say; what has no body is not heeded
	Close   bool
}

// endOfHead finds the end of a head, behind its empty line, that begins at
// from or later. seen is how far earlier calls have looked. A line that doesn't
// end with CRLF is an error at once.
func endOfHead(buf []byte, seen int) (end int, next int, err error) {
	for {
		i := bytes.IndexByte(buf[seen:], '\n')
		if i < 0 {
			return 0, seen, nil
		}
		at := seen + i
		if at == 0 || buf[at-1] != '\r' {
			return 0, seen, errLineEnd
		}
		seen = at + 1
		if at >= 3 && buf[at-2] == '\n' || at == 1 {
			return seen, seen, nil
		}
	}
}

// ParseRequest reads a head, which ends with an empty line, and puts its fields
// into h, which is empty.
func ParseRequest(text string, h http.Header, limits Limits) (RequestHead, error) {
	limits = limits.withDefaults()
	var r RequestHead
	eol := strings.IndexByte(text, '\n')
	if eol < 1 || len(text) < 4 || !strings.HasSuffix(text, "\r\n\r\n") {
		return r, errLine
	}
	if err := r.parseLine(text[:eol-1]); err != nil {
		return r, err
	}
	if err := parseFields(text[eol+1:len(text)-2], h, limits.Fields); err != nil {
		return r, err
	}
	return r, r.check(h)
}

// parseLine reads METHOD TARGET HTTP/1.x, single spaces between.
func (r *RequestHead) parseLine(line string) error {
	method, rest, ok := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || method == "" || len(method) > 32 || !all(method, isToken) || target == "" {
		return errLine
	}
	switch version {
	case "HTTP/1.1":
		r.Minor = 1
	case "HTTP/1.0":
	default:
		if len(version) == 8 && strings.HasPrefix(version, "HTTP/") {
			return errVersion
		}
		return errLine
	}
	if !all(target, isTarget) {
		return errTarget
	}
	r.Method, r.Target = method, target
	return nil
}

// check reads what the fields say of the message, and holds the target against
// the host.
func (r *RequestHead) check(h http.Header) error {
	if r.Method == "CONNECT" || r.Method == "TRACE" {
		return errMethod
	}
	f, err := framing(h)
	if err != nil {
		return err
	}
	if f.Chunked && r.Minor == 0 {
		return errFraming
	}
	if f.Length < 0 && !f.Chunked {
		f.Length = 0
	}
	r.Framing = f
	hosts := h["Host"]
	if len(hosts) > 1 || len(hosts) == 0 && r.Minor == 1 {
		return errHost
	}
	if len(hosts) == 1 {
		r.Host = hosts[0]
		delete(h, "Host")
	}
	if err := r.parseTarget(); err != nil {
		return err
	}
	connection := h["Connection"]
	r.Close = HasToken(connection, "close") || r.Minor == 0 && !HasToken(connection, "keep-alive")
	if expect := h["Expect"]; expect != nil {
		if len(expect) > 1 || !strings.EqualFold(expect[0], "100-continue") {
			return errExpectation
		}
		r.Expect = r.Minor == 1
	}
	return nil
}

// parseTarget takes origin-form, "*" for OPTIONS, and absolute-form of the host
// that the Host field names too.
func (r *RequestHead) parseTarget() error {
	if r.Target == "*" {
		if r.Method != "OPTIONS" {
			return errTarget
		}
		r.URL = url.URL{Path: "*"}
		return nil
	}
	if r.Target[0] != '/' {
		if err := r.parseAbsolute(); err != nil {
			return err
		}
	}
	path, query, asked := strings.Cut(r.Target, "?")
	r.URL = url.URL{Path: path, RawQuery: query, ForceQuery: asked && query == ""}
	if strings.IndexByte(path, '%') >= 0 {
		decoded, err := url.PathUnescape(path)
		if err != nil {
			return errTarget
		}
		r.URL.Path, r.URL.RawPath = decoded, path
	}
	return nil
}

// parseAbsolute makes origin-form of http://HOST/PATH.
func (r *RequestHead) parseAbsolute() error {
	scheme, rest, ok := strings.Cut(r.Target, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return errTarget
	}
	authority, target := rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, target = rest[:i], rest[i:]
	}
	if authority == "" || r.Minor == 1 && !strings.EqualFold(authority, r.Host) {
		return errOtherHost
	}
	if r.Host != "" && !strings.EqualFold(authority, r.Host) {
		return errOtherHost
	}
	if target[0] == '?' {
		target = "/" + target
	}
	r.Host, r.Target = authority, target
	return nil
}

// ParseResponse reads a head, which ends with an empty line, and puts its
// fields into h, which is empty.
func ParseResponse(text string, h http.Header, limits Limits) (ResponseHead, error) {
	limits = limits.withDefaults()
	var r ResponseHead
	eol := strings.IndexByte(text, '\n')
	if eol < 1 || len(text) < 4 || !strings.HasSuffix(text, "\r\n\r\n") {
		return r, errStatus
	}
	if err := r.parseLine(text[:eol-1]); err != nil {
		return r, err
	}
	if err := parseFields(text[eol+1:len(text)-2], h, limits.Fields); err != nil {
		return r, err
	}
	f, err := framing(h)
	if err != nil {
		return r, err
	}
	if f.Chunked && r.Minor == 0 {
		return r, errFraming
	}
	r.Framing = f
	connection := h["Connection"]
	r.Close = HasToken(connection, "close") || r.Minor == 0 && !HasToken(connection, "keep-alive")
	return r, nil
}

// parseLine reads HTTP/1.x STATUS REASON; the reason may be missing.
func (r *ResponseHead) parseLine(line string) error {
	if len(line) < 12 || line[:7] != "HTTP/1." || line[8] != ' ' || len(line) > 12 && line[12] != ' ' || !all(line, isValue) {
		return errStatus
	}
	if line[7] != '0' && line[7] != '1' {
		return errStatus
	}
	status, ok := parseDecimal(line[9:12])
	if !ok || status < 100 || status > 599 {
		return errStatus
	}
	r.Minor, r.Status = int(line[7]-'0'), int(status)
	return nil
}

// HasBody tells whether a response to a method has a body (RFC 9110 section
// 6.4.1).
func HasBody(method string, status int) bool {
	return method != "HEAD" && status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
