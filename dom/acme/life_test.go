package acme

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestRenewWhenTheAuthoritySuggests(t *testing.T) {
	n := newNames(t, 2, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	first := r.ensure("shop")
	r.next()
	r.run()
	now := time.Now()
	p.suggest(first, now.Add(-time.Hour), now.Add(-time.Minute))
	r.clock.advance(7 * time.Hour) // past the first Retry-After of six hours
	second := r.next()
	p.verify(second, "shop.example.test")
	if second.Serial == first.Serial {
		t.Fatal("not renewed")
	}
	if p.count("is a replacement of") != 1 {
		t.Error("the order doesn't say what it replaces")
	}
	if string(second.Key.PEM()) == string(first.Key.PEM()) {
		t.Error("renewed with the same key")
	}
}

func TestSuggestedTimeIsDrawnOnceAndKept(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	b := r.ensure("shop")
	r.ensure("shop") // asks for the window
	st := r.status("shop")
	if !st.ByCA || st.Renew.Before(b.NotBefore.Add(b.lifetime()/2)) || st.Renew.After(b.NotAfter) {
		t.Fatalf("renewal %s by the authority: %v", st.Renew, st.ByCA)
	}
	for range 3 {
		r.reopen()
		r.set(Settings{CA: p.ca()}, shop)
		r.clock.advance(7 * time.Hour)
		r.ensure("shop")
		if got := r.status("shop").Renew; !got.Equal(st.Renew) {
			t.Fatalf("drawn anew: %s, then %s", st.Renew, got)
		}
	}
	soon := r.clock.Now().Add(20 * 24 * time.Hour)
	p.suggest(b, soon, soon.Add(time.Hour))
	r.clock.advance(7 * time.Hour)
	r.ensure("shop")
	got := r.status("shop")
	if got.Renew.Before(soon.Add(-time.Second)) || got.Renew.After(soon.Add(time.Hour)) || got.Why == "" {
		t.Errorf("another window: renewal %s why %q, want within the hour after %s", got.Renew, got.Why, soon)
	}
	p.suggest(b, b.NotAfter.Add(-time.Hour), b.NotAfter)
	r.clock.advance(7 * time.Hour)
	r.ensure("shop")
	if late := r.status("shop").Renew; !late.Equal(got.Renew) {
		t.Errorf("a useless window was followed: %s", late)
	}
}

func TestRenewShortLivedByLifetime(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	r := newRig(t, n)
	r.set(Settings{Issuer: IssuerLocal}, shop)
	first := r.ensure("shop")
	r.next()
	st := r.status("shop")
	if st.ByCA || st.Renew.After(first.NotBefore.Add(first.lifetime()/2)) {
		t.Fatalf("renewal %s, want before half of %s", st.Renew, first.lifetime())
	}
	r.run()
	r.clock.advance(first.lifetime() / 2)
	if second := r.next(); second.Serial == first.Serial {
		t.Error("not renewed")
	}
}

func TestRevoke(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	first := r.ensure("shop")
	r.next()
	if err := r.Revoke(t.Context(), "shop", KeyCompromise); err != nil {
		t.Fatal(err)
	}
	second := r.next()
	if second.Serial == first.Serial {
		t.Error("the revoked one is still the current one")
	}
	if got := p.statusOf(first); got != "Revoked" {
		t.Errorf("first is %s, want Revoked", got)
	}
	if got := p.statusOf(second); got != "Valid" {
		t.Errorf("second is %s, want Valid", got)
	}
	r.set(Settings{CA: p.ca()})
	if err := r.Revoke(t.Context(), "shop", Ceased); err != nil {
		t.Fatal(err)
	}
	if got := p.statusOf(second); got != "Revoked" || p.issued() != 2 {
		t.Errorf("no longer wished: %s, %d issued; want Revoked and 2", got, p.issued())
	}
	if _, ok := r.Bundle("shop"); ok {
		t.Error("a revoked certificate that nobody wishes is still there")
	}
	if err := r.Revoke(t.Context(), "nobody", Ceased); err == nil || !strings.Contains(err.Error(), "none of that name") {
		t.Errorf("unknown name: %v", err)
	}
}

func (p *pebble) statusOf(b Bundle) string {
	var answer struct{ Status string }
	if err := json.Unmarshal(p.manage("GET", "/cert-status-by-serial/"+strings.TrimLeft(b.Serial, "0"), nil), &answer); err != nil {
		p.t.Fatal(err)
	}
	return answer.Status
}

func TestAuthorityDownThenBackWithoutMemory(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	r.ensure("shop") // so that there is an account that the authority will have lost
	first := r.next()
	p.stop()
	if _, err := r.Ensure(t.Context(), Request{Force: true}); err == nil {
		t.Fatal("issued by nobody")
	}
	st := r.status("shop")
	if st.State != Failing || st.Failures != 1 || !strings.Contains(st.Problem, p.Directory) || st.Alarm != "" {
		t.Fatalf("status %+v", st)
	}
	p.start()
	r.reopen()
	r.set(Settings{CA: p.ca()}, shop)
	r.run()
	if _, err := r.Ensure(t.Context(), Request{Force: true}); err != nil {
		t.Fatal(err)
	}
	if b := r.next(); b.Serial == first.Serial {
		t.Error("still the first one")
	} else {
		p.verify(b, "shop.example.test")
	}
	if st := r.status("shop"); st.State != Valid || st.Failures != 0 {
		t.Errorf("status %+v", st)
	}
}

func TestRunRetriesAfterAPause(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	p := startPebble(t, n)
	p.stop()
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	if _, err := r.Ensure(t.Context(), Request{}); err == nil {
		t.Fatal("issued by nobody")
	}
	p.start()
	r.run()
	r.clock.advance(2 * time.Minute)
	p.verify(r.next(), "shop.example.test")
}

func TestSecondAuthorityAfterFailures(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	second := p.ca()
	s := Settings{CA: CA{Directory: "https://localhost:" + freePort(t) + "/dir"}, Second: &second, SecondAfter: 2}
	r.set(s, shop)
	for range 2 {
		if _, err := r.Ensure(t.Context(), Request{}); err == nil {
			t.Fatal("issued by nobody")
		}
	}
	b := r.ensure("shop")
	p.verify(b, "shop.example.test")
	if st := r.status("shop"); st.CA != p.Directory || st.Failures != 0 {
		t.Errorf("status %+v", st)
	}
	if plans, err := r.Plan(Request{Force: true}); err != nil || plans[0].CA != s.CA.Directory {
		t.Errorf("the next one is from %+v, want the first authority again (%v)", plans, err)
	}
	if plans, _ := r.Plan(Request{}); plans[0].Order {
		t.Errorf("a certificate of the second authority isn't accepted: %+v", plans)
	}
}

func TestPublishIsRepeatedUntilItIsTaken(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	r := newRig(t, n)
	r.fail = errors.New("nobody is there")
	r.set(Settings{Issuer: IssuerLocal}, shop)
	if _, err := r.Ensure(t.Context(), Request{}); err == nil || r.status("shop").Published {
		t.Fatalf("published to nobody: %v", err)
	}
	held, _ := r.Bundle("shop")
	r.fail = nil
	r.reopen()
	r.set(Settings{Issuer: IssuerLocal}, shop)
	r.run()
	if b := r.next(); b.Serial != held.Serial {
		t.Errorf("published %s, want %s", b.Serial, held.Serial)
	}
}

func TestCAAForbids(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	n.add(t, `example.test. 60 IN CAA 0 issue "other.test"`)
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	_, err := r.Ensure(t.Context(), Request{})
	wantErr(t, err, ErrForbidden)
	if p.orders() != 0 {
		t.Error("ordered all the same")
	}
	n.add(t, `shop.example.test. 60 IN CAA 0 issue "pebble.test; validationmethods=dns-01"`)
	p.verify(r.ensure("shop"), "shop.example.test")
}

func TestOrderThatTheAuthorityForgot(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	n.set(0, deaf)
	wantErr(t, putOff(t, r), ErrNotReady)
	if len(n.left()) == 0 {
		t.Error("the values were removed, so that a slow nameserver can never catch up")
	}
	p.stop()
	p.start() // with an empty memory
	n.set(0, following)
	p.verify(r.ensure("shop"), "shop.example.test")
	if left := n.left(); len(left) != 0 {
		t.Errorf("challenges left: %v", left)
	}
}

func TestOrderThatTheAuthorityRefuses(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	see := func(blind bool) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.blind = blind
	}
	see(true)
	_, err := r.Ensure(t.Context(), Request{})
	if err == nil || !strings.Contains(err.Error(), "the authority says: ") || !strings.Contains(err.Error(), "shop.example.test") {
		t.Errorf("got %v, want the authority's reason", err)
	}
	if left := n.left(); len(left) != 0 {
		t.Errorf("challenges left: %v", left)
	}
	see(false)
	p.verify(r.ensure("shop"), "shop.example.test")
	if p.orders() != 2 || p.issued() != 1 {
		t.Errorf("%d orders and %d certificates, want 2 and 1", p.orders(), p.issued())
	}
}

func TestUnknownProfileIsToldBeforeTheOrder(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	ca := p.ca()
	ca.Profile = "eternal"
	r.set(Settings{CA: ca}, shop)
	_, err := r.Ensure(t.Context(), Request{})
	if err == nil || !strings.Contains(err.Error(), "known are default, shortlived") || p.orders() != 0 {
		t.Errorf("got %v and %d orders", err, p.orders())
	}
}
