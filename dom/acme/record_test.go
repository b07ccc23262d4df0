package acme

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestLifetimeWindow(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct{ life, latest time.Duration }{
		{90 * day, 60 * day}, {45 * day, 30 * day}, {12 * day, 8 * day}, {6 * day, 3 * day},
	} {
		b := &Bundle{NotBefore: time.Unix(0, 0), NotAfter: time.Unix(0, 0).Add(tt.life)}
		start, end := lifetimeWindow(b)
		if got := end.Sub(b.NotBefore); got != tt.latest || !start.Before(end) {
			t.Errorf("life %s: %s to %s, want until %s", tt.life, start.Sub(b.NotBefore), got, tt.latest)
		}
	}
}

func TestBackOff(t *testing.T) {
	for failures := 1; failures < 40; failures++ {
		low, high := backOff(failures, false, 0), backOff(failures, false, 0.999)
		if low >= high || low < 45*time.Second || high > longestPause*5/4 {
			t.Errorf("after %d: %s to %s", failures, low, high)
		}
		if got := backOff(failures, true, 0.5); got > hurriedPause {
			t.Errorf("hurried after %d: %s", failures, got)
		}
	}
	if got := backOff(4, false, 0.5); got != 8*time.Minute {
		t.Errorf("after 4: %s, want 8m", got)
	}
}

func TestAuthoritiesInTurns(t *testing.T) {
	s := Settings{CA: CA{Directory: "https://a.test/"}, Second: &CA{Directory: "https://b.test/"}, SecondAfter: 2}
	var got string
	for strikes := range 8 {
		got += s.authority(strikes).Directory[8:9]
	}
	if got != "aabbaabb" {
		t.Errorf("got %s, want aabbaabb", got)
	}
	s.Second = nil
	if s.authority(100).Directory != "https://a.test/" {
		t.Error("a second authority that isn't there")
	}
}

func TestAlarmAtAThirdOfLifeLeft(t *testing.T) {
	n := newNames(t, 1, "example.test.")
	r := newRig(t, n)
	r.set(Settings{Issuer: IssuerLocal}, shop)
	b := r.ensure("shop")
	for _, tt := range []struct {
		at    time.Duration
		alarm string
		state State
	}{{b.lifetime() / 2, "", Valid}, {b.lifetime()*2/3 + time.Hour, "third", Valid}, {b.lifetime(), "expired", Expired}} {
		r.clock.advance(b.NotBefore.Add(tt.at).Sub(r.clock.Now()))
		st := r.status("shop")
		if st.State != tt.state || (tt.alarm == "") != (st.Alarm == "") || !strings.Contains(st.Alarm, tt.alarm) {
			t.Errorf("at %s: %s, alarm %q; want %s and %q", tt.at, st.State, st.Alarm, tt.state, tt.alarm)
		}
	}
}

func TestRateLimitIsKeptEvenWhenAsked(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many","status":429}`)
	}))
	defer s.Close()
	r := newRig(t, newNames(t, 1, "example.test."))
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	ca := CA{Directory: s.URL + "/dir", Roots: roots}
	r.set(Settings{CA: ca}, shop)
	_, err := r.Ensure(t.Context(), Request{})
	wantErr(t, err, ErrLimited)
	before := asked.Load()
	_, err = r.Ensure(t.Context(), Request{})
	wantErr(t, err, ErrLimited)
	if asked.Load() != before {
		t.Error("asked again before the authority's time")
	}
	st := r.status("shop")
	if left := st.Next.Sub(r.clock.Now()); left < 119*time.Minute || left > 121*time.Minute {
		t.Errorf("next attempt in %s, want 2h", left)
	}
	r.reopen()
	r.set(Settings{CA: ca}, shop)
	_, err = r.Ensure(t.Context(), Request{})
	wantErr(t, err, ErrLimited)
	if asked.Load() != before {
		t.Error("asked again after a restart")
	}
	r.clock.advance(121 * time.Minute)
	r.Ensure(t.Context(), Request{})
	if asked.Load() == before {
		t.Error("never asked again")
	}
}

func TestPageOfABoxBeforeTheAuthority(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, "<html>back soon</html>")
	}))
	defer s.Close()
	r := newRig(t, newNames(t, 1, "example.test."))
	r.set(Settings{CA: CA{Directory: s.URL + "/dir", Roots: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})}}, shop)
	_, err := r.Ensure(t.Context(), Request{})
	wantErr(t, err, ErrLimited)
	if left := r.status("shop").Next.Sub(r.clock.Now()); left < 9*time.Minute || left > 11*time.Minute {
		t.Errorf("next attempt in %s, want 10m", left)
	}
}

