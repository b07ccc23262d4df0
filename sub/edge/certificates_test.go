package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"b8s/sub/edge/ticket"
)

// serial is that of the certificate a client is shown.
func (l *lab) serial(host string) (string, error) {
	conf := l.clientTLS(host)
	conf.InsecureSkipVerify = true // expired ones too
	c, err := tls.Dial("tcp", l.https.String(), conf)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return fmt.Sprintf("%X", c.ConnectionState().PeerCertificates[0].SerialNumber), nil
}

func TestBadBundlesLeaveTheLastGoodOne(t *testing.T) {
	l := start(t, Options{}, "a.test")
	good, other := l.ca.fresh(t, "a.test"), l.ca.fresh(t, "b.test")
	if err := l.SetCertificates(map[string]Certificate{"main": good}); err != nil {
		t.Fatal(err)
	}
	want := l.State().Certificates["main"].Serial
	pemOf := func(c Certificate, i int) []byte {
		return []byte(strings.SplitAfter(string(c.Chain), "-----END CERTIFICATE-----\n")[i])
	}
	for name, tc := range map[string]struct {
		bundle Certificate
		reason string
	}{
		"no pem":           {Certificate{DNSNames: good.DNSNames, Chain: []byte("x"), Key: good.Key}, "no certificate in PEM"},
		"key of another":   {Certificate{DNSNames: good.DNSNames, Chain: good.Chain, Key: other.Key}, "private key does not match"},
		"no key":           {Certificate{DNSNames: good.DNSNames, Chain: good.Chain}, "certificate and key"},
		"other names":      {Certificate{DNSNames: []string{"a.test"}, Chain: other.Chain, Key: other.Key}, "doesn't cover a.test"},
		"uncovered star":   {Certificate{DNSNames: []string{"*.a.test"}, Chain: good.Chain, Key: good.Key}, "doesn't cover *.a.test"},
		"no names":         {Certificate{Chain: good.Chain, Key: good.Key}, "no names"},
		"reversed chain":   {Certificate{DNSNames: good.DNSNames, Chain: append(pemOf(good, 1), pemOf(good, 0)...), Key: good.Key}, "private key does not match"},
		"foreign issuer":   {Certificate{DNSNames: good.DNSNames, Chain: append(pemOf(good, 0), pemOf(newAuthority(t).fresh(t, "x"), 1)...), Key: good.Key}, "has not signed"},
		"key in the chain": {Certificate{DNSNames: good.DNSNames, Chain: append(good.Chain[:len(good.Chain):len(good.Chain)], good.Key...), Key: good.Key}, "private key"},
		"expired":          {l.ca.issue(t, -2*time.Hour, -time.Hour, "a.test"), "expired"},
		"from tomorrow":    {l.ca.issue(t, 24*time.Hour, 25*time.Hour, "a.test"), "valid from"},
		"older":            {l.ca.issue(t, -30*time.Minute, time.Hour, "a.test"), "older than the one served"},
	} {
		t.Run(name, func(t *testing.T) {
			err := l.SetCertificates(map[string]Certificate{"main": tc.bundle})
			var errs Errors
			if !errors.As(err, &errs) || errs["main"] == nil || !strings.Contains(errs["main"].Error(), tc.reason) {
				t.Errorf("error %v, want one of main with %q", err, tc.reason)
			}
			if strings.Contains(fmt.Sprint(err), "PRIVATE KEY-----") {
				t.Errorf("the error tells the key: %v", err)
			}
			if got, err := l.serial("a.test"); got != want {
				t.Errorf("serves %s (%v), want %s", got, err, want)
			}
		})
	}
}

// The first certificate of a name is served whatever the clock says, so that a
// sub that boots with an old one, or a wrong clock, serves.
func TestFirstCertificateIsServedExpired(t *testing.T) {
	l := start(t, Options{})
	err := l.SetCertificates(map[string]Certificate{"main": l.ca.issue(t, -2*time.Hour, -time.Hour, "a.test")})
	if err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("error %v", err)
	}
	st := l.State()
	if got, err := l.serial("a.test"); got != st.Certificates["main"].Serial || got == "" {
		t.Errorf("serves %q (%v)", got, err)
	}
	if !st.Certificates["main"].Expired || len(st.Problems) != 1 {
		t.Errorf("state %+v", st)
	}
	if err := l.SetCertificates(map[string]Certificate{"main": l.ca.fresh(t, "a.test")}); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

