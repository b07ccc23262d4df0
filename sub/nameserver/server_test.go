package nameserver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"b8s/sub/zone"
)

// A view is swapped under load: no question is lost, and each answer is that of
// one view.
func TestSwap(t *testing.T) {
	view := func(n int) *View {
		text := fmt.Sprintf("x 300 CNAME y\ny 300 A 192.0.2.%d\ny 300 TXT \"%d\"\n", n, n)
		return &View{Zones: zone.NewSet(compile(t, "example.com.", soa+text))}
	}
	s := serve(t, view(0))
	ctx, cancel := context.WithCancel(context.Background())
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for n := 1; ctx.Err() == nil; n++ {
			s.Swap(view(n % 250))
		}
	})
	for range 2000 {
		if m := exchange(t, s, "udp", message("x.example.com A")); len(m.Answer) != 2 {
			t.Errorf("got %v", m)
		}
	}
	cancel()
	swapper.Wait()
	s.Swap(&View{})
	check(t, s, []question{{"x.example.com A", "REFUSED\n"}})
}

// A port that another holds is refused, with the holder's name.
func TestTaken(t *testing.T) {
	ours := serveText(t, "")
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for _, at := range []string{ours.Addrs()[0].String(), udp.LocalAddr().String()} {
		s := New(Options{Listen: []netip.AddrPort{netip.MustParseAddrPort(at)}})
		err := s.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "is taken by") || !strings.Contains(err.Error(), "(pid ") {
			t.Errorf("%s: got error %v", at, err)
		}
	}
}

func TestListenErrors(t *testing.T) {
	for at, want := range map[string]string{"192.0.2.1:5301": "does not have the address", "0.0.0.0:0": "a wildcard needs a port"} {
		err := New(Options{Listen: []netip.AddrPort{netip.MustParseAddrPort(at)}}).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want %q", at, err, want)
		}
	}
}

// A wildcard serves each address from itself, but for one where the port is
// taken.
func TestWildcardAddress(t *testing.T) {
	taken, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skipf("not tested with an address taken: %v", err)
	}
	defer taken.Close()
	port := taken.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	s := New(Options{Listen: []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), port)}})
	s.Swap(&View{Zones: zone.NewSet(compile(t, "example.com.", soa))})
	run(t, s)
	var served []string
	for _, a := range s.Addrs() {
		served = append(served, a.Addr().String())
	}
	if !strings.Contains(strings.Join(served, " "), "127.0.0.1") || strings.Contains(strings.Join(served, " "), "::1") {
		t.Errorf("served at %v, want 127.0.0.1, not ::1", served)
	}
	check(t, s, []question{{"ns1.example.com A", "NOERROR aa\nAN ns1.example.com. 300 A 192.0.2.53\n"}})
}

// The end comes at once, with clients still there.
func TestStops(t *testing.T) {
	s := New(Options{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Threads: 4})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	conn := dial(t, s)
	conn.Write(framed(t, 1, "example.com A"))
	receive(t, conn)
	began := time.Now()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %v", took)
	}
	closed(t, conn)
}

// The way of other systems gives the same answers.
func TestPortable(t *testing.T) {
	s := serve(t, &View{Zones: zone.NewSet(compile(t, "example.com.", soa+delegations))}, func(o *Options) { o.portable = true })
	check(t, s, []question{
		{"ns1.example.com A", "NOERROR aa\nAN ns1.example.com. 300 A 192.0.2.53\n"},
		{"sub.example.com A", "NOERROR\n" + referral},
		{"nowhere.example.com A", "NXDOMAIN aa\n" + negative},
	})
}

func TestIPv6(t *testing.T) {
	s := serve(t, &View{Zones: zone.NewSet(compile(t, "example.com.", soa))}, func(o *Options) {
		o.Listen = []netip.AddrPort{netip.MustParseAddrPort("[::1]:0")}
	})
	check(t, s, []question{{"ns1.example.com A", "NOERROR aa\nAN ns1.example.com. 300 A 192.0.2.53\n"}})
}

func TestStats(t *testing.T) {
	s := serveText(t, big("x", 100))
	for _, q := range []string{"ns1.example.com A", "nowhere.example.com A", "example.org A", "x.example.com A"} {
		exchange(t, s, "udp", message(q))
	}
	exchange(t, s, "tcp", message("ns1.example.com A"))
	// The last answers of a thread are counted after they are sent.
	var got Stats
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if got = s.Stats(); got.UDP[0] == 2 && got.TCP[0] == 1 {
			break
		}
	}
	if got.UDP[0] != 2 || got.UDP[3] != 1 || got.UDP[5] != 1 || got.TCP[0] != 1 || got.Truncated != 1 {
		t.Errorf("got %+v", got)
	}
}
