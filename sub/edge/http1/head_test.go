package http1

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

// FuzzRequestHead: a head that is taken means the same to net/http, which
// shares none of this code, and is never ambiguous.
func FuzzRequestHead(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"OPTIONS * HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nX: \t y \r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		end, _, err := endOfHead([]byte(text), 0)
		if err != nil || end == 0 || end == 2 {
			return
		}
		text = text[:end]
		h := http.Header{}
		head, err := ParseRequest(text, h, Limits{})
		if err != nil {
			return
		}
		if h["Content-Length"] != nil && h["Transfer-Encoding"] != nil || len(h["Content-Length"]) > 1 || len(h["Host"]) > 0 {
			t.Fatalf("ambiguous head taken: %q", text)
		}
		other, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return // stricter about hosts and targets, as it should be free to
		}
		if other.Method != head.Method || head.Framing.Chunked != (len(other.TransferEncoding) > 0) ||
			!head.Framing.Chunked && other.ContentLength != head.Framing.Length || other.URL.Path != head.URL.Path && other.URL.Path != "" {
			t.Fatalf("%q: %+v, but net/http reads %+v", text, head, other)
		}
		for key, values := range other.Header {
			if strings.Join(values, "|") != strings.Join(h[key], "|") && key != "Host" {
				t.Fatalf("%q: field %q is %q, but net/http reads %q", text, key, h[key], values)
			}
		}
	})
}

// FuzzResponseHead: as FuzzRequestHead.
func FuzzResponseHead(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.0 404\r\n\r\n", "HTTP/1.1 101 X\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n", "HTTP/1.1 99 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h := http.Header{}
		r := NewReader(strings.NewReader(text), Limits{})
		head, err := r.ReadResponse(h)
		if err != nil {
			return
		}
		if head.Status < 100 || head.Status > 599 || h["Content-Length"] != nil && h["Transfer-Encoding"] != nil {
			t.Fatalf("head taken: %q", text)
		}
		other, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
		if err == nil && other.StatusCode != head.Status {
			t.Fatalf("%q: status %d, but net/http reads %d", text, head.Status, other.StatusCode)
		}
	})
}

func BenchmarkParseRequest(b *testing.B) {
	text := "GET /index.html?q=1 HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html\r\n" +
		"Accept-Encoding: gzip, br, zstd\r\nAccept-Language: en\r\nCookie: a=b; c=d\r\nConnection: keep-alive\r\n\r\n"
	h := http.Header{}
	b.ReportAllocs()
	for b.Loop() {
		clear(h)
		if _, err := ParseRequest(text, h, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
