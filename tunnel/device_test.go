package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"
)

func TestConnection(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openDevice(t, Options{})
	join(t, dom, sub)
	serveEcho(t, sub, 80)
	c, err := dom.DialContext(within(t, 5*time.Second), netip.AddrPortFrom(sub.Addr(), 80))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := echo(c, "through the tunnel"); err != nil {
		t.Fatal(err)
	}
	got := dom.Peers()
	if len(got) != 1 || got[0].PublicKey != sub.Key() || got[0].Overlay != sub.Addr() || got[0].Endpoint != udpOf(sub) ||
		got[0].LastHandshake.IsZero() || got[0].LastPacket.IsZero() || got[0].Received == 0 || got[0].Sent == 0 {
		t.Errorf("peers of the dom: %+v", got)
	}
	if got := sub.Peers(); got[0].Endpoint != udpOf(dom) {
		t.Errorf("the sub found the dom at %s, it is at %s", got[0].Endpoint, udpOf(dom))
	}
}

// The remote address of a connection is its peer's, and names its key.
func TestAcceptedConnectionNamesItsPeer(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openDevice(t, Options{})
	join(t, dom, sub)
	l, err := dom.Listen(4222)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan netip.Addr, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			accepted <- netip.Addr{}
			return
		}
		defer c.Close()
		accepted <- c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
	}()
	// The dom speaks first: only then the sub knows where it is.
	setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{udpOf(sub)}, Keepalive: 25 * time.Second})
	eventually(t, "handshake", func() bool { return !sub.Peers()[0].LastHandshake.IsZero() })
	c, err := sub.DialContext(within(t, 5*time.Second), netip.AddrPortFrom(dom.Addr(), 4222))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if key, ok := dom.PeerAt(<-accepted); !ok || key != sub.Key() {
		t.Errorf("accepted from %s, want %s", key, sub.Key())
	}
}

func TestPeersDoNotReachEachOther(t *testing.T) {
	dom, a, b := openDevice(t, Options{}), openDevice(t, Options{}), openDevice(t, Options{})
	join(t, dom, a)
	join(t, dom, b)
	serveEcho(t, b, 80)
	serveEcho(t, a, 80)
	for _, d := range []*Device{a, b} {
		c, err := dom.DialContext(within(t, 5*time.Second), netip.AddrPortFrom(d.Addr(), 80))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if _, err := a.DialContext(within(t, time.Second), netip.AddrPortFrom(b.Addr(), 80)); err == nil {
		t.Error("one sub dialled another")
	}
	// Even one that lies about its peers: the dom routes nothing on.
	setPeer(t, a, Peer{PublicKey: b.Key(), Endpoints: []netip.AddrPort{udpOf(dom)}})
	if _, err := a.DialContext(within(t, 300*time.Millisecond), netip.AddrPortFrom(b.Addr(), 80)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dial through the dom: %v, want silence", err)
	}
}

func TestPresharedKeyMismatchIsSilence(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openDevice(t, Options{})
	setPeer(t, sub, Peer{PublicKey: dom.Key(), PresharedKey: PresharedKey{1}})
	setPeer(t, dom, Peer{PublicKey: sub.Key(), PresharedKey: PresharedKey{2}, Endpoints: []netip.AddrPort{udpOf(sub)}})
	_, err := dom.DialContext(within(t, 300*time.Millisecond), netip.AddrPortFrom(sub.Addr(), 80))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dial: %v, want silence", err)
	}
	if at := dom.Peers()[0].LastHandshake; !at.IsZero() {
		t.Errorf("handshake at %s", at)
	}
}

// Several subs of one machine have an address each and one port.
func TestSamePortOnSeveralAddresses(t *testing.T) {
	first := openDevice(t, Options{})
	second := openDevice(t, Options{Port: first.Port()})
	if first.Port() != second.Port() {
		t.Fatalf("ports %d and %d", first.Port(), second.Port())
	}
	_, err := Open(Options{PrivateKey: NewPrivateKey(), Port: first.Port(), Addrs: first.bind.addrs})
	if err == nil {
		t.Error("two devices on one address and port")
	}
}

