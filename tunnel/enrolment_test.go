package tunnel

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"b8s/state"
)

// The token's time runs while the machine is suspended, when no timer does.
func TestTokenExpires(t *testing.T) {
	var now atomic.Int64
	dom := openDevice(t, Options{})
	sub := openSub(t, EnrolmentOptions{Life: time.Minute, Now: func() time.Duration { return time.Duration(now.Load()) }})
	now.Store(int64(time.Minute - time.Nanosecond))
	if s := sub.enrolment.State(); !s.Open || s.Left != time.Nanosecond {
		t.Errorf("just before: %+v", s)
	}
	now.Store(int64(time.Minute))
	if s := sub.enrolment.State(); s.Open || s.Left != 0 || !strings.Contains(s.Diagnosis(), "expired") {
		t.Errorf("at the end: %+v, %s", s, s.Diagnosis())
	}
	if err := <-sub.ended; !errors.Is(err, ErrTokenExpired) {
		t.Errorf("ended with %v", err)
	}
	opts := sub.options(dom)
	opts.Timeout = 400 * time.Millisecond
	if _, err := Enrol(t.Context(), opts); step(t, err) != StepHandshake {
		t.Errorf("%v", err)
	}
}

// A dom that comes through in the second before the expiry is noticed is
// refused, and saves nothing.
func TestTokenExpiresUnderTheDom(t *testing.T) {
	var now atomic.Int64
	dom := openDevice(t, Options{})
	sub := openSub(t, EnrolmentOptions{Life: time.Hour, Now: func() time.Duration { return time.Duration(now.Load()) }})
	_, err := sub.enrolment.admit(t.Context(), DomHello{})
	if err == nil || errors.Is(err, ErrTokenExpired) {
		t.Errorf("before: %v", err)
	}
	now.Store(int64(time.Hour))
	if _, err := sub.enrolment.admit(t.Context(), hello(dom)); !errors.Is(err, ErrTokenExpired) {
		t.Errorf("after: %v", err)
	}
	if len(sub.saves()) != 0 {
		t.Error("saved")
	}
}

func TestBootTimeRuns(t *testing.T) {
	a := bootTime()
	if b := bootTime(); a <= 0 || b < a {
		t.Errorf("%s, then %s", a, b)
	}
}

func TestOtherDomWithTheSameTokenIsRefused(t *testing.T) {
	first, second, sub := openDevice(t, Options{}), openDevice(t, Options{}), openSub(t, EnrolmentOptions{})
	enrol(t, sub.options(first))
	_, err := Enrol(t.Context(), sub.options(second))
	if step(t, err) != StepRefused || !strings.Contains(err.Error(), first.Key().Fingerprint()) {
		t.Errorf("second dom: %v", err)
	}
	enrol(t, sub.options(first)) // the first may ask again
	if peers := sub.Peers(); len(peers) != 1 || peers[0].PublicKey != first.Key() {
		t.Errorf("peers %+v", peers)
	}
}

// What the sub can't save it doesn't accept; the dom hears why, and may ask
// again.
func TestSaveThatFails(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openSub(t, EnrolmentOptions{})
	sub.fail = errors.New("write dom.json: no space left on device")
	_, err := Enrol(t.Context(), sub.options(dom))
	if step(t, err) != StepRefused || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("%v", err)
	}
	if n := len(sub.Peers()); n != 0 {
		t.Errorf("%d peers", n)
	}
	if s := sub.enrolment.State(); !strings.Contains(s.Diagnosis(), "no space left") {
		t.Errorf("diagnosis %q", s.Diagnosis())
	}
	sub.mu.Lock()
	sub.fail = nil
	sub.mu.Unlock()
	enrol(t, sub.options(dom))
}

