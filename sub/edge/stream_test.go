package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

func TestServerSentEvents(t *testing.T) {
	l := start(t, Options{}, "a.test")
	next := make(chan string)
	l.set(proxied("a.test", origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for word := range next {
			if word == "" {
				return
			}
			fmt.Fprintf(w, "data: %s\n\n", word)
			w.(http.Flusher).Flush()
		}
	})))
	l.eachProtocol(t, func(t *testing.T, c *http.Client) {
		go func() { next <- "one" }()
		res, err := c.Get("https://a.test/")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		lines := bufio.NewReader(res.Body)
		for i, word := range []string{"one", "two", "three"} {
			if i > 0 {
				next <- word
			}
			if got, err := lines.ReadString('\n'); got != "data: "+word+"\n" {
				t.Fatalf("got %q %v before the next was sent, want %q", got, err, word)
			}
			lines.ReadString('\n')
		}
		next <- ""
	})
}

func TestUpgrade(t *testing.T) {
	up := listen(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		req, err := http.ReadRequest(r)
		if err != nil || req.Header.Get("Upgrade") != "websocket" || req.Header.Get("Sec-Websocket-Key") != "k" {
			fmt.Fprintf(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\nearly")
		io.Copy(c, r)
	})
	l := start(t, Options{}, "a.test")
	l.set(proxied("a.test", up))
	conn := l.dial("a.test")
	io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\nahead")
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("Upgrade") != "websocket" || res.Header.Get("X") != "y" {
		t.Fatalf("%v %+v", err, res)
	}
	got := make([]byte, len("earlyahead"))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "earlyahead" {
		t.Fatalf("got %q %v", got, err)
	}
	io.WriteString(conn, "ping")
	if _, err := io.ReadFull(r, got[:4]); err != nil || string(got[:4]) != "ping" {
		t.Fatalf("got %q %v", got[:4], err)
	}
	conn.Close()
	wait(t, "the upgraded connection ends", func() bool { return l.State().Upstreams[up].Active == 0 })
}

// listen is an upstream that speaks as it likes.
func listen(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serve(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-ended })
	return ln.Addr().String()
}

// wait waits for what comes about by itself.
func wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestEarlyHints(t *testing.T) {
	l := start(t, Options{}, "a.test")
	l.set(proxied("a.test", origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "page")
	})))
	l.eachProtocol(t, func(t *testing.T, c *http.Client) {
		var hints []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, h.Get("Link")))
			return nil
		}}
		req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), "GET", "https://a.test/", nil)
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := strings.Join(hints, "|"); res.StatusCode != 200 || got != "103</a.css>; rel=preload" {
			t.Errorf("%d after %q", res.StatusCode, got)
		}
	})
}

// What gRPC asks of a proxy: HTTP/2 to the upstream, both ways at once, and
// trailers.
func TestGRPC(t *testing.T) {
	h2 := &http2.Server{}
	handle := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Te") != "trailers" {
			t.Errorf("te %q", r.Header.Get("Te"))
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		lines := bufio.NewReader(r.Body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				break
			}
			io.WriteString(w, "echo "+line)
			w.(http.Flusher).Flush()
		}
		w.Header().Set("Grpc-Status", "0")
	})
	up := listen(t, func(c net.Conn) { h2.ServeConn(c, &http2.ServeConnOpts{Handler: handle}) })
	l := start(t, Options{}, "a.test")
	s := proxied("a.test", up)
	s.Routes[0].H2C = true
	l.set(s)
	c := l.client(viaHTTP2)
	body, write := io.Pipe()
	req, _ := http.NewRequest("POST", "https://a.test/svc/Method", body)
	req.Header.Set("Te", "trailers")
	req.Header.Set("Content-Type", "application/grpc")
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for _, word := range []string{"a\n", "b\n"} {
		io.WriteString(write, word)
		if got, err := lines.ReadString('\n'); got != "echo "+word {
			t.Fatalf("got %q %v", got, err)
		}
	}
	write.Close()
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("then %q %v", rest, err)
	}
	if res.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("trailers %v", res.Trailer)
	}
}

