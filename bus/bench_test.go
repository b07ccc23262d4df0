package bus

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"b8s/subjects"
)

// BenchmarkMemoryOfASub measures what one idle sub costs the dom: two
// connections, the one with the subscriptions of a replica. The clients here
// are bare sockets, so that next to nothing of what is measured is theirs.
func BenchmarkMemoryOfASub(b *testing.B) {
	const subs = 200
	for b.Loop() {
		s := start(b, b.TempDir())
		to := serve(b, s)
		var conns []net.Conn
		measure := func() uint64 {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapInuse + m.StackInuse
		}
		before := measure()
		for i := range subs {
			addr := netip.AddrFrom4([4]byte{127, 0, byte(1 + i/250), byte(1 + i%250)})
			must(b, s.AddSub(fmt.Sprintf("sub-%d", i), addr))
			conns = append(conns, bare(b, addr.String(), to, true), bare(b, addr.String(), to, false))
		}
		b.ReportMetric(float64(measure()-before)/subs/1024, "KiB/sub")
		for _, c := range conns {
			c.Close()
		}
		s.Shutdown()
	}
}

// bare is a client without a library.
func bare(b *testing.B, from, to string, subscribe bool) net.Conn {
	c, err := dialFrom(from, to)(b.Context())
	must(b, err)
	fmt.Fprint(c, "CONNECT {\"verbose\":false,\"headers\":true,\"protocol\":1}\r\n")
	if subscribe {
		for i, name := range subjects.SubReads() {
			fmt.Fprintf(c, "SUB %s %d\r\n", subjects.LiveAll(name), i+1)
		}
	}
	fmt.Fprint(c, "PING\r\n")
	text := make([]byte, 0, 4096)
	for !strings.Contains(string(text), "PONG\r\n") {
		n, err := c.Read(text[len(text):cap(text)])
		must(b, err)
		text = text[:len(text)+n]
	}
	return c
}

func BenchmarkAddSub(b *testing.B) {
	s := start(b, b.TempDir())
	i := 0
	for b.Loop() {
		i++
		must(b, s.AddSub(fmt.Sprintf("sub-%d", i), netip.AddrFrom4([4]byte{127, byte(i >> 16), byte(i >> 8), byte(i)})))
	}
}