// The dom is killed at each point of the exchange; a re-run enrols.
func TestDomKilledAnywhere(t *testing.T) {
	for name, kill := range map[string]func(net.Conn, DomHello){
		"connected":    func(net.Conn, DomHello) {},
		"half a head":  func(c net.Conn, _ DomHello) { c.Write([]byte{0, 0}) },
		"half a hello": func(c net.Conn, _ DomHello) { c.Write([]byte{0, 0, 0, 90, '{'}) },
		"junk":         func(c net.Conn, _ DomHello) { c.Write(frame("junk")) },
		"hello sent":   func(c net.Conn, h DomHello) { writeMessage(c, h) },
		"answer read":  func(c net.Conn, h DomHello) { writeMessage(c, h); readMessage(c, new(answer)) },
	} {
		t.Run(name, func(t *testing.T) {
			dom, sub := openDevice(t, Options{}), openSub(t, EnrolmentOptions{})
			a, err := newAttempt(sub.options(dom))
			if err != nil {
				t.Fatal(err)
			}
			c, err := a.connect(within(t, 5*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			kill(c, hello(dom))
			a.device.Close() // nothing more leaves, no FIN and no RST
			begin := time.Now()
			enrol(t, sub.options(dom))
			if d := time.Since(begin); d > 3*time.Second {
				t.Errorf("the re-run took %s", d)
			}
			for _, h := range sub.saves() {
				if h != hello(dom) {
					t.Errorf("saved %+v", h)
				}
			}
		})
	}
}

// The sub's answers are lost from some packet on, one run for each.
func TestAnswerLostAnywhere(t *testing.T) {
	for lost := range int32(6) {
		dom, sub := openDevice(t, Options{}), openSub(t, EnrolmentOptions{})
		r := newRelay(t, udpOf(sub.Device), 0)
		var answers atomic.Int32
		r.filter(func(fromDom bool, _ []byte) bool { return !fromDom && answers.Add(1) > lost })
		opts := sub.options(dom)
		opts.Ticket.IPv4, opts.Port, opts.Timeout = r.addr().Addr(), r.addr().Port(), 400*time.Millisecond
		if _, err := Enrol(t.Context(), opts); err != nil {
			step(t, err)
		}
		enrol(t, sub.options(dom))
		if s := sub.enrolment.State(); s.Dom != dom.Key() {
			t.Errorf("%d answers came through: %+v", lost, s)
		}
	}
}

// The sub is killed before or after it saved. A token doesn't outlive it: before,
// a new one enrols; after, the real tunnel stands.
func TestSubKilledAnywhere(t *testing.T) {
	for _, saves := range []bool{false, true} {
		key := NewPrivateKey()
		opts := Options{PrivateKey: key, Addrs: []netip.Addr{loopback(t)}}
		file := filepath.Join(t.TempDir(), "dom")
		first := &newSub{Device: openDevice(t, opts), ended: make(chan error, 1)}
		opts.Port = first.Port()
		first.open(t, EnrolmentOptions{Accept: func(_ context.Context, h DomHello) (SubHello, error) {
			if saves {
				if err := state.WriteFile(file, encodeKey(h.PublicKey), 0o600); err != nil {
					return SubHello{}, err
				}
			}
			go first.Close() // killed: no answer leaves
			<-first.closed
			return subHello(), nil
		}})
		dom := openDevice(t, Options{})
		o := first.options(dom)
		o.Timeout = 600 * time.Millisecond
		if _, err := Enrol(t.Context(), o); err == nil {
			t.Fatal("enrolled by a dead sub")
		}
		<-first.ended
		second := &newSub{Device: openDevice(t, opts), ended: make(chan error, 1)}
		text, err := os.ReadFile(file)
		if saved := err == nil; saved != saves {
			t.Fatalf("saved: %t, want %t", saved, saves)
		}
		if saves {
			dom, err := ParsePublicKey(string(text))
			if err != nil {
				t.Fatal(err)
			}
			setPeer(t, second.Device, Peer{PublicKey: dom})
		} else {
			second.open(t, EnrolmentOptions{})
			enrol(t, second.options(dom))
		}
		p := fast(dom)
		run(t, p.Run)
		run(t, (&Answer{Device: second.Device}).Run)
		setPeer(t, dom, Peer{PublicKey: key.Public(), Endpoints: []netip.AddrPort{udpOf(second.Device)}})
		await(t, p, key.Public())
	}
}

// A sub that serves one dom enrols with another while the first is there.
func TestNewTokenOnAServingSub(t *testing.T) {
	old, next, sub := openDevice(t, Options{}), openDevice(t, Options{}), openSub(t, EnrolmentOptions{})
	run(t, (&Answer{Device: sub.Device}).Run)
	for _, dom := range []*Device{old, next} {
		enrol(t, sub.options(dom))
		p := fast(dom)
		run(t, p.Run)
		setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{udpOf(sub.Device)}})
		await(t, p, sub.Key())
		if err := <-sub.ended; err != nil {
			t.Fatal(err)
		}
		sub.open(t, EnrolmentOptions{})
	}
	if n := len(sub.Peers()); n != 2 {
		t.Errorf("%d peers, want both doms", n)
	}
}

// A dom that is a peer already, and sends all the time, gets its answer all
// the same.
func TestSameDomEnrolsAgain(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openSub(t, EnrolmentOptions{})
	run(t, (&Answer{Device: sub.Device}).Run)
	enrol(t, sub.options(dom))
	p := &Pulse{Device: dom, Interval: time.Millisecond}
	run(t, p.Run)
	setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{udpOf(sub.Device)}})
	for range 3 {
		await(t, p, sub.Key())
		if err := <-sub.ended; err != nil {
			t.Fatal(err)
		}
		sub.open(t, EnrolmentOptions{})
		enrol(t, sub.options(dom))
	}
}

// The holder of the token reaches the enrolment and no other listener.
func TestTokenOpensNothingElse(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openSub(t, EnrolmentOptions{})
	serveEcho(t, sub.Device, 80)
	var beats atomic.Int32
	run(t, (&Answer{Device: sub.Device, OnBeat: func(Beat) { beats.Add(1) }}).Run)
	a, err := newAttempt(sub.options(dom))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.device.Close() })
	c, err := a.connect(within(t, 5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := a.device.DialContext(within(t, 300*time.Millisecond), netip.AddrPortFrom(sub.Addr(), 80)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("another port: %v, want silence", err)
	}
	p := fast(a.device)
	run(t, p.Run)
	if err := p.Await(within(t, 300*time.Millisecond), sub.Key()); err == nil || beats.Load() != 0 {
		t.Errorf("heartbeat: %v, %d beats", err, beats.Load())
	}
}
