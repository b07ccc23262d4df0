package edge

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestRoutes(t *testing.T) {
	l := start(t, Options{}, "a.test", "*.w.test", "x.w.test", "b.test")
	says := func(word string) string {
		return origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, word+" "+r.RequestURI) })
	}
	api := Site{Name: "a", Hosts: []string{"a.test"}, Routes: []Route{
		{Path: "/", Upstream: says("root")}, {Path: "/api/", Upstream: says("api")}, {Path: "/api/v2", Strip: true, Upstream: says("v2")}}}
	some := Site{Name: "some", Hosts: []string{"b.test"}, Routes: []Route{{Path: "/only", Upstream: says("only")}}}
	l.set(api, some, proxied("*.w.test", says("star")), proxied("x.w.test", says("exact")))
	for url, want := range map[string]string{
		"https://a.test/": "root /", "https://a.test/apix": "root /apix", "https://a.test/api": "api /api", "https://a.test/api/x?y": "api /api/x?y",
		"https://a.test/api/v2": "v2 /", "https://a.test/api/v2/%41?q": "v2 /%41?q", "https://y.w.test/": "star /", "https://x.w.test/": "exact /",
		"https://b.test/only": "only /only", "https://b.test/": "404 Not Found", "https://a.test/a/%2e%2e/b": "400 Bad Request", "https://c.w.test/./": "400 Bad Request",
	} {
		l.eachProtocol(t, func(t *testing.T, c *http.Client) {
			_, got := fetch(t, c, "GET", url, "")
			if first, _, _ := strings.Cut(got, "\n"); first != want {
				t.Errorf("%s: got %q, want %q", url, first, want)
			}
		})
	}
}

func TestHostOfAnotherCertificate(t *testing.T) {
	l := start(t, Options{})
	if err := l.SetCertificates(map[string]Certificate{"a": l.ca.fresh(t, "a.test"), "b": l.ca.fresh(t, "b.test", "c.test")}); err != nil {
		t.Fatal(err)
	}
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {})
	l.set(proxied("a.test", up), proxied("b.test", up), proxied("c.test", up))
	for _, tc := range []struct{ sni, host, status string }{
		{"a.test", "a.test", "200"}, {"a.test", "A.TEST:443", "200"}, {"a.test", "b.test", "421"}, {"b.test", "c.test", "200"},
		{"a.test", "nobody.test", "421"}, {"a.test", "a.test:x", "421"}, {"a.test", "127.0.0.1", "421"},
	} {
		got := l.raw(tc.sni, "GET / HTTP/1.1\r\nHost: "+tc.host+"\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 "+tc.status+" ") {
			t.Errorf("%s over %s: got %q, want %s", tc.host, tc.sni, got, tc.status)
		}
	}
}

func TestBadSitesLeaveTheOthers(t *testing.T) {
	l := start(t, Options{}, "a.test", "b.test")
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {})
	l.set(proxied("a.test", up), proxied("b.test", up))
	bad := proxied("b.test", "nowhere")
	err := l.SetSites([]Site{proxied("a.test", up), bad})
	var errs Errors
	if !errors.As(err, &errs) || len(errs) != 1 || errs["b-test"] == nil {
		t.Fatalf("errors %v", err)
	}
	for _, host := range []string{"a.test", "b.test"} {
		if res, _ := fetch(t, l.client(viaHTTP2), "GET", "https://"+host+"/", ""); res.StatusCode != 200 {
			t.Errorf("%s: %d", host, res.StatusCode)
		}
	}
	for name, s := range map[string]Site{
		"no host": {Name: "x", Routes: []Route{{Upstream: up}}}, "no route": {Name: "x", Hosts: []string{"x.test"}}, "no name": proxied("", up),
		"upper case": proxied("X.test", up), "address": proxied("[::1]", up), "two targets": {Name: "x", Hosts: []string{"x.test"}, Routes: []Route{{Upstream: up, Folder: fstest.MapFS{}}}},
		"no digest": {Name: "x", Hosts: []string{"x.test"}, Routes: []Route{{Folder: fstest.MapFS{}}}}, "same path": {Name: "x", Hosts: []string{"x.test"}, Routes: []Route{{Upstream: up}, {Path: "/", Upstream: up}}},
	} {
		if l.SetSites([]Site{s}) == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := l.SetSites([]Site{{Name: "one", Hosts: []string{"a.test"}, Routes: []Route{{Upstream: up}}}, {Name: "two", Hosts: []string{"a.test"}, Routes: []Route{{Upstream: up}}}}); err == nil {
		t.Error("two sites with one host were taken")
	}
}

