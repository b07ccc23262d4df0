package edge

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Each of these is answered at most once, and the connection is closed: what
// follows, a request that would show, never gets an answer.
func TestHostileRequests(t *testing.T) {
	var smuggled atomic.Int64
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/smuggled" {
			smuggled.Add(1)
		}
		io.Copy(io.Discard, r.Body)
	})
	l := start(t, Options{Limits: ServerLimits{HeadTime: 300 * time.Millisecond}}, "a.test")
	l.set(proxied("a.test", up))
	const next = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
	chunked := func(body string) string {
		return "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n" + body + next
	}
	for name, tc := range map[string]struct{ text, status string }{
		"both lengths":               {"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, "400"},
		"both lengths, other order":  {"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + next, "400"},
		"two lengths":                {"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n" + next, "400"},
		"two equal lengths":          {"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n" + next, "400"},
		"length list":                {"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0, 0\r\n\r\n" + next, "400"},
		"length with sign":           {"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +5\r\n\r\nhello" + next, "400"},
		"negative length":            {"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: -1\r\n\r\n" + next, "400"},
		"hexadecimal length":         {"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0x5\r\n\r\nhello" + next, "400"},
		"huge length":                {"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 99999999999999999999\r\n\r\n" + next, "400"},
		"empty length":               {"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: \r\n\r\n" + next, "400"},
		"two codings":                {"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + next, "501"},
		"doubled coding":             {"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, "400"},
		"coding identity":            {"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: identity\r\n\r\n" + next, "501"},
		"coding with vertical tab":   {"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n" + next, "400"},
		"space before colon":         {"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + next, "400"},
		"coding in http/1.0":         {"POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, "400"},
		"folded field":               {"GET / HTTP/1.1\r\nHost: a.test\r\nX: a\r\n b\r\n\r\n" + next, "400"},
		"folded first field":         {"GET / HTTP/1.1\r\n Host: a.test\r\n\r\n" + next, "400"},
		"bare lf":                    {"GET / HTTP/1.1\nHost: a.test\n\n" + next, "400"},
		"bare lf in a field":         {"GET / HTTP/1.1\r\nHost: a.test\r\nX: a\nY: b\r\n\r\n" + next, "400"},
		"bare cr in a field":         {"GET / HTTP/1.1\r\nHost: a.test\r\nX: a\rY: b\r\n\r\n" + next, "400"},
		"nul in a field":             {"GET / HTTP/1.1\r\nHost: a.test\r\nX: a\x00\r\n\r\n" + next, "400"},
		"no colon":                   {"GET / HTTP/1.1\r\nHost: a.test\r\nX\r\n\r\n" + next, "400"},
		"empty name":                 {"GET / HTTP/1.1\r\nHost: a.test\r\n: x\r\n\r\n" + next, "400"},
		"no host":                    {"GET / HTTP/1.1\r\n\r\n" + next, "400"},
		"two hosts":                  {"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n" + next, "400"},
		"absolute uri of other host": {"GET https://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n" + next, "400"},
		"absolute uri of odd scheme": {"GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n" + next, "400"},
		"userinfo in absolute uri":   {"GET https://x@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n" + next, "400"},
		"connect":                    {"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n" + next, "405"},
		"trace":                      {"TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n" + next, "405"},
		"http/2 preface":             {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + next, "505"},
		"http/0.9":                   {"GET /\r\n\r\n" + next, "400"},
		"http/1.2":                   {"GET / HTTP/1.2\r\nHost: a.test\r\n\r\n" + next, "505"},
		"two spaces":                 {"GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n" + next, "400"},
		"space in target":            {"GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n" + next, "400"},
		"fragment in target":         {"GET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n" + next, "400"},
		"bad escape in target":       {"GET /%zz HTTP/1.1\r\nHost: a.test\r\n\r\n" + next, "400"},
		"tab in request line":        {"GET\t/ HTTP/1.1\r\nHost: a.test\r\n\r\n" + next, "400"},
		"odd expectation":            {"GET / HTTP/1.1\r\nHost: a.test\r\nExpect: cake\r\n\r\n" + next, "417"},
		"header bomb":                {"GET / HTTP/1.1\r\nHost: a.test\r\n" + strings.Repeat("X: y\r\n", 200) + "\r\n" + next, "431"},
		"long head":                  {"GET / HTTP/1.1\r\nHost: a.test\r\nX: " + strings.Repeat("y", 40<<10) + "\r\n\r\n" + next, "431"},
		"long target":                {"GET /" + strings.Repeat("y", 40<<10) + " HTTP/1.1\r\nHost: a.test\r\n\r\n" + next, "414"},
		"slow head":                  {"GET / HTTP/1.1\r\nHost: a.te", "408"},
		"chunk size with sign":       {chunked("+5\r\nhello\r\n0\r\n\r\n"), "400"},
		"chunk size with 0x":         {chunked("0x5\r\nhello\r\n0\r\n\r\n"), "400"},
		"chunk size with space":      {chunked("5 \r\nhello\r\n0\r\n\r\n"), "400"},
		"chunk size of none":         {chunked("\r\nhello\r\n0\r\n\r\n"), "400"},
		"chunk size overflows":       {chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), "400"},
		"chunk with bare lf":         {chunked("5\nhello\r\n0\r\n\r\n"), "400"},
		"chunk longer than its size": {chunked("5\r\nhello!\r\n0\r\n\r\n"), "400"},
		"chunk end with bare lf":     {chunked("5\r\nhello\n0\r\n\r\n"), "400"},
		"chunk extension with lf":    {chunked("5;a\nb\r\nhello\r\n0\r\n\r\n"), "400"},
		"long chunk extension":       {chunked("5;" + strings.Repeat("a", 1000) + "\r\nhello\r\n0\r\n\r\n"), "400"},
		"malformed trailer":          {chunked("0\r\nX Y: 1\r\n\r\n"), "400"},
		"trailer with bare lf":       {chunked("0\r\nX: 1\n\r\n"), "400"},
	} {
		t.Run(name, func(t *testing.T) {
			got := l.raw("a.test", tc.text)
			if answers(got) != 1 || !strings.HasPrefix(got, "HTTP/1.1 "+tc.status+" ") {
				t.Errorf("got %q, want one %s", got, tc.status)
			}
		})
	}
	if n := smuggled.Load(); n != 0 {
		t.Errorf("%d requests were smuggled", n)
	}
}

// Well-formed oddities are answered, and the connection goes on.
func TestUnusualRequests(t *testing.T) {
	l := start(t, Options{}, "a.test")
	l.set(proxied("a.test", origin(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Saw", r.Method+" "+r.RequestURI+" "+string(body)+"|")
	})))
	const last = "GET /last HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
	for name, tc := range map[string]struct{ text, saw string }{
		"pipelined":             {"GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /2 "},
		"absolute uri":          {"GET https://A.test/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /x?y "},
		"chunk extension":       {"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", "POST / hello"},
		"trailer":               {"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n", "POST / hello"},
		"many chunks":           {"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n4\r\nello\r\n000\r\n\r\n", "POST / hello"},
		"body of a get":         {"GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello", "GET / hello"},
		"expect":                {"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello", "POST / hello"},
		"empty line before":     {"\r\nGET /e HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /e "},
		"http/1.0 kept alive":   {"GET /10 HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n", "GET /10 "},
		"raw octets in target":  {"GET /\xc3\xa9 HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /\xc3\xa9 "},
		"field without a value": {"GET /v HTTP/1.1\r\nHost: a.test\r\nX:\r\n\r\n", "GET /v "},
	} {
		t.Run(name, func(t *testing.T) {
			got := l.raw("a.test", tc.text+last)
			if !strings.Contains(got, "X-Saw: "+tc.saw+"|\r\n") || !strings.Contains(got, "X-Saw: GET /last ") {
				t.Errorf("got %q, want one that saw %q, and the last", got, tc.saw)
			}
		})
	}
}

func TestBodyCutOff(t *testing.T) {
	ended := make(chan error, 1)
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	})
	l := start(t, Options{}, "a.test")
	l.set(proxied("a.test", up))
	conn := l.dial("a.test")
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\nonly so much")
	conn.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the upstream took half a body for a whole one")
		}
	case <-time.After(5 * time.Second):
		t.Error("the upstream was not told")
	}
}

func TestClientGoneEndsUpstream(t *testing.T) {
	began, gone := make(chan bool, 1), make(chan bool, 1)
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		began <- true
		<-r.Context().Done()
		gone <- true
	})
	l := start(t, Options{}, "a.test")
	l.set(proxied("a.test", up))
	conn := l.dial("a.test")
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
	<-began
	conn.Close()
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Error("the upstream goes on for nobody")
	}
}

func TestPlainToTLSPort(t *testing.T) {
	l := start(t, Options{}, "a.test")
	conn, err := net.Dial("tcp", l.https.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
	got, _ := io.ReadAll(conn)
	if !strings.Contains(string(got), "400 Bad Request") {
		t.Errorf("got %q", got)
	}
}