func TestServerNames(t *testing.T) {
	l := start(t, Options{})
	if err := l.SetCertificates(map[string]Certificate{"exact": l.ca.fresh(t, "www.a.test"), "star": l.ca.fresh(t, "*.a.test", "a.test")}); err != nil {
		t.Fatal(err)
	}
	served := l.State().Certificates
	for host, name := range map[string]string{"www.a.test": "exact", "WWW.A.test": "exact", "x.a.test": "star", "a.test": "star", "x.y.a.test": "", "b.test": "", "": ""} {
		got, err := l.serial(host)
		if got != served[name].Serial {
			t.Errorf("%q: serial %q (%v), want that of %q", host, got, err, name)
		}
		var alert tls.AlertError
		if name == "" && !errors.As(err, &alert) && !strings.Contains(fmt.Sprint(err), "unrecognized name") {
			t.Errorf("%q: %v, want unrecognized_name", host, err)
		}
	}
	if c := l.client(viaHTTP3); true {
		if _, err := c.Get("https://b.test/"); err == nil || !strings.Contains(err.Error(), "0x170") && !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("http/3 to an unknown name: %v, want unrecognized_name", err)
		}
	}
	if err := l.SetCertificates(nil); err != nil {
		t.Fatal(err)
	}
	if got, err := l.serial("a.test"); err == nil {
		t.Errorf("serves %s, of a certificate taken away", got)
	}
}

func TestVersionsAndSuites(t *testing.T) {
	l := start(t, Options{}, "a.test")
	for name, tc := range map[string]struct {
		conf *tls.Config
		good bool
	}{
		"tls 1.3":            {&tls.Config{MinVersion: tls.VersionTLS13}, true},
		"tls 1.2":            {&tls.Config{MaxVersion: tls.VersionTLS12}, true},
		"tls 1.1":            {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		"cbc":                {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}}, false},
		"post-quantum alone": {&tls.Config{MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}}, true},
		"other protocol":     {&tls.Config{NextProtos: []string{"imap"}}, false},
	} {
		conf := tc.conf.Clone()
		conf.RootCAs, conf.ServerName = l.ca.pool, "a.test"
		c, err := tls.Dial("tcp", l.https.String(), conf)
		if (err == nil) != tc.good {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			c.Close()
		}
	}
}

// A client that got its ticket from one sub resumes on another.
func TestTicketsResumeOnAnotherSub(t *testing.T) {
	ca := newAuthority(t)
	one, two := startWith(t, ca, Options{}), startWith(t, ca, Options{})
	bundle := map[string]Certificate{"main": ca.fresh(t, "a.test")}
	seed := newLocalSeed(time.Now())
	old := seed
	old.Made = time.Now().Add(-ticket.MaxAge - time.Hour)
	early, err := TicketSeed{Secret: seed.Secret, Day: seed.Day - 1}.At(seed.Day)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		one, two TicketSeed
		version  uint16
		resumes  bool
	}{
		"tls 1.3":       {seed, seed, tls.VersionTLS13, true},
		"tls 1.2":       {seed, seed, tls.VersionTLS12, true},
		"began earlier": {TicketSeed{Secret: seed.Secret, Day: seed.Day - 1}, early, tls.VersionTLS13, true},
		"other seeds":   {seed, newLocalSeed(time.Now()), tls.VersionTLS13, false},
		"too old":       {old, old, tls.VersionTLS13, false},
	} {
		t.Run(name, func(t *testing.T) {
			for l, s := range map[*lab]TicketSeed{one: tc.one, two: tc.two} {
				if err := l.SetCertificates(bundle); err != nil {
					t.Fatal(err)
				}
				if err := l.SetTicketSeeds(map[string]TicketSeed{"main": s}); err != nil {
					t.Fatal(err)
				}
			}
			conf := &tls.Config{RootCAs: ca.pool, ServerName: "a.test", ClientSessionCache: tls.NewLRUClientSessionCache(4), MaxVersion: tc.version, NextProtos: []string{"http/1.1"}}
			var resumed bool
			for _, l := range []*lab{one, two} {
				c, err := tls.Dial("tcp", l.https.String(), conf)
				if err != nil {
					t.Fatal(err)
				}
				c.Write([]byte("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")) // the ticket of TLS 1.3 comes with the answer
				c.Read(make([]byte, 1))
				resumed = c.ConnectionState().DidResume
				c.Close()
			}
			if resumed != tc.resumes {
				t.Errorf("resumed %v, want %v", resumed, tc.resumes)
			}
		})
	}
	if err := one.SetTicketSeeds(map[string]TicketSeed{"main": {Secret: []byte("short")}}); err == nil {
		t.Error("a short seed was taken")
	}
}
