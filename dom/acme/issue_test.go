package acme

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var shop = Wish{Name: "shop", DNSNames: []string{"shop.example.test"}}

func TestIssue(t *testing.T) {
	n := newNames(t, 2, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	begin := time.Now()
	b := r.ensure("shop")
	t.Logf("from order to issued and published: %s", time.Since(begin))
	p.verify(b, "shop.example.test")
	if got := r.next(); got.Serial != b.Serial {
		t.Errorf("published serial %s, want %s", got.Serial, b.Serial)
	}
	if left := n.left(); len(left) != 0 {
		t.Errorf("challenges left: %v", left)
	}
	if life := b.lifetime(); life < 89*24*time.Hour {
		t.Errorf("lifetime %s: not the profile that was asked for", life)
	}
	if s := r.status("shop"); s.State != Valid || !s.Published || s.Alarm != "" || s.Serial != b.Serial {
		t.Errorf("status %+v", s)
	}
	checkModes(t, r.dir)
	again := r.ensure("shop")
	if again.Serial != b.Serial || p.issued() != 1 {
		t.Errorf("asked again: serial %s then %s, %d issued", b.Serial, again.Serial, p.issued())
	}
}

func checkModes(t *testing.T, dir string) {
	t.Helper()
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		info, err := d.Info()
		if err != nil {
			t.Fatal(err)
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if got := info.Mode().Perm(); got != want && path != dir {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
		return nil
	})
}

func TestWildcardAndApexInOneOrder(t *testing.T) {
	n := newNames(t, 2, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, Wish{Name: "all", DNSNames: []string{"*.example.test", "example.test", "www.example.test"}})
	b := r.ensure("all")
	p.verify(b, "example.test")
	p.verify(b, "any.example.test")
	if want := []string{"*.example.test", "example.test"}; !slices.Equal(b.DNSNames, want) {
		t.Errorf("names %v, want %v", b.DNSNames, want)
	}
	if p.orders() != 1 {
		t.Errorf("%d orders, want 1", p.orders())
	}
}

func TestSitesInParallel(t *testing.T) {
	n := newNames(t, 3, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	var wishes []Wish
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		wishes = append(wishes, Wish{Name: name, DNSNames: []string{name + ".example.test"}})
	}
	r.set(Settings{CA: p.ca(), Parallel: 4}, wishes...)
	r.ensure("a")
	if p.issued() != 8 || p.count("Added order") != 8 {
		t.Errorf("issued %d with %d orders, want 8 and 8", p.issued(), p.orders())
	}
	if got := p.count("accounts in memory"); got != 1 {
		t.Errorf("%d accounts, want 1", got)
	}
}

func TestForcePlanAndHosts(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop, Wish{Name: "blog", DNSNames: []string{"*.blog.example.test"}})
	plans, err := r.Plan(Request{Hosts: []string{"x.blog.example.test"}})
	if err != nil || len(plans) != 1 || !plans[0].Order || plans[0].CA != p.Directory {
		t.Fatalf("plan %+v, %v", plans, err)
	}
	if p.orders() != 0 || len(n.left()) != 0 {
		t.Fatal("a plan did something")
	}
	if _, err := r.Plan(Request{Hosts: []string{"nobody.test"}}); err == nil || !strings.Contains(err.Error(), "nobody.test") {
		t.Errorf("unknown host: %v", err)
	}
	if _, err := r.Ensure(t.Context(), Request{Hosts: []string{"shop"}}); err != nil {
		t.Fatal(err)
	}
	if p.issued() != 1 {
		t.Errorf("%d issued for one host", p.issued())
	}
	first, _ := r.Bundle("shop")
	var steps []Step
	res, err := r.Ensure(t.Context(), Request{Hosts: []string{"shop"}, Force: true, Progress: func(e Event) { steps = append(steps, e.Step) }})
	if err != nil || len(res) != 1 || res[0].Serial == first.Serial {
		t.Fatalf("forced: %+v, %v", res, err)
	}
	if steps[0] != StepOrder || steps[len(steps)-1] != StepPublished {
		t.Errorf("steps %v", steps)
	}
}

func TestExternalAccountBinding(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	const mac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	p := startPebble(t, n, func(p *pebble) { p.config.EAB, p.config.MACKeys = true, map[string]string{"kid-1": mac} })
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	_, err := r.Ensure(t.Context(), Request{})
	if err == nil || !strings.Contains(err.Error(), "binding") {
		t.Fatalf("without a binding: %v", err)
	}
	ca := p.ca()
	ca.Binding = Binding{KeyID: "kid-1", HMAC: mac}
	r.set(Settings{CA: ca}, shop)
	p.verify(r.ensure("shop"), "shop.example.test")
	if strings.Contains(string(r.log.Bytes()), mac) {
		t.Error("the binding's key is in the log")
	}
}

func TestAliasedChallenge(t *testing.T) {
	n := newNames(t, 2, "example.test.", "delegated.test.")
	n.add(t, "_acme-challenge.shop.example.test. 60 IN CNAME shop.delegated.test.")
	p := startPebble(t, n)
	r := newRig(t, n)
	r.set(Settings{CA: p.ca()}, shop)
	var owners []string
	n.mu.Lock()
	n.onPresent = func(owner string) { owners = append(owners, owner) }
	n.mu.Unlock()
	p.verify(r.ensure("shop"), "shop.example.test")
	if want := []string{"shop.delegated.test."}; !slices.Equal(owners, want) {
		t.Errorf("presented at %v, want %v", owners, want)
	}
}
