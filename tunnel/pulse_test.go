package tunnel

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fast is a Pulse with little patience, for tests.
func fast(dom *Device) *Pulse {
	return &Pulse{Device: dom, Interval: 200 * time.Millisecond, Patience: 30 * time.Millisecond}
}

// vitalOf returns the state of a Pulse's peer.
func vitalOf(p *Pulse, key PublicKey) Vital {
	for _, v := range p.State() {
		if v.PublicKey == key {
			return v
		}
	}
	return Vital{}
}

func await(t testing.TB, p *Pulse, key PublicKey) {
	t.Helper()
	if err := p.Await(within(t, 10*time.Second), key); err != nil {
		t.Fatalf("%v; state %+v", err, vitalOf(p, key))
	}
}

func TestHeartbeat(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openDevice(t, Options{})
	beats, answers := make(chan Beat, 100), make(chan string, 100)
	a := &Answer{
		Device:  sub,
		OnBeat:  func(b Beat) { b.Payload = bytes.Clone(b.Payload); beats <- b },
		Payload: func(PublicKey) []byte { return []byte("boot 7") },
	}
	p := fast(dom)
	p.Payload = func(to PublicKey) []byte { return []byte("heads for " + to.Fingerprint()) }
	p.OnBeat = func(_ PublicKey, payload []byte) { answers <- string(payload) }
	run(t, a.Run)
	run(t, p.Run)
	join(t, dom, sub)
	await(t, p, sub.Key())
	got := <-beats
	if got.From != dom.Key() || got.Endpoint != udpOf(dom) || string(got.Payload) != "heads for "+sub.Key().Fingerprint() {
		t.Errorf("beat %+v", got)
	}
	if got := <-answers; got != "boot 7" {
		t.Errorf("answer %q", got)
	}
	v := vitalOf(p, sub.Key())
	if !v.Live || v.RTT <= 0 || v.Smoothed <= 0 || v.Misses != 0 || v.Err != nil {
		t.Errorf("state %+v", v)
	}
	if a.LastBeat(dom.Key()).IsZero() {
		t.Error("the sub has no last beat")
	}
	<-beats // and it goes on by itself
	<-beats
}

// A restarted sub has forgotten the session; the dom makes a new one.
func TestRestartedSubIsBackSoon(t *testing.T) {
	dom, key := openDevice(t, Options{}), NewPrivateKey()
	opts := Options{PrivateKey: key, Addrs: []netip.Addr{loopback(t)}}
	sub := openDevice(t, opts)
	opts.Port = sub.Port()
	setPeer(t, sub, Peer{PublicKey: dom.Key()})
	p := fast(dom)
	run(t, p.Run)
	stop := run(t, (&Answer{Device: sub}).Run)
	setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{udpOf(sub)}, Keepalive: 25 * time.Second})
	await(t, p, sub.Key())
	stop()
	sub.Close()
	again := openDevice(t, opts)
	setPeer(t, again, Peer{PublicKey: dom.Key()})
	run(t, (&Answer{Device: again}).Run)
	begin := time.Now()
	last := vitalOf(p, sub.Key()).LastBeat
	eventually(t, "answer after the restart", func() bool { return vitalOf(p, sub.Key()).LastBeat.After(last) })
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("back after %s", d)
	}
}

// With a hint where the dom was, a restarted sub doesn't wait for it.
func TestRestartedSubWithHintCallsTheDom(t *testing.T) {
	dom, key := openDevice(t, Options{}), NewPrivateKey()
	opts := Options{PrivateKey: key, Addrs: []netip.Addr{loopback(t)}}
	sub := openDevice(t, opts)
	opts.Port = sub.Port()
	setPeer(t, sub, Peer{PublicKey: dom.Key()})
	hint := make(chan netip.AddrPort, 100)
	stop := run(t, (&Answer{Device: sub, OnBeat: func(b Beat) { hint <- b.Endpoint }}).Run)
	p := &Pulse{Device: dom, Interval: time.Hour}
	run(t, p.Run)
	setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{udpOf(sub)}})
	await(t, p, sub.Key())
	stop()
	sub.Close()
	last := vitalOf(p, sub.Key()).LastBeat
	again := openDevice(t, opts)
	setPeer(t, again, Peer{PublicKey: dom.Key(), Endpoints: []netip.AddrPort{<-hint}})
	run(t, (&Answer{Device: again}).Run)
	eventually(t, "beat long before its time", func() bool { return vitalOf(p, sub.Key()).LastBeat.After(last) })
}