// What comes to one of several addresses is answered from there.
func TestAnswersFromTheAddressAsked(t *testing.T) {
	v6 := netip.IPv6Loopback()
	cases := map[string]struct {
		listen, ask []netip.Addr
	}{
		"given": {[]netip.Addr{loopback(t), loopback(t), v6}, nil},
		"all":   {nil, []netip.Addr{loopback(t), loopback(t), v6}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			sub, err := Open(Options{PrivateKey: NewPrivateKey(), Addrs: c.listen})
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			if c.ask == nil {
				c.ask = c.listen
			}
			for _, at := range c.ask {
				from := netip.IPv4Unspecified()
				if at.Is6() {
					from = v6
				}
				dom := openDevice(t, Options{Addrs: []netip.Addr{from}})
				setPeer(t, sub, Peer{PublicKey: dom.Key()})
				want := netip.AddrPortFrom(at, sub.Port())
				setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{want}, Keepalive: time.Second})
				eventually(t, "handshake", func() bool { return !dom.Peers()[0].LastHandshake.IsZero() })
				if got := dom.Peers()[0].Endpoint; got != want {
					t.Errorf("asked at %s, answered from %s", want, got)
				}
				dom.Close()
			}
		})
	}
}

// A dom whose address changes goes on in the same session.
func TestRoaming(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openDevice(t, Options{})
	r := newRelay(t, udpOf(sub), 0)
	setPeer(t, sub, Peer{PublicKey: dom.Key()})
	setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{r.addr()}})
	serveEcho(t, sub, 80)
	c, err := dom.DialContext(within(t, 5*time.Second), netip.AddrPortFrom(sub.Addr(), 80))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := echo(c, "before"); err != nil {
		t.Fatal(err)
	}
	before := sub.Peers()[0]
	r.roam(t)
	if err := echo(c, "after"); err != nil {
		t.Fatal(err)
	}
	after := sub.Peers()[0]
	if after.Endpoint == before.Endpoint {
		t.Error("the sub still has the old endpoint")
	}
	if !after.LastHandshake.Equal(before.LastHandshake) {
		t.Error("a new session")
	}
}

func TestChangeOfAPeerKeepsItsSession(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openDevice(t, Options{})
	join(t, dom, sub)
	serveEcho(t, sub, 80)
	c, err := dom.DialContext(within(t, 5*time.Second), netip.AddrPortFrom(sub.Addr(), 80))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before := dom.Peers()[0].LastHandshake
	setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{udpOf(sub)}, Keepalive: 25 * time.Second})
	setPeer(t, dom, Peer{PublicKey: openDevice(t, Options{}).Key()})
	if err := echo(c, "still there"); err != nil {
		t.Fatal(err)
	}
	if got := dom.Peers()[slices.IndexFunc(dom.Peers(), func(s PeerStatus) bool { return s.PublicKey == sub.Key() })]; !got.LastHandshake.Equal(before) {
		t.Errorf("handshake at %s, was %s", got.LastHandshake, before)
	}
}

