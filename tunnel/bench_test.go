package tunnel

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// BenchmarkLongPath moves 32 MiB over a path of 100 ms each way.
func BenchmarkLongPath(b *testing.B) {
	for b.Loop() {
		dom, sub := openDevice(b, Options{}), openDevice(b, Options{})
		r := newRelay(b, udpOf(sub), 100*time.Millisecond)
		setPeer(b, sub, Peer{PublicKey: dom.Key()})
		setPeer(b, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{r.addr()}})
		// The sub fetches, and so the dom must have spoken before.
		setPeer(b, dom, Peer{PublicKey: sub.Key(), Keepalive: 25 * time.Second})
		eventually(b, "handshake", func() bool { return sub.Peers()[0].LastHandshake != time.Time{} })
		const size = 32 << 20
		begin := time.Now()
		n, err := transfer(b, dom, sub, size)
		if err != nil || n != size {
			b.Fatalf("%d bytes, %v", n, err)
		}
		b.ReportMetric(size/(1<<20)/time.Since(begin).Seconds(), "MiB/s")
		dom.Close()
		sub.Close()
	}
}

// BenchmarkLoopback moves 256 MiB with no delay.
func BenchmarkLoopback(b *testing.B) {
	for b.Loop() {
		dom, sub := openDevice(b, Options{}), openDevice(b, Options{})
		join(b, dom, sub)
		const size = 256 << 20
		begin := time.Now()
		n, err := transfer(b, sub, dom, size)
		if err != nil || n != size {
			b.Fatalf("%d bytes, %v", n, err)
		}
		b.ReportMetric(size/(1<<20)/time.Since(begin).Seconds(), "MiB/s")
		dom.Close()
		sub.Close()
	}
}

// BenchmarkMemory tells what a device costs, and what 200 pairs cost that have
// a session and an open connection: KiB/pair counts both ends.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		empty := residentSize(b)
		subs := make([]*Device, 200)
		for i := range subs {
			subs[i] = openDevice(b, Options{})
		}
		before := residentSize(b)
		dom := openDevice(b, Options{})
		opened := residentSize(b)
		for _, s := range subs {
			join(b, dom, s)
			serveEcho(b, s, 80)
			c, err := dom.DialContext(within(b, 10*time.Second), netip.AddrPortFrom(s.Addr(), 80))
			if err != nil {
				b.Fatal(err)
			}
			if err := echo(c, "hello"); err != nil {
				b.Fatal(err)
			}
		}
		full := residentSize(b)
		b.ReportMetric((before-empty)/200, "KiB/device")
		b.ReportMetric(opened-before, "KiB/dom")
		b.ReportMetric((full-opened)/200, "KiB/pair")
		b.ReportMetric(full, "KiB/all")
	}
}

// BenchmarkArrival sets 200 peers in one dom and waits until all have
// answered a beat.
func BenchmarkArrival(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		dom := openDevice(b, Options{})
		p := &Pulse{Device: dom}
		stop := run(b, p.Run)
		subs := make([]*Device, 200)
		for i := range subs {
			subs[i] = openDevice(b, Options{})
			setPeer(b, subs[i], Peer{PublicKey: dom.Key()})
			run(b, (&Answer{Device: subs[i]}).Run)
		}
		b.StartTimer()
		for _, s := range subs {
			setPeer(b, dom, Peer{PublicKey: s.Key(), Endpoints: []netip.AddrPort{udpOf(s)}, Keepalive: 25 * time.Second})
		}
		for _, s := range subs {
			for ctx := within(b, 30*time.Second); vitalOf(p, s.Key()).LastBeat.IsZero(); {
				if err := p.Await(ctx, s.Key()); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.StopTimer()
		stop()
		dom.Close()
		b.StartTimer()
	}
}

// residentSize is the memory of this process after a collection, in KiB.
func residentSize(b *testing.B) float64 {
	runtime.GC()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		var n float64
		if _, err := fmt.Sscanf(line, "Pss: %f kB", &n); err == nil {
			return n
		}
	}
	b.Fatal("no Pss in smaps_rollup")
	return 0
}
