package acme

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestNameserverDead(t *testing.T) {
	n := newNames(t, 3, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	n.servers[1].stop()
	r.set(Settings{CA: p.ca()}, shop)
	p.verify(r.ensure("shop"), "shop.example.test")
	left := r.status("shop").Left
	if len(left) != 1 || !strings.HasPrefix(left[0], "ns2.example.test ") || !strings.Contains(left[0], "left out") {
		t.Errorf("left out: %q, want ns2 named", left)
	}
}

func TestAllNameserversDead(t *testing.T) {
	n := newNames(t, 2, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	n.set(0, refusing)
	n.set(1, refusing)
	_, err := r.Ensure(t.Context(), Request{})
	if err == nil || !strings.Contains(err.Error(), n.servers[1].addr.String()+": answered REFUSED") {
		t.Errorf("got %v", err)
	}
	if p.count("Pulled a task") != 0 {
		t.Error("the authority was told to look")
	}
	n.set(0, following)
	p.verify(r.ensure("shop"), "shop.example.test")
	if p.orders() != 1 {
		t.Errorf("%d orders, want the same one gone on with", p.orders())
	}
}

// putOff ensures while two minutes go by, as soon as the nameservers were asked.
func putOff(t *testing.T, r *rig) error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := r.Ensure(t.Context(), Request{})
		done <- err
	}()
	select {
	case <-r.names.asks:
	case err := <-done:
		t.Fatalf("ended before the nameservers were asked: %v", err)
	}
	r.clock.advance(readyWithin + time.Second)
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("not put off")
		return nil
	}
}

func TestNameserverDeafPutsTheOrderOffAndLaterGoesOn(t *testing.T) {
	n := newNames(t, 2, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	n.set(1, deaf)
	err := putOff(t, r)
	wantErr(t, err, ErrNotReady)
	if !strings.Contains(err.Error(), "ns2.example.test") {
		t.Errorf("error doesn't name the nameserver: %v", err)
	}
	if s := r.status("shop"); s.State != PutOff || s.Alarm == "" || s.Next.IsZero() {
		t.Errorf("status %+v", s)
	}
	if p.count("Pulled a task") != 0 {
		t.Error("the authority was told to look")
	}
	r.reopen()
	r.set(Settings{CA: p.ca()}, shop)
	n.set(1, following)
	r.run()
	r.clock.advance(r.status("shop").Next.Sub(r.clock.Now()) + time.Second)
	p.verify(r.next(), "shop.example.test")
	if p.orders() != 1 || p.issued() != 1 {
		t.Errorf("%d orders and %d certificates, want the same order gone on with", p.orders(), p.issued())
	}
}

func TestSecondaryLags(t *testing.T) {
	n := newNames(t, 3, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	n.set(2, lagging)
	n.servers[2].lag = 4
	p.verify(r.ensure("shop"), "shop.example.test")
	if n.asked(2) <= 4 {
		t.Errorf("the secondary was asked %d times", n.asked(2))
	}
	if p.count("INVALID") != 0 {
		t.Error("the authority looked too early")
	}
}

func TestZoneElsewhereIsFoundByTheResolver(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	res := n.dns()
	res.Known = nil
	res.Port = n.servers[0].addr.Port()
	apex, servers, err := res.Servers(t.Context(), "_acme-challenge.a.b.example.test.")
	if err != nil || apex != "example.test." || len(servers) != 1 || servers[0].Addr != n.servers[0].addr {
		t.Fatalf("got %s %v %v", apex, servers, err)
	}
	n.Present(t.Context(), "_acme-challenge.example.test.", []string{"x"}, time.Time{})
	said, err := res.TXT(t.Context(), servers[0], Public, "_acme-challenge.example.test.")
	if err != nil || !said.Authoritative || len(said.Values) != 1 {
		t.Fatalf("got %+v %v", said, err)
	}
	if _, _, err := res.Servers(t.Context(), "a.nowhere.test."); err == nil {
		t.Error("a zone for a name that none holds")
	}
}

func TestContextEndsAnOrder(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	n.set(0, deaf)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := r.Ensure(ctx, Request{Progress: func(e Event) {
			if e.Step == StepReady {
				cancel()
			}
		}})
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("goes on 5 s after its context ended")
	}
	if s := r.status("shop"); s.Failures != 0 {
		t.Errorf("being told to stop counts as a failure: %+v", s)
	}
}

func TestSubIsAskedThroughTheTunnel(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	through := n.servers[0].addr
	res := n.dns()
	// Nothing answers at the public address, as behind a network without port 53.
	res.Known = func(name string) (string, []Server, bool) {
		apex, servers, ok := n.known(name)
		for i := range servers {
			servers[i].Addr, servers[i].Overlay = netip.MustParseAddrPort("127.0.0.1:1"), true
		}
		return apex, servers, ok
	}
	res.Overlay = func(ctx context.Context, s Server) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", through.String())
	}
	r.Manager.DNS = res
	r.set(Settings{CA: p.ca()}, shop)
	p.verify(r.ensure("shop"), "shop.example.test")
	left := r.status("shop").Left
	if len(left) != 1 || !strings.Contains(left[0], "asked through the tunnel: port 53 can't be reached") {
		t.Errorf("told %q", left)
	}
}
