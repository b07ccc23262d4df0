package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is an upstream that serves each connection as it likes.
type server struct {
	addr  string
	conns atomic.Int64
}

func serve(t testing.TB, each func(n int64, c net.Conn, r *bufio.Reader)) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: ln.Addr().String()}
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			n := s.conns.Add(1)
			done := make(chan bool)
			go func() {
				defer close(done)
				defer c.Close()
				each(n, c, bufio.NewReader(c))
			}()
			t.Cleanup(func() { c.Close(); <-done })
		}
	}()
	t.Cleanup(func() { ln.Close(); <-ended })
	return s
}

// answer reads a request, and writes an answer.
func answer(c net.Conn, r *bufio.Reader, text string) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	io.Copy(io.Discard, req.Body)
	_, err = io.WriteString(c, text)
	return err == nil
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func get() *Request { return &Request{Method: "GET", Target: "/", Host: "a", Header: http.Header{}} }

func pool(t testing.TB, addr string, limits Limits) *Pool {
	p := New(addr, limits)
	t.Cleanup(p.Close)
	return p
}

func do(t testing.TB, p *Pool, req *Request) (string, error) {
	t.Helper()
	res, err := p.Do(context.Background(), req)
	if err != nil {
		return "", err
	}
	defer res.Close()
	body, err := io.ReadAll(res)
	return fmt.Sprint(res.Status, " ", string(body)), err
}

func TestConnectionsAreKept(t *testing.T) {
	s := serve(t, func(_ int64, c net.Conn, r *bufio.Reader) {
		for answer(c, r, ok) {
		}
	})
	p := pool(t, s.addr, Limits{})
	for range 10 {
		if got, err := do(t, p, get()); got != "200 ok" {
			t.Fatal(got, err)
		}
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections for one request after another", n)
	}
	if st := p.State(); st.Idle != 1 || st.Active != 0 {
		t.Errorf("%+v", st)
	}
	p.Close()
	if st := p.State(); st.Idle != 0 {
		t.Errorf("closed: %+v", st)
	}
}

// What is sent again, and what isn't, when the connection is closed without an
// answer.
func TestSentAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		method, body string
		streamed     bool
		first        string // what the first connection answers
		want         string
	}{
		"get":                {"GET", "", false, "", "200 ok"},
		"put of a few":       {"PUT", "body", false, "", "200 ok"},
		"post":               {"POST", "body", false, "", ReasonClosed},
		"put of a stream":    {"PUT", "body", true, "", ReasonClosed},
		"get half answered":  {"GET", "", false, "HTTP/1.1 2", ReasonClosed},
		"get badly answered": {"GET", "", false, "HTTP/1.1 200 OK\n\n", ReasonAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(n int64, c net.Conn, r *bufio.Reader) {
				if n == 1 {
					answer(c, r, tc.first)
					return
				}
				for answer(c, r, ok) {
				}
			})
			req := get()
			req.Method = tc.method
			if tc.body != "" {
				req.Body, req.Length = io.NopCloser(strings.NewReader(tc.body)), int64(len(tc.body))
			}
			if tc.streamed {
				req.Length = -1
			}
			got, err := do(t, pool(t, s.addr, Limits{}), req)
			var failure *Error
			if errors.As(err, &failure) {
				got = failure.Reason
			}
			if got != tc.want {
				t.Errorf("got %q (%v), want %q", got, err, tc.want)
			}
		})
	}
}

// A server that isn't there yet, as one being restarted, is waited for.
func TestConnectsAgain(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	p := pool(t, addr, Limits{})
	began := time.Now()
	_, err = do(t, p, get())
	var failure *Error
	if !errors.As(err, &failure) || failure.Reason != ReasonConnect || time.Since(began) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	if st := p.State(); st.Failing.IsZero() || st.Active != 0 {
		t.Errorf("%+v", st)
	}
}

// An answer while the request is still being sent is handed on, and the
// connection isn't used again.
func TestEarlyAnswer(t *testing.T) {
	s := serve(t, func(_ int64, c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			io.WriteString(c, ok)
			io.Copy(io.Discard, r)
		}
	})
	p := pool(t, s.addr, Limits{})
	body, write := io.Pipe()
	defer write.Close()
	req := get()
	req.Method, req.Body, req.Length = "POST", body, -1
	if got, err := do(t, p, req); got != "200 ok" {
		t.Fatal(got, err)
	}
	if st := p.State(); st.Idle != 0 || st.Active != 0 {
		t.Errorf("%+v", st)
	}
}

func TestTimeoutsAndCancel(t *testing.T) {
	s := serve(t, func(_ int64, c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err == nil && req.URL.Path == "/half" {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
		}
		io.Copy(io.Discard, r)
	})
	p := pool(t, s.addr, Limits{Head: 300 * time.Millisecond, Idle: 300 * time.Millisecond})
	var failure *Error
	if _, err := do(t, p, get()); !errors.As(err, &failure) || failure.Reason != ReasonTimeout {
		t.Errorf("head: %v", err)
	}
	half := get()
	half.Target = "/half"
	if got, err := do(t, p, half); !errors.As(err, &failure) || failure.Reason != ReasonTimeout {
		t.Errorf("body: %q %v", got, err)
	}
	p = pool(t, s.addr, Limits{})
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := p.Do(ctx, get()); !errors.As(err, &failure) || failure.Reason != ReasonClient {
		t.Errorf("cancelled: %v", err)
	}
}

func TestStaleConnectionsAreClosed(t *testing.T) {
	s := serve(t, func(_ int64, c net.Conn, r *bufio.Reader) {
		for answer(c, r, ok) {
		}
	})
	p := pool(t, s.addr, Limits{KeptFor: 20 * time.Millisecond})
	if got, err := do(t, p, get()); got != "200 ok" {
		t.Fatal(got, err)
	}
	for deadline := time.Now().Add(5 * time.Second); p.State().Idle > 0; {
		if time.Now().After(deadline) {
			t.Fatal("it is still kept")
		}
		<-time.After(5 * time.Millisecond)
	}
}

// FuzzAnswer: whatever an upstream sends, the client neither panics nor hangs,
// and keeps no connection on which something is left.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{ok, ok + ok, "HTTP/1.1 100 Continue\r\n\r\n" + ok, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nto the end", "x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		here, there := net.Pipe()
		p := New("x", Limits{Head: time.Second, Idle: time.Second})
		go func() {
			defer there.Close()
			http.ReadRequest(bufio.NewReader(there))
			there.Write(text)
		}()
		limits := p.limits.Load()
		c := newConn(p, here)
		res, err := c.do(context.Background(), get(), limits)
		if err != nil {
			c.abandon()
			return
		}
		io.Copy(io.Discard, res)
		p.active.Add(1)
		res.Close()
		p.Close()
	})
}

func BenchmarkExchange(b *testing.B) {
	s := serve(b, func(_ int64, c net.Conn, r *bufio.Reader) {
		body := ok[:len(ok)-2]
		buf := make([]byte, 4096)
		for {
			if _, err := r.Read(buf); err != nil {
				return
			}
			io.WriteString(c, body+"ok")
		}
	})
	p := pool(b, s.addr, Limits{})
	ctx, req, buf := context.Background(), get(), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		res, err := p.Do(ctx, req)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = res.Read(buf)
		}
		res.Close()
	}
}
