package http1

import (
	"net/http"
	"net/textproto"
	"strings"
)

// octet classes
const (
	isToken  = 1 << iota // RFC 9110 section 5.6.2
	isValue              // in a field's value: HTAB, SP, visible, obs-text
	isTarget             // in a request target: visible but '#', and what browsers leave unescaped above ASCII
)

var class = func() (t [256]uint8) {
	for c := range 256 {
		if c > ' ' && c != 0x7f {
			t[c] |= isValue | isTarget
		}
	}
	t[' '] |= isValue
	t['\t'] |= isValue
	t['#'] &^= isTarget
	for c := '0'; c <= '9'; c++ {
		t[c] |= isToken
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= isToken
		t[c-'a'+'A'] |= isToken
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= isToken
	}
	return t
}()

// all tells whether each octet is of a class.
func all(s string, want uint8) bool {
	for i := 0; i < len(s); i++ {
		if class[s[i]]&want == 0 {
			return false
		}
	}
	return true
}

// known maps usual field names, as they are sent, to their canonical form.
var known = func() map[string]string {
	m := map[string]string{}
	for _, name := range strings.Fields(`Accept Accept-Charset Accept-Encoding Accept-Language Accept-Ranges
		Access-Control-Allow-Origin Access-Control-Request-Headers Access-Control-Request-Method Age Allow Alt-Svc
		Authorization Cache-Control Connection Content-Disposition Content-Encoding Content-Language Content-Length
		Content-Location Content-Range Content-Security-Policy Content-Type Cookie Date Dnt Etag Expect Expires
		Forwarded Host If-Match If-Modified-Since If-None-Match If-Range If-Unmodified-Since Keep-Alive Last-Modified
		Link Location Origin Pragma Priority Range Referer Referrer-Policy Retry-After Sec-Ch-Ua Sec-Ch-Ua-Mobile
		Sec-Ch-Ua-Platform Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-Websocket-Accept
		Sec-Websocket-Extensions Sec-Websocket-Key Sec-Websocket-Protocol Sec-Websocket-Version Server Server-Timing
		Set-Cookie Strict-Transport-Security Te Trailer Transfer-Encoding Upgrade Upgrade-Insecure-Requests User-Agent
		Vary Via Www-Authenticate X-Content-Type-Options X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto
		X-Frame-Options X-Powered-By X-Request-Id X-Requested-With X-Xss-Protection`) {
		m[name] = name
		m[strings.ToLower(name)] = name
	}
	m["ETag"] = "Etag"
	m["TE"] = "Te"
	m["DNT"] = "Dnt"
	m["WWW-Authenticate"] = "Www-Authenticate"
	for _, name := range []string{"Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"} {
		m[name] = textproto.CanonicalMIMEHeaderKey(name)
	}
	return m
}()

// canonical is the key of a field name in an http.Header.
func canonical(name string) string {
	if key, ok := known[name]; ok {
		return key
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

// parseFields reads field lines into h, which may hold some, up to the end of
// text; each ends with CRLF. The values share text's memory. one is room for
// as many single values as there are lines.
func parseFields(text string, h http.Header, limit int) error {
	one := make([]string, strings.Count(text, "\n"))
	if len(one) > limit {
		return errFieldCount
	}
	for text != "" {
		end := strings.IndexByte(text, '\n') // each line has one
		line := text[:end-1]
		text = text[end+1:]
		if line == "" || line[0] == ' ' || line[0] == '\t' {
			return errFold
		}
		colon := strings.IndexByte(line, ':')
		if colon <= 0 || !all(line[:colon], isToken) {
			return errFieldName
		}
		value := trimSpace(line[colon+1:])
		if !all(value, isValue) {
			return errFieldValue
		}
		key := canonical(line[:colon])
		if values, ok := h[key]; ok {
			h[key] = append(values, value)
			continue
		}
		one[0] = value
		h[key] = one[:1:1]
		one = one[1:]
	}
	return nil
}

// trimSpace takes optional white space off both ends.
func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// HasToken tells whether a list of comma-separated tokens holds one, in any
// case.
func HasToken(values []string, token string) bool {
	for _, list := range values {
		for list != "" {
			var item string
			item, list, _ = strings.Cut(list, ",")
			if strings.EqualFold(trimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// Framing is how a message's body ends.
type Framing struct {
	Length  int64 // known, if not Chunked; -1: to the end of the connection
	Chunked bool
}

// framing reads Content-Length and Transfer-Encoding. Length is -1 where
// neither is there.
func framing(h http.Header) (Framing, error) {
	lengths, codings := h["Content-Length"], h["Transfer-Encoding"]
	switch {
	case lengths == nil && codings == nil:
		return Framing{Length: -1}, nil
	case lengths != nil && codings != nil, len(lengths) > 1, len(codings) > 1:
		return Framing{}, errFraming
	case codings != nil:
		if !strings.EqualFold(codings[0], "chunked") {
			return Framing{}, errCoding
		}
		return Framing{Length: -1, Chunked: true}, nil
	}
	n, ok := parseDecimal(lengths[0])
	if !ok {
		return Framing{}, errLength
	}
	return Framing{Length: n}, nil
}

// parseDecimal reads 1 to 18 digits and nothing else.
func parseDecimal(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}