// A sub that falls silent at one address is tried at the other, and back.
func TestOtherAddressFamily(t *testing.T) {
	v6 := netip.IPv6Loopback()
	opts := Options{Addrs: []netip.Addr{loopback(t), v6}}
	sub := openDevice(t, opts)
	dom := openDevice(t, Options{Addrs: []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}})
	r := newRelay(t, udpOf(sub), 0)
	setPeer(t, sub, Peer{PublicKey: dom.Key()})
	run(t, (&Answer{Device: sub}).Run)
	p := fast(dom)
	run(t, p.Run)
	six := netip.AddrPortFrom(v6, sub.Port())
	setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{r.addr(), six}})
	await(t, p, sub.Key())
	if got := dom.Peers()[0].Endpoint; got != r.addr() {
		t.Fatalf("first at %s, want %s", got, r.addr())
	}
	r.cut.Store(true)
	eventually(t, "over IPv6", func() bool {
		return vitalOf(p, sub.Key()).Misses == 0 && dom.Peers()[0].Endpoint == six
	})
	await(t, p, sub.Key())
}

// A cut that heals is over with the next beat, and shows as its length.
func TestCutAndHeal(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openDevice(t, Options{})
	r := newRelay(t, udpOf(sub), 0)
	setPeer(t, sub, Peer{PublicKey: dom.Key()})
	run(t, (&Answer{Device: sub}).Run)
	p := fast(dom)
	run(t, p.Run)
	setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{r.addr()}})
	await(t, p, sub.Key())
	r.cut.Store(true)
	eventually(t, "misses and redials", func() bool {
		v := vitalOf(p, sub.Key())
		return v.Misses >= 4 && v.Redials >= 3
	})
	r.cut.Store(false)
	await(t, p, sub.Key())
	if v := vitalOf(p, sub.Key()); v.Misses != 0 || v.Redials != 0 {
		t.Errorf("state %+v", v)
	}
}

// A connection outlives a cut, and goes on within seconds of its end.
func TestConnectionOutlivesACut(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openDevice(t, Options{})
	r := newRelay(t, udpOf(sub), 0)
	setPeer(t, sub, Peer{PublicKey: dom.Key()})
	run(t, (&Answer{Device: sub}).Run)
	p := fast(dom)
	run(t, p.Run)
	setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{r.addr()}})
	serveEcho(t, sub, 80)
	c, err := dom.DialContext(within(t, 5*time.Second), netip.AddrPortFrom(sub.Addr(), 80))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r.cut.Store(true)
	went := make(chan error, 1)
	go func() { went <- echo(c, "in the dark") }()
	eventually(t, "new sessions in the cut", func() bool { return vitalOf(p, sub.Key()).Redials >= 3 })
	r.cut.Store(false)
	begin := time.Now()
	if err := <-went; err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > 2*maxRTO {
		t.Errorf("went on after %s", d)
	}
}

// An unreachable address is named.
func TestPulseSaysWhyNothingLeaves(t *testing.T) {
	dom := openDevice(t, Options{})
	p := fast(dom)
	run(t, p.Run)
	key := NewPrivateKey().Public()
	setPeer(t, dom, Peer{PublicKey: key, Endpoints: []netip.AddrPort{netip.MustParseAddrPort("[::1]:9")}})
	eventually(t, "error", func() bool { return vitalOf(p, key).Err != nil })
	if err := dom.RemovePeer(key); err != nil {
		t.Fatal(err)
	}
	if n := len(p.State()); n != 0 {
		t.Errorf("%d peers in the state after removal", n)
	}
}