func TestRemovedPeerIsCut(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openDevice(t, Options{})
	join(t, dom, sub)
	serveEcho(t, sub, 80)
	to := netip.AddrPortFrom(sub.Addr(), 80)
	c, err := dom.DialContext(within(t, 5*time.Second), to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := sub.RemovePeer(dom.Key()); err != nil {
		t.Fatal(err)
	}
	if err := sub.RemovePeer(dom.Key()); err != nil {
		t.Errorf("second removal: %v", err)
	}
	if _, err := dom.DialContext(within(t, 200*time.Millisecond), to); err == nil {
		t.Error("dialled a sub that removed us")
	}
	if n := len(sub.Peers()); n != 0 {
		t.Errorf("%d peers left", n)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openDevice(t, Options{})
	join(t, dom, sub)
	serveEcho(t, sub, 80)
	c, err := dom.DialContext(within(t, 5*time.Second), netip.AddrPortFrom(sub.Addr(), 80))
	if err != nil {
		t.Fatal(err)
	}
	l, err := dom.Listen(1000)
	if err != nil {
		t.Fatal(err)
	}
	p, err := dom.ListenPacket(1000)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 3)
	go func() { _, err := c.Read(make([]byte, 1)); ended <- err }()
	go func() { _, err := l.Accept(); ended <- err }()
	go func() { _, _, err := p.ReadFrom(make([]byte, 1)); ended <- err }()
	begin := time.Now()
	dom.Close()
	dom.Close()
	for range 3 {
		select {
		case err := <-ended:
			if err == nil {
				t.Error("ended without an error")
			}
		case <-time.After(5 * time.Second):
			t.Fatal("still blocked after Close")
		}
	}
	if d := time.Since(begin); d > time.Second {
		t.Errorf("close took %s", d)
	}
	if _, err := dom.DialContext(within(t, time.Second), netip.AddrPortFrom(sub.Addr(), 80)); err == nil {
		t.Error("dialled from a closed device")
	}
	if _, err := dom.Listen(1001); !errors.Is(err, net.ErrClosed) {
		t.Errorf("listen on a closed device: %v", err)
	}
	if _, err := dom.ListenPacket(1001); !errors.Is(err, net.ErrClosed) {
		t.Errorf("listen for packets on a closed device: %v", err)
	}
}

func TestListenerClose(t *testing.T) {
	d := openDevice(t, Options{})
	l, err := d.Listen(1000)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := l.Accept(); ended <- err }()
	l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v, want net.ErrClosed", err)
	}
	again, err := d.Listen(1000)
	if err != nil {
		t.Fatalf("listen on the port just closed: %v", err)
	}
	again.Close()
}

func TestSetPeerRefuses(t *testing.T) {
	d := openDevice(t, Options{})
	key := NewPrivateKey().Public()
	for name, p := range map[string]Peer{
		"no key":        {},
		"own key":       {PublicKey: d.Key()},
		"no port":       {PublicKey: key, Endpoints: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}},
		"no address":    {PublicKey: key, Endpoints: []netip.AddrPort{{}}},
		"long silence":  {PublicKey: key, Keepalive: 20 * time.Hour},
		"negative time": {PublicKey: key, Keepalive: -1},
	} {
		if err := d.SetPeer(p); err == nil {
			t.Errorf("%s: set", name)
		}
	}
	if n := len(d.Peers()); n != 0 {
		t.Errorf("%d peers", n)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, opts := range map[string]Options{
		"no key":          {},
		"not our address": {PrivateKey: NewPrivateKey(), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
	} {
		if d, err := Open(opts); err == nil {
			d.Close()
			t.Errorf("%s: opened", name)
		}
	}
}

// Nothing comes back to one who has no key.
func TestSilenceToStrangers(t *testing.T) {
	sub := openDevice(t, Options{})
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(udpOf(sub)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, size := range []int{0, 1, 32, 92, 148, 1400} {
		for kind := range byte(6) {
			packet := make([]byte, size)
			if size > 0 {
				packet[0] = kind
			}
			c.Write(packet)
		}
	}
	eventually(t, "all have arrived", func() bool { return sub.bind.datagrams.Load() == 36 })
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := c.Read(make([]byte, 2000)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("answer of %d bytes, %v", n, err)
	}
}

func TestBulk(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openDevice(t, Options{})
	join(t, dom, sub)
	const size = 20 << 20
	got, err := transfer(t, sub, dom, size)
	if err != nil || got != size {
		t.Fatalf("%d of %d bytes, %v", got, size, err)
	}
}

// transfer moves size bytes from one device to another that dials it.
func transfer(t testing.TB, from, to *Device, size int64) (int64, error) {
	t.Helper()
	l, err := from.Listen(90)
	if err != nil {
		return 0, err
	}
	sent := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.Copy(c, io.LimitReader(zeros{}, size))
			c.Close()
		}
		sent <- err
	}()
	c, err := to.DialContext(within(t, 10*time.Second), netip.AddrPortFrom(from.Addr(), 90))
	if err != nil {
		l.Close()
		<-sent
		return 0, err
	}
	n, err := io.Copy(io.Discard, c)
	c.Close()
	l.Close()
	return n, errors.Join(err, <-sent)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