func TestActiveLimit(t *testing.T) {
	l := start(t, Options{}, "a.test")
	enter, leave := make(chan bool), make(chan bool)
	s := proxied("a.test", origin(t, func(w http.ResponseWriter, r *http.Request) { enter <- true; <-leave }))
	s.Limits.Active = 1
	l.set(s)
	c := l.client(viaHTTP2)
	done := make(chan int)
	go func() {
		res, err := c.Get("https://a.test/")
		if err != nil {
			t.Error(err)
			done <- 0
			return
		}
		res.Body.Close()
		done <- res.StatusCode
	}()
	<-enter
	if st := l.State(); st.Sites["a-test"].Active != 1 || st.Upstreams[s.Routes[0].Upstream].Active != 1 {
		t.Errorf("state %+v", st)
	}
	res, body := fetch(t, c, "GET", "https://a.test/", "")
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(body, "sub london") {
		t.Errorf("%d %q", res.StatusCode, body)
	}
	leave <- true
	if status := <-done; status != 200 {
		t.Errorf("the first got %d", status)
	}
	if st := l.State().Sites["a-test"]; st.Active != 0 || st.Refused != 1 || st.Requests != 2 {
		t.Errorf("state %+v", st)
	}
}

func TestBodyLimit(t *testing.T) {
	l := start(t, Options{}, "a.test")
	s := proxied("a.test", origin(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	s.Limits.Body = 100_000
	l.set(s)
	l.eachProtocol(t, func(t *testing.T, c *http.Client) {
		for size, want := range map[int]int{100_000: 200, 100_001: 413} {
			res, _ := fetch(t, c, "POST", "https://a.test/", strings.Repeat("x", size))
			if res.StatusCode != want {
				t.Errorf("%d octets: %d, want %d", size, res.StatusCode, want)
			}
		}
	})
}

func TestUpstreamTimeout(t *testing.T) {
	l := start(t, Options{}, "a.test")
	stop := make(chan bool)
	s := proxied("a.test", origin(t, func(w http.ResponseWriter, r *http.Request) { <-stop }))
	t.Cleanup(func() { close(stop) }) // before the upstream's, which waits for it
	s.Limits.Head = 400 * time.Millisecond
	l.set(s)
	l.eachProtocol(t, func(t *testing.T, c *http.Client) {
		if res, _ := fetch(t, c, "GET", "https://a.test/", ""); res.StatusCode != 504 {
			t.Errorf("status %d, want 504", res.StatusCode)
		}
	})
}

func TestRedirectsAndChallenges(t *testing.T) {
	l := start(t, Options{}, "a.test")
	s := proxied("a.test", "127.0.0.1:9")
	s.HSTS = HSTS{MaxAge: time.Hour, IncludeSubDomains: true}
	l.set(s)
	l.SetChallenges(map[string]string{"tok": "tok.auth"})
	c := l.client(viaHTTP1)
	_, port, _ := strings.Cut(l.https.String(), ":")
	for _, tc := range []struct {
		method, url string
		status      int
		want        string
	}{
		{"GET", "http://a.test/x?y=%20z", 301, "https://a.test:" + port + "/x?y=%20z"}, {"POST", "http://a.test/", 308, "https://a.test:" + port + "/"},
		{"GET", "http://b.test/", 421, ""}, {"GET", "http://a.test/.well-known/acme-challenge/tok", 200, "tok.auth"},
		{"GET", "http://b.test/.well-known/acme-challenge/tok", 200, "tok.auth"}, {"GET", "http://a.test/.well-known/acme-challenge/no", 404, ""},
	} {
		res, body := fetch(t, c, tc.method, tc.url, "")
		got := res.Header.Get("Location")
		if tc.status == 200 {
			got = body
		}
		if res.StatusCode != tc.status || got != tc.want {
			t.Errorf("%s %s: %d %q, want %d %q", tc.method, tc.url, res.StatusCode, got, tc.status, tc.want)
		}
	}
	if res, _ := fetch(t, l.client(viaHTTP2), "GET", "https://a.test/", ""); res.Header.Get("Strict-Transport-Security") != "max-age=3600; includeSubDomains" {
		t.Errorf("hsts %q", res.Header.Get("Strict-Transport-Security"))
	}
}

func TestStaticSite(t *testing.T) {
	folder := fstest.MapFS{
		"index.html": {Data: []byte(strings.Repeat("<p>hello</p>", 1000))}, "a.bin": {Data: []byte("0123456789")},
		"404.html": {Data: []byte("gone")}, ".secret": {Data: []byte("x")}, "sub/index.html": {Data: []byte("sub")},
	}
	ca := newAuthority(t)
	tags := map[string]bool{}
	for range 2 { // two subs
		l := startWith(t, ca, Options{}, "a.test")
		l.set(Site{Name: "a", Hosts: []string{"a.test"}, Routes: []Route{{Folder: folder, Digest: "d1"}}})
		l.eachProtocol(t, func(t *testing.T, c *http.Client) {
			for _, tc := range []struct {
				method, path string
				fields       []string
				status       int
				encoding     string
				body         string
			}{
				{"GET", "/", nil, 200, "", string(folder["index.html"].Data)},
				{"GET", "/", []string{"Accept-Encoding", "br, gzip"}, 200, "br", string(folder["index.html"].Data)},
				{"GET", "/", []string{"Accept-Encoding", "gzip"}, 200, "gzip", string(folder["index.html"].Data)},
				{"GET", "/a.bin", nil, 200, "", "0123456789"}, {"GET", "/a.bin", []string{"Range", "bytes=2-4"}, 206, "", "234"},
				{"GET", "/a.bin", []string{"Range", "bytes=20-"}, 416, "", ""}, {"HEAD", "/a.bin", nil, 200, "", ""}, {"GET", "/no", nil, 404, "", "gone"},
				{"GET", "/.secret", nil, 404, "", "gone"}, {"GET", "/sub", nil, 301, "", ""}, {"GET", "/sub/", nil, 200, "", "sub"}, {"POST", "/", nil, 405, "", ""},
			} {
				res, body := fetch(t, c, tc.method, "https://a.test"+tc.path, "", tc.fields...)
				if res.StatusCode != tc.status || res.Header.Get("Content-Encoding") != tc.encoding {
					t.Errorf("%s %s %v: %d %q", tc.method, tc.path, tc.fields, res.StatusCode, res.Header.Get("Content-Encoding"))
					continue
				}
				if got := decode(t, tc.encoding, body); tc.body != "" && got != tc.body {
					t.Errorf("%s %s %v: got %.50q", tc.method, tc.path, tc.fields, got)
				}
				if tc.status == 200 && tc.path == "/" {
					tag := res.Header.Get("Etag")
					tags[tc.encoding+tag] = true
					again, _ := fetch(t, c, "GET", "https://a.test/", "", append(tc.fields, "If-None-Match", tag)...)
					if again.StatusCode != 304 || res.Header.Get("Vary") != "Accept-Encoding" || strings.HasPrefix(tag, "W/") {
						t.Errorf("%v: %d for etag %q, vary %q", tc.fields, again.StatusCode, tag, res.Header.Get("Vary"))
					}
				}
			}
		})
	}
	if len(tags) != 3 {
		t.Errorf("etags %v, want one of each variant on both subs", tags)
	}
}

func TestAccessLogAndCounters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	registry := prometheus.NewRegistry()
	l := start(t, Options{AccessLog: AccessLog{Path: path, Size: 4000, Keep: 2}, Registry: registry}, "a.test")
	s := proxied("a.test", origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hi") }))
	s.AccessLog = true
	l.set(s)
	c := l.client(viaHTTP1)
	for range 100 {
		fetch(t, c, "GET", "https://a.test/page?token=geheim", "", "User-Agent", "spyware", "Cookie", "id=geheim")
	}
	deadline := time.Now().Add(5 * time.Second)
	for len(l.lines.queue) > 0 || !exists(path+".2") {
		if time.Now().After(deadline) {
			t.Fatal("no rotated logs")
		}
		<-time.After(10 * time.Millisecond)
	}
	var all []byte
	for _, suffix := range []string{"", ".1", ".2", ".3"} {
		text, err := os.ReadFile(path + suffix)
		if len(text) > 4000 || suffix == ".3" && err == nil {
			t.Errorf("%s has %d octets, %v", suffix, len(text), err)
		}
		all = append(all, text...)
	}
	for _, want := range []string{`"path":"/page"`, `"status":200`, `"protocol":"http/1"`, `"site":"a-test"`} {
		if !strings.Contains(string(all), want) {
			t.Errorf("no %s in the log", want)
		}
	}
	for _, not := range []string{"geheim", "spyware", "127.0.0.1"} {
		if strings.Contains(string(all), not) {
			t.Errorf("%s is in the log", not)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var counted uint64
	for _, f := range families {
		if f.GetName() == "b8s_edge_request_seconds" {
			for _, m := range f.GetMetric() {
				counted += m.GetHistogram().GetSampleCount()
			}
		}
	}
	if counted != 100 {
		t.Errorf("%d requests counted, want 100", counted)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