// Nobody but a peer of the device is heard, and nothing malformed.
func TestAnswerIgnoresWhatIsNoBeat(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openDevice(t, Options{})
	join(t, dom, sub)
	var beats atomic.Int32
	run(t, (&Answer{Device: sub, OnBeat: func(Beat) { beats.Add(1) }}).Run)
	other, err := dom.ListenPacket(BeatPort + 1)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	right, err := dom.ListenPacket(BeatPort)
	if err != nil {
		t.Fatal(err)
	}
	defer right.Close()
	good, _ := beat{kind: beatAsk, seq: 1}.append(nil)
	other.WriteTo(good, beatAddr(sub.Key())) // from the wrong port
	for _, junk := range []string{"", "b8s", "b8s\x01short", "xxx\x01abcdefgh", "b8s\x09abcdefgh"} {
		right.WriteTo([]byte(junk), beatAddr(sub.Key()))
	}
	right.WriteTo(good, beatAddr(sub.Key()))
	buf := make([]byte, MTU)
	right.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, _, err := right.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := parseBeat(buf[:n]); err != nil || b.kind != beatAnswer || b.seq != 1 {
		t.Errorf("answer %+v, %v", b, err)
	}
	if n := beats.Load(); n != 1 {
		t.Errorf("%d beats", n)
	}
}

func TestBeatOfTooMuch(t *testing.T) {
	dom, sub := openDevice(t, Options{}), openDevice(t, Options{})
	run(t, (&Answer{Device: sub}).Run)
	p := fast(dom)
	var size atomic.Int32
	size.Store(MaxBeat)
	p.Payload = func(PublicKey) []byte { return make([]byte, size.Load()) }
	run(t, p.Run)
	join(t, dom, sub)
	await(t, p, sub.Key())
	size.Store(MaxBeat + 1)
	eventually(t, "error", func() bool { return vitalOf(p, sub.Key()).Err != nil })
}

func TestManySubs(t *testing.T) {
	const subs = 50
	dom := openDevice(t, Options{})
	p := &Pulse{Device: dom}
	run(t, p.Run)
	var wg sync.WaitGroup
	errs := make(chan error, subs)
	ctx := within(t, 30*time.Second)
	for range subs {
		sub := openDevice(t, Options{})
		setPeer(t, sub, Peer{PublicKey: dom.Key()})
		run(t, (&Answer{Device: sub}).Run)
		setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{udpOf(sub)}, Keepalive: 25 * time.Second})
		wg.Go(func() { errs <- p.Await(ctx, sub.Key()) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if n := len(p.State()); n != subs {
		t.Errorf("%d subs in the state, want %d", n, subs)
	}
}

func TestPulseEndsWithItsDevice(t *testing.T) {
	dom, err := Open(Options{PrivateKey: NewPrivateKey(), Addrs: []netip.Addr{loopback(t)}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 2)
	go func() { done <- (&Pulse{Device: dom}).Run(context.Background()) }()
	sub := openDevice(t, Options{})
	go func() { done <- (&Answer{Device: sub}).Run(context.Background()) }()
	dom.Close()
	sub.Close()
	for range 2 {
		select {
		case err := <-done:
			if err == nil {
				t.Error("ended well, though its device was closed")
			}
		case <-time.After(5 * time.Second):
			t.Fatal("still running")
		}
	}
}

func FuzzBeat(f *testing.F) {
	good, _ := beat{kind: beatAsk, seq: 3, payload: []byte("x")}.append(nil)
	f.Add(good)
	f.Add([]byte("b8s"))
	f.Fuzz(func(t *testing.T, buf []byte) {
		b, err := parseBeat(buf)
		if err != nil {
			return
		}
		if again, err := b.append(nil); err != nil || !bytes.Equal(again, buf) {
			t.Errorf("%x becomes %x, %v", buf, again, err)
		}
	})
}
