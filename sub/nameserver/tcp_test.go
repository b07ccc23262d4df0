package nameserver

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// framed is a query with its length before it.
func framed(t *testing.T, id uint16, q string) []byte {
	t.Helper()
	m := message(q)
	m.Id = id
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

func receive(t *testing.T, conn net.Conn) *dns.Msg {
	t.Helper()
	m, err := (&dns.Conn{Conn: conn}).ReadMsg()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// closed waits until the server has closed the connection.
func closed(t *testing.T, conn net.Conn) {
	t.Helper()
	if n, err := conn.Read(make([]byte, 1)); err == nil || n > 0 {
		t.Fatalf("got %d octets, want the end", n)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Fatal("the connection is still open")
	}
}

// Queries may come together, or in pieces, and are answered in their order.
func TestPipelining(t *testing.T) {
	s := serveText(t, big("x", 2000))
	conn := dial(t, s)
	var all []byte
	for id := range uint16(200) {
		q := "ns1.example.com A"
		if id%40 == 7 {
			q = "x.example.com A" // 32 KiB
		}
		all = append(all, framed(t, id, q)...)
	}
	go func() {
		for len(all) > 0 {
			n := min(len(all), 1000)
			conn.Write(all[:n])
			all = all[n:]
		}
	}()
	for id := range uint16(200) {
		if m := receive(t, conn); m.Id != id || m.Truncated || len(m.Answer) == 0 {
			t.Fatalf("answer %d: got id %d, tc %v, %d records", id, m.Id, m.Truncated, len(m.Answer))
		}
	}
}

func TestOctetByOctet(t *testing.T) {
	conn := dial(t, serveText(t, ""))
	for _, b := range framed(t, 7, "ns1.example.com A") {
		if _, err := conn.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if m := receive(t, conn); m.Id != 7 || len(m.Answer) != 1 {
		t.Errorf("got %v", m)
	}
}

func TestIdle(t *testing.T) {
	s := serve(t, &View{}, func(o *Options) { o.TCPIdle = 50 * time.Millisecond })
	silent, slow := dial(t, s), dial(t, s)
	if _, err := slow.Write(framed(t, 1, "example.com A")[:9]); err != nil {
		t.Fatal(err)
	}
	closed(t, silent)
	closed(t, slow)
}

// What is no query ends the connection.
func TestNoQuery(t *testing.T) {
	conn := dial(t, serveText(t, ""))
	if _, err := conn.Write([]byte{0, 3, 1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	closed(t, conn)
}

func TestConnectionLimits(t *testing.T) {
	s := serve(t, &View{}, func(o *Options) { o.TCPClientsPerAddress = 2 })
	one, two := dial(t, s), dial(t, s)
	for i, conn := range []net.Conn{one, two} {
		conn.Write(framed(t, uint16(i), "example.com A"))
		receive(t, conn)
	}
	closed(t, dial(t, s))
	if n := s.Stats().Refused; n != 1 {
		t.Errorf("%d refused, want 1", n)
	}
	one.(*net.TCPConn).CloseWrite()
	if _, err := io.ReadAll(one); err != nil {
		t.Fatal(err)
	}
	for { // its place becomes free a moment after the end is seen
		conn := dial(t, s)
		conn.Write(framed(t, 3, "example.com A"))
		if _, err := (&dns.Conn{Conn: conn}).ReadMsg(); err == nil {
			return
		}
	}
}

func TestClientNetwork(t *testing.T) {
	c := newClients(3, 2)
	for _, step := range []struct {
		addr string
		want bool
	}{{"2001:db8::1", true}, {"2001:db8::2", true}, {"2001:db8::3", false}, {"192.0.2.1", true}, {"192.0.2.2", false}} {
		if got := c.enter(clientNetwork(resolver(addrs(step.addr)[0]))); got != step.want {
			t.Errorf("%s: got %v, want %v", step.addr, got, step.want)
		}
	}
}