func TestRejectedNoncesEnd(t *testing.T) {
	var p *httptest.Server
	p = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Replay-Nonce", "n")
		switch req.URL.Path {
		case "/dir":
			json.NewEncoder(w).Encode(map[string]string{"newNonce": p.URL + "/n", "newAccount": p.URL + "/a", "newOrder": p.URL + "/o"})
		case "/a":
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"type":"urn:ietf:params:acme:error:badNonce","detail":"no","status":400}`)
		}
	}))
	defer p.Close()
	r := newRig(t, newNames(t, 1, "example.test."))
	r.set(Settings{CA: CA{Directory: p.URL + "/dir", Roots: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})}}, shop)
	_, err := r.Ensure(t.Context(), Request{})
	if err == nil || !strings.Contains(err.Error(), "nonces in a row") {
		t.Errorf("got %v", err)
	}
}

func TestSetRefusesWhole(t *testing.T) {
	r := newRig(t, newNames(t, 1, "example.test."))
	r.set(Settings{Issuer: IssuerLocal}, shop)
	err := r.Set(Settings{Issuer: "magic", CA: CA{Directory: "http://plain.test/"}}, []Wish{
		{Name: "UPPER", DNSNames: []string{"a.test"}}, {Name: "twice", DNSNames: []string{"a.test"}}, {Name: "twice", DNSNames: []string{"b.test"}},
		{Name: "none"}, {Name: "bad", DNSNames: []string{"a..test"}}, {Name: "star", DNSNames: []string{"a.*.test"}},
	})
	for _, want := range []string{"magic", "http://plain.test/", "UPPER", "twice", "none", "a..test", "a.*.test"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error doesn't tell of %q: %v", want, err)
		}
	}
	if st := r.Status(); len(st) != 1 || st[0].Name != "shop" {
		t.Errorf("something changed: %+v", st)
	}
}

func TestSecretsDontPrint(t *testing.T) {
	key, err := EC256.generate()
	if err != nil {
		t.Fatal(err)
	}
	text, _ := marshalKey(key)
	b := Bundle{Name: "x", Key: text}
	ca := CA{Binding: Binding{KeyID: "id", HMAC: "hush"}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if out := fmt.Sprintf(verb+verb, b, &b); strings.Contains(out, "PRIVATE") || strings.Contains(out, "2d2d2d") || strings.Contains(out, "45 45 45") {
			t.Errorf("%s prints a key: %s", verb, out)
		}
		if out := fmt.Sprintf(verb+verb, ca, &ca); strings.Contains(out, "hush") || strings.Contains(out, "68757368") {
			t.Errorf("%s prints a secret: %s", verb, out)
		}
	}
	if _, err := json.Marshal(b); err == nil {
		t.Error("a bundle with its key becomes JSON")
	}
}

func TestDamagedFilesAreNamedWithoutTheirContent(t *testing.T) {
	r := newRig(t, newNames(t, 1, "example.test."))
	r.set(Settings{Issuer: IssuerLocal}, shop)
	r.ensure("shop")
	path := filepath.Join(r.dir, "certs", "shop", "current.json")
	text, _ := os.ReadFile(path)
	for _, damaged := range [][]byte{text[:len(text)/2], []byte(strings.Replace(string(text), "BEGIN PRIVATE", "BEGIN PUBLIC", 1)), []byte("{}")} {
		os.WriteFile(path, damaged, 0o600)
		_, err := New(Options{Dir: r.dir})
		if err == nil || !strings.Contains(err.Error(), "shop") || strings.Contains(err.Error(), "KEY--") {
			t.Errorf("got %v", err)
		}
	}
}

func TestUnwishedIsForgottenOnceExpired(t *testing.T) {
	r := newRig(t, newNames(t, 1, "example.test."))
	r.set(Settings{Issuer: IssuerLocal}, shop)
	b := r.ensure("shop")
	r.set(Settings{Issuer: IssuerLocal})
	r.pass(t.Context())
	if st := r.status("shop"); st.State != Unwished || len(r.Bundles()) != 0 {
		t.Errorf("status %+v", st)
	}
	r.clock.advance(b.lifetime())
	r.pass(t.Context())
	if _, err := os.Stat(filepath.Join(r.dir, "certs", "shop")); !errors.Is(err, os.ErrNotExist) || len(r.Status()) != 0 {
		t.Errorf("still there: %v", err)
	}
}

func FuzzPending(f *testing.F) {
	w := Wish{Name: "x", DNSNames: []string{"x.test"}, KeyType: EC256}
	signer, _ := EC256.generate()
	key, _ := marshalKey(signer)
	csr, _ := request(w.DNSNames, key)
	good, _ := json.Marshal(pending{Schema: pendingSchema, Names: w.DNSNames, KeyType: EC256, CA: LetsEncrypt, Key: string(key.pem), Request: csr})
	f.Add(good)
	f.Add([]byte(`{"Schema":1,"URL":"http://x"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p pending
		if json.Unmarshal(text, &p) != nil {
			return
		}
		err := p.check()
		if err == nil && (len(p.Names) == 0 || p.Key == "" || len(p.Request) == 0) {
			t.Errorf("%s: taken for an order to go on with", text)
		}
		if err != nil && len(p.Key) > 20 && strings.Contains(err.Error(), p.Key) {
			t.Error("the error tells the key")
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	for _, s := range []string{"", "1", "-5", "99999999999999999999", "Wed, 21 Oct 2065 07:28:00 GMT", "soon"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d := parseRetryAfter(value, now); d < 0 {
			t.Errorf("%q: %s", value, d)
		}
	})
}
