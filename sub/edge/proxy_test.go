package edge

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestProxyEveryProtocol(t *testing.T) {
	l := start(t, Options{Version: "v1"}, "a.test")
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %d", r.Method, r.Host, r.RequestURI, len(body)))
		w.Header().Set("Etag", `"one"`)
		io.WriteString(w, "hello "+string(body))
	})
	l.set(proxied("a.test", up))
	l.eachProtocol(t, func(t *testing.T, c *http.Client) {
		for _, size := range []int{0, 5, 20_000, 300_000} {
			body := strings.Repeat("x", size)
			method := "POST"
			if size == 0 {
				method = "GET"
			}
			res, got := fetch(t, c, method, "https://a.test/p/q%2F?x=1", body)
			if want := fmt.Sprintf("%s a.test /p/q%%2F?x=1 %d", method, size); res.Header.Get("X-Seen") != want {
				t.Errorf("size %d: upstream saw %q, want %q", size, res.Header.Get("X-Seen"), want)
			}
			if got != "hello "+body {
				t.Errorf("size %d: got %d octets", size, len(got))
			}
			if res.Header.Get("B8s-Sub") != "london" || res.Header.Get("B8s-Version") != "v1" || !strings.Contains(res.Header.Get("Server-Timing"), "upstream;dur=") {
				t.Errorf("fields: %v", res.Header)
			}
			if h3 := res.ProtoMajor == 3; h3 != (res.Header.Get("Alt-Svc") == "") {
				t.Errorf("HTTP/%d with Alt-Svc %q", res.ProtoMajor, res.Header.Get("Alt-Svc"))
			}
		}
	})
}

func TestProxyStreamsUnknownLength(t *testing.T) {
	l := start(t, Options{}, "a.test")
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Trailer", "X-Sum")
		n, _ := io.Copy(w, r.Body)
		w.Header().Set("X-Sum", fmt.Sprint(n))
	})
	l.set(proxied("a.test", up))
	l.eachProtocol(t, func(t *testing.T, c *http.Client) {
		sent := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
		req, _ := http.NewRequest("POST", "https://a.test/", struct{ io.Reader }{bytes.NewReader(sent)})
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		got, err := io.ReadAll(res.Body)
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("got %d octets of %d, %v", len(got), len(sent), err)
		}
		if sum := res.Trailer.Get("X-Sum"); sum != fmt.Sprint(len(sent)) {
			t.Errorf("trailer %q", sum)
		}
	})
}

func TestProxyForwardedFields(t *testing.T) {
	l := start(t, Options{}, "a.test")
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		for key, values := range r.Header {
			w.Header()["Seen-"+key] = values
		}
	})
	l.set(proxied("a.test", up))
	l.eachProtocol(t, func(t *testing.T, c *http.Client) {
		res, _ := fetch(t, c, "GET", "https://a.test/", "",
			"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "gopher", "Forwarded", "for=6.6.6.6", "X-Real-Ip", "6.6.6.6",
			"X_Forwarded_For", "6.6.6.6", "X-Forwarded-Prefix", "/evil", "Proxy", "6.6.6.6", "X-Request-Id", "forged", "Keep-Me", "kept",
			"B8s-Sub", "mine", "Cookie", "a=1")
		want := map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.test", "X-Real-Ip": "127.0.0.1",
			"Forwarded": `for=127.0.0.1;host="a.test";proto=https`, "Keep-Me": "kept", "Cookie": "a=1",
			"X-Forwarded-Prefix": "", "Proxy": "", "B8s-Sub": "", "X_forwarded_for": "",
		}
		for name, value := range want {
			if got := strings.Join(res.Header["Seen-"+name], ","); got != value {
				t.Errorf("%s: upstream saw %q, want %q", name, got, value)
			}
		}
		if id := res.Header.Get("Seen-X-Request-Id"); len(id) != 16 {
			t.Errorf("request id %q", id)
		}
	})
}

func TestProxyCompresses(t *testing.T) {
	l := start(t, Options{}, "a.test", "plain.test")
	text := strings.Repeat("compress me, I am text. ", 1000)
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Etag", `"strong"`)
		if r.URL.Path == "/no" {
			w.Header().Set("Cache-Control", "no-transform")
		}
		io.WriteString(w, text)
	})
	plain := proxied("plain.test", up)
	plain.NoCompression = true
	l.set(proxied("a.test", up), plain)
	for _, tc := range []struct{ url, accept, encoding string }{
		{"https://a.test/", "gzip", "gzip"}, {"https://a.test/", "gzip, br, zstd", "zstd"}, {"https://a.test/", "br;q=1, gzip;q=0.5", "br"},
		{"https://a.test/", "identity", ""}, {"https://a.test/", "gzip;q=0", ""}, {"https://a.test/", "*", "zstd"},
		{"https://a.test/no", "gzip", ""}, {"https://plain.test/", "gzip", ""},
	} {
		l.eachProtocol(t, func(t *testing.T, c *http.Client) {
			res, got := fetch(t, c, "GET", tc.url, "", "Accept-Encoding", tc.accept)
			if enc := res.Header.Get("Content-Encoding"); enc != tc.encoding {
				t.Fatalf("%s with %q: encoding %q, want %q", tc.url, tc.accept, enc, tc.encoding)
			}
			if got := decode(t, tc.encoding, got); got != text {
				t.Errorf("%s with %q: %d octets decoded", tc.url, tc.accept, len(got))
			}
			tag, vary := `"strong"`, ""
			if tc.encoding != "" {
				tag = `W/"strong"`
			}
			if tc.url == "https://a.test/" {
				vary = "Accept-Encoding"
			}
			if res.Header.Get("Etag") != tag || res.Header.Get("Vary") != vary {
				t.Errorf("%s with %q: etag %q, vary %q", tc.url, tc.accept, res.Header.Get("Etag"), res.Header.Get("Vary"))
			}
		})
	}
}

func TestUpstreamDown(t *testing.T) {
	l := start(t, Options{}, "a.test")
	l.set(proxied("a.test", nextLoopback().String()+":9"))
	l.eachProtocol(t, func(t *testing.T, c *http.Client) {
		res, body := fetch(t, c, "GET", "https://a.test/", "")
		if res.StatusCode != 502 || !strings.Contains(body, "sub london, request ") {
			t.Errorf("%d %q", res.StatusCode, body)
		}
	})
	if st := l.State().Upstreams; len(st) != 1 {
		t.Errorf("upstreams %v", st)
	} else {
		for _, u := range st {
			if u.Failing.IsZero() || u.Err == "" || u.Active != 0 {
				t.Errorf("upstream %+v", u)
			}
		}
	}
}