// An answer that breaks off must not look complete.
func TestBrokenAnswer(t *testing.T) {
	for name, text := range map[string]string{
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
		"chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nxx\r\n",
		"gzipped": "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			up := listen(t, func(c net.Conn) {
				http.ReadRequest(bufio.NewReader(c))
				io.WriteString(c, text)
			})
			l := start(t, Options{}, "a.test")
			l.set(proxied("a.test", up))
			l.eachProtocol(t, func(t *testing.T, c *http.Client) {
				req, _ := http.NewRequest("GET", "https://a.test/", nil)
				req.Header.Set("Accept-Encoding", "gzip")
				res, err := c.Do(req)
				if err != nil {
					return // broken off before its head was out
				}
				defer res.Body.Close()
				if got, err := io.ReadAll(res.Body); err == nil {
					t.Errorf("a whole answer of %d octets", len(got))
				}
			})
		})
	}
}

func TestMalformedAnswers(t *testing.T) {
	for name, text := range map[string]string{
		"both lengths": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "no http": "SSH-2.0-OpenSSH\r\n\r\n",
		"bare lf": "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "folded": "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "nothing": "",
		"unasked 101": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			up := listen(t, func(c net.Conn) {
				http.ReadRequest(bufio.NewReader(c))
				io.WriteString(c, text)
			})
			l := start(t, Options{}, "a.test")
			l.set(proxied("a.test", up))
			if res, _ := fetch(t, l.client(viaHTTP2), "GET", "https://a.test/", ""); res.StatusCode != 502 {
				t.Errorf("status %d, want 502", res.StatusCode)
			}
		})
	}
}

// Octets that nobody asked for are never taken for the next answer.
func TestUnaskedAnswerIsNotServed(t *testing.T) {
	up := listen(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		}
	})
	l := start(t, Options{}, "a.test")
	l.set(proxied("a.test", up))
	c := l.client(viaHTTP1)
	for range 5 {
		if _, got := fetch(t, c, "GET", "https://a.test/", ""); got != "good" {
			t.Fatalf("got %q", got)
		}
	}
}

// A connection that the upstream closed is not tried with what can't be sent
// twice, and a GET is sent again.
func TestUpstreamClosesAfterEachAnswer(t *testing.T) {
	up := listen(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err == nil {
			io.Copy(io.Discard, r.Body)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	l := start(t, Options{}, "a.test")
	l.set(proxied("a.test", up))
	l.eachProtocol(t, func(t *testing.T, c *http.Client) {
		for range 20 {
			if res, got := fetch(t, c, "GET", "https://a.test/", ""); res.StatusCode != 200 || got != "ok" {
				t.Fatalf("%d %q", res.StatusCode, got)
			}
		}
	})
}

// Requests that are being answered when the server stops come to their end.
func TestDrain(t *testing.T) {
	ca := newAuthority(t)
	s := New(Options{HTTPS: loopbackPorts(), HTTP: loopbackPorts()})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	https, _ := s.Addrs()
	l := &lab{Server: s, t: t, ca: ca, https: https[0]}
	if err := s.SetCertificates(map[string]Certificate{"main": ca.fresh(t, "a.test")}); err != nil {
		t.Fatal(err)
	}
	entered := make(chan bool, 3)
	l.set(proxied("a.test", origin(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- true
		<-ctx.Done()
		io.WriteString(w, "done")
	})))
	got := make(chan string, 3)
	for protocol := range protocols {
		c := l.client(protocol)
		go func() {
			res, err := c.Get("https://a.test/")
			if err != nil {
				got <- protocols[protocol] + ": " + err.Error()
				return
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			c.CloseIdleConnections()
			got <- string(body)
		}()
	}
	for range protocols {
		<-entered
	}
	cancel()
	for range protocols {
		if answer := <-got; answer != "done" {
			t.Error(answer)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
