package tunnel

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A newSub is a sub that waits to be enrolled.
type newSub struct {
	*Device
	enrolment *Enrolment
	ended     chan error

	mu    sync.Mutex
	saved []DomHello
	fail  error // what saving returns
}

func (s *newSub) accept(_ context.Context, h DomHello) (SubHello, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return SubHello{}, s.fail
	}
	s.saved = append(s.saved, h)
	return subHello(), nil
}

func (s *newSub) saves() []DomHello {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]DomHello(nil), s.saved...)
}

func openSub(t testing.TB, opts EnrolmentOptions) *newSub {
	t.Helper()
	s := &newSub{Device: openDevice(t, Options{}), ended: make(chan error, 1)}
	s.open(t, opts)
	return s
}

// open begins an enrolment, which ends with the test at last.
func (s *newSub) open(t testing.TB, opts EnrolmentOptions) {
	t.Helper()
	opts.Device = s.Device
	if opts.Accept == nil {
		opts.Accept = s.accept
	}
	e, err := NewEnrolment(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.enrolment = e
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	ended := s.ended
	go func() { ended <- e.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
}

func (s *newSub) ticket() Ticket {
	return Ticket{IPv4: s.bind.addrs[0], Token: s.enrolment.Token(), Key: s.Key()}
}

// options are those of an Enrol that doesn't wait long for an answer.
func (s *newSub) options(dom *Device) EnrolOptions {
	return EnrolOptions{Ticket: s.ticket(), Port: s.Port(), Hello: hello(dom), Addrs: dom.bind.addrs, Timeout: 10 * time.Second, Turn: 300 * time.Millisecond}
}

func enrol(t testing.TB, opts EnrolOptions) Enrolled {
	t.Helper()
	got, err := Enrol(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func step(t *testing.T, err error) EnrolStep {
	t.Helper()
	var e *EnrolError
	if !errors.As(err, &e) {
		t.Fatalf("%v is no EnrolError", err)
	}
	return e.Step
}

func TestEnrol(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openSub(t, EnrolmentOptions{})
	got := enrol(t, sub.options(dom))
	if got.Sub != subHello() || got.Endpoint != udpOf(sub.Device) {
		t.Errorf("got %+v", got)
	}
	if saved := sub.saves(); len(saved) != 1 || saved[0] != hello(dom) {
		t.Errorf("saved %+v", saved)
	}
	if s := sub.enrolment.State(); !s.Open || s.Dom != dom.Key() {
		t.Errorf("before the real tunnel: %+v", s)
	}
	if peers := sub.Peers(); len(peers) != 1 || peers[0].PublicKey != dom.Key() {
		t.Errorf("peers %+v", peers)
	}
	p := &Pulse{Device: dom}
	run(t, p.Run)
	run(t, (&Answer{Device: sub.Device}).Run)
	setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{got.Endpoint}, Keepalive: 25 * time.Second})
	await(t, p, sub.Key())
	if err := <-sub.ended; err != nil {
		t.Errorf("the enrolment ended with %v", err)
	}
	if s := sub.enrolment.State(); s.Open || !strings.Contains(s.Diagnosis(), dom.Key().Fingerprint()) {
		t.Errorf("after the real tunnel: %+v, %s", s, s.Diagnosis())
	}
	// Used: the same token meets silence now.
	opts := sub.options(dom)
	opts.Timeout = 500 * time.Millisecond
	if _, err := Enrol(t.Context(), opts); step(t, err) != StepHandshake {
		t.Errorf("second use: %v", err)
	}
	await(t, p, sub.Key())
}

// A wrong token, a wrong key and an expired token all meet silence: not a
// datagram comes back.
func TestSilence(t *testing.T) {
	dom := openDevice(t, Options{})
	for name, spoil := range map[string]func(*newSub, *EnrolOptions){
		"wrong token": func(_ *newSub, o *EnrolOptions) { o.Ticket.Token = NewToken() },
		"wrong key":   func(_ *newSub, o *EnrolOptions) { o.Ticket.Key = NewPrivateKey().Public() },
		"closed":      func(s *newSub, _ *EnrolOptions) { s.enrolment.Close(); <-s.ended },
	} {
		t.Run(name, func(t *testing.T) {
			sub := openSub(t, EnrolmentOptions{})
			opts := sub.options(dom)
			opts.Timeout = 700 * time.Millisecond
			r := newRelay(t, udpOf(sub.Device), 0)
			var replies atomic.Int32
			r.filter(func(fromDom bool, _ []byte) bool {
				if !fromDom {
					replies.Add(1)
				}
				return false
			})
			opts.Ticket.IPv4, opts.Port = r.addr().Addr(), r.addr().Port()
			spoil(sub, &opts)
			_, err := Enrol(t.Context(), opts)
			if step(t, err) != StepHandshake {
				t.Errorf("%v", err)
			}
			for _, word := range []string{"firewall", "token is wrong", "expired", "b8s sub status", r.addr().String()} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q lacks %q", err, word)
				}
			}
			if n := replies.Load(); n != 0 {
				t.Errorf("%d datagrams came back", n)
			}
			s := sub.enrolment.State()
			if s.Initiations == 0 || s.Unanswered != s.Initiations || s.Connections != 0 {
				t.Errorf("state %+v", s)
			}
			if s.Open && !strings.Contains(s.Diagnosis(), "another token") {
				t.Errorf("diagnosis %q", s.Diagnosis())
			}
			if len(sub.saves()) != 0 {
				t.Error("saved")
			}
		})
	}
}

