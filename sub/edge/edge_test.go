package edge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority is a CA for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	next atomic.Int64
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, pool: x509.NewCertPool()}
	a.cert, _ = x509.ParseCertificate(der)
	a.pool.AddCert(a.cert)
	return a
}

// issue makes a bundle that is valid between two times from now.
func (a *authority) issue(t testing.TB, from, to time.Duration, names ...string) Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1000 + a.next.Add(1)), DNSNames: names, NotBefore: now.Add(from), NotAfter: now.Add(to),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})...)
	return Certificate{DNSNames: names, Chain: chain, Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})}
}

func (a *authority) fresh(t testing.TB, names ...string) Certificate {
	return a.issue(t, -time.Minute, time.Hour, names...)
}

// lab is a server on loopback, with its clients.
type lab struct {
	*Server
	t     testing.TB
	ca    *authority
	https netip.AddrPort
	http  netip.AddrPort
}

var loopback atomic.Uint32

// nextLoopback is an address that no other test uses.
func nextLoopback() netip.Addr {
	n := loopback.Add(1)
	return netip.AddrFrom4([4]byte{127, 77, byte(n >> 8), byte(n)})
}

// start runs a server with a certificate for the names.
func start(t testing.TB, opts Options, names ...string) *lab {
	t.Helper()
	return startWith(t, newAuthority(t), opts, names...)
}

func startWith(t testing.TB, ca *authority, opts Options, names ...string) *lab {
	t.Helper()
	addr := nextLoopback()
	opts.HTTPS = []netip.AddrPort{netip.AddrPortFrom(addr, 0)}
	opts.HTTP = []netip.AddrPort{netip.AddrPortFrom(addr, 0)}
	if opts.Name == "" {
		opts.Name = "london"
	}
	s := New(opts)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	t.Cleanup(func() {
		cancel()
		began := time.Now()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("run took %v to end", took)
		}
	})
	https, http := s.Addrs()
	l := &lab{Server: s, t: t, ca: ca, https: https[0], http: http[0]}
	if len(names) > 0 {
		if err := s.SetCertificates(map[string]Certificate{"main": ca.fresh(t, names...)}); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// tlsConfig is a client's settings.
func (l *lab) clientTLS(host string) *tls.Config {
	return &tls.Config{RootCAs: l.ca.pool, ServerName: host}
}

// client is one that speaks a protocol; all hosts are here.
func (l *lab) client(protocol int) *http.Client {
	switch protocol {
	case viaHTTP3:
		tr := &http3.Transport{
			DisableCompression: true,
			TLSClientConfig:    &tls.Config{RootCAs: l.ca.pool},
			Dial: func(ctx context.Context, _ string, conf *tls.Config, q *quic.Config) (*quic.Conn, error) {
				return quic.DialAddrEarly(ctx, l.https.String(), conf, q)
			},
		}
		l.t.Cleanup(func() { tr.Close() })
		return &http.Client{Transport: tr, CheckRedirect: noRedirect}
	default:
		tr := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: l.ca.pool}, ForceAttemptHTTP2: protocol == viaHTTP2, DisableCompression: true,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				to := l.https
				if strings.HasSuffix(addr, ":80") {
					to = l.http
				}
				return new(net.Dialer).DialContext(ctx, network, to.String())
			},
		}
		l.t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr, CheckRedirect: noRedirect}
	}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// eachProtocol runs a test with a client of each protocol.
func (l *lab) eachProtocol(t *testing.T, test func(t *testing.T, c *http.Client)) {
	for protocol, name := range protocols {
		t.Run(name, func(t *testing.T) { test(t, l.client(protocol)) })
	}
}

// sites sets sites, which must all be taken.
func (l *lab) set(sites ...Site) {
	l.t.Helper()
	if err := l.SetSites(sites); err != nil {
		l.t.Fatal(err)
	}
}

// origin is an upstream.
func origin(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = nil
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func proxied(host, upstream string) Site {
	return Site{Name: strings.ReplaceAll(host, ".", "-"), Hosts: []string{host}, Routes: []Route{{Path: "/", Upstream: upstream}}}
}

// fetch makes a request, and returns its answer with the whole body.
func fetch(t testing.TB, c *http.Client, method, url, body string, fields ...string) (*http.Response, string) {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, url, reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: body: %v", method, url, err)
	}
	return res, string(got)
}

// raw sends text over TLS and HTTP/1.1, and returns all that comes back.
func (l *lab) raw(host, text string) string {
	l.t.Helper()
	conf := l.clientTLS(host)
	conf.NextProtos = []string{"http/1.1"}
	c, err := tls.Dial("tcp", l.https.String(), conf)
	if err != nil {
		l.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		l.t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil && len(got) == 0 {
		return fmt.Sprintf("(%v)", err)
	}
	return string(got)
}

// answers counts the answers in what came back.
func answers(text string) int { return strings.Count(text, "HTTP/1.1 ") }

// dial is a connection over TLS and HTTP/1.1.
func (l *lab) dial(host string) *tls.Conn {
	l.t.Helper()
	conf := l.clientTLS(host)
	conf.NextProtos = []string{"http/1.1"}
	c, err := tls.Dial("tcp", l.https.String(), conf)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close() })
	return c
}

func loopbackPorts() []netip.AddrPort { return []netip.AddrPort{netip.AddrPortFrom(nextLoopback(), 0)} }