// A recorded handshake is worth nothing, neither during the enrolment nor
// after it.
func TestReplayIsSilence(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openSub(t, EnrolmentOptions{})
	r := newRelay(t, udpOf(sub.Device), 0)
	var mu sync.Mutex
	var recorded [][]byte
	r.filter(func(fromDom bool, p []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		if fromDom {
			recorded = append(recorded, bytes.Clone(p))
		}
		return false
	})
	opts := sub.options(dom)
	opts.Ticket.IPv4, opts.Port = r.addr().Addr(), r.addr().Port()
	enrol(t, opts)
	mu.Lock()
	defer mu.Unlock()
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(udpOf(sub.Device)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before := sub.bind.datagrams.Load()
	for _, p := range recorded {
		c.Write(p)
	}
	eventually(t, "all have arrived", func() bool { return sub.bind.datagrams.Load() >= before+uint64(len(recorded)) })
	c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := c.Read(make([]byte, 2000)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a replay was answered with %d bytes, %v", n, err)
	}
}

func TestNothingArrives(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openSub(t, EnrolmentOptions{})
	opts := sub.options(dom)
	opts.Ticket.IPv4, opts.Timeout = loopback(t), 300*time.Millisecond // nobody there
	if _, err := Enrol(t.Context(), opts); step(t, err) != StepHandshake {
		t.Errorf("%v", err)
	}
	if s := sub.enrolment.State(); s.Datagrams != 0 || !strings.Contains(s.Diagnosis(), "no packet has arrived") {
		t.Errorf("%+v: %s", s, s.Diagnosis())
	}
}

func TestEnrolOverTheOtherFamily(t *testing.T) {
	v6 := netip.IPv6Loopback()
	dom := openDevice(t, Options{Addrs: []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}})
	sub := &newSub{Device: openDevice(t, Options{Addrs: []netip.Addr{v6}}), ended: make(chan error, 1)}
	sub.open(t, EnrolmentOptions{})
	opts := sub.options(dom)
	opts.Ticket.IPv4, opts.Ticket.IPv6 = loopback(t), v6
	got := enrol(t, opts)
	if want := netip.AddrPortFrom(v6, sub.Port()); got.Endpoint != want {
		t.Errorf("by %s, want %s", got.Endpoint, want)
	}
}

func TestFiftyEnrolAtOnce(t *testing.T) {
	dom := openDevice(t, Options{})
	p := &Pulse{Device: dom}
	run(t, p.Run)
	var wg sync.WaitGroup
	ctx := within(t, 60*time.Second)
	for range 50 {
		sub := openSub(t, EnrolmentOptions{})
		run(t, (&Answer{Device: sub.Device}).Run)
		opts := sub.options(dom)
		wg.Go(func() {
			got, err := Enrol(ctx, opts)
			if err == nil {
				err = dom.SetPeer(Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{got.Endpoint}, Keepalive: 25 * time.Second})
			}
			if err == nil {
				err = p.Await(ctx, sub.Key())
			}
			if err == nil {
				err = <-sub.ended
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestEnrolEndsWithItsContext(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openSub(t, EnrolmentOptions{})
	opts := sub.options(dom)
	opts.Ticket.Token = NewToken()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := Enrol(ctx, opts); done <- err }()
	eventually(t, "a try", func() bool { return sub.enrolment.State().Initiations > 0 })
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	case <-time.After(2 * time.Second):
		t.Fatal("still enrolling")
	}
}

func TestEnrolRefusesBadOptions(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openSub(t, EnrolmentOptions{})
	for name, spoil := range map[string]func(*EnrolOptions){
		"no port":    func(o *EnrolOptions) { o.Port = 0 },
		"no address": func(o *EnrolOptions) { o.Ticket.IPv4 = netip.Addr{} },
		"no token":   func(o *EnrolOptions) { o.Ticket.Token = Token{} },
		"no name":    func(o *EnrolOptions) { o.Hello.Name = "" },
	} {
		opts := sub.options(dom)
		spoil(&opts)
		if _, err := Enrol(t.Context(), opts); step(t, err) != StepPrepare {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkEnrol(b *testing.B) {
	dom := openDevice(b, Options{})
	for b.Loop() {
		b.StopTimer()
		sub := openSub(b, EnrolmentOptions{})
		b.StartTimer()
		enrol(b, sub.options(dom))
		b.StopTimer()
		sub.Close()
		b.StartTimer()
	}
}
