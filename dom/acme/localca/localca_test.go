package localca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type lab struct {
	*CA
	t   *testing.T
	dir string
	at  time.Time
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, dir: t.TempDir(), at: time.Now()}
	l.reopen()
	return l
}

func (l *lab) reopen() {
	l.t.Helper()
	ca, err := Open(l.dir, func() time.Time { return l.at })
	if err != nil {
		l.t.Fatal(err)
	}
	l.CA = ca
}

func (l *lab) issue(names ...string) []byte {
	l.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		l.t.Fatal(err)
	}
	chain, err := l.Issue(key.Public(), names)
	if err != nil {
		l.t.Fatal(err)
	}
	return chain
}

// verify holds chain against the root at the lab's time.
func (l *lab) verify(chain []byte, host string) error {
	l.t.Helper()
	root, err := l.Root()
	if err != nil {
		l.t.Fatal(err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	block, rest := pem.Decode(chain)
	between.AppendCertsFromPEM(rest)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		l.t.Fatal(err)
	}
	_, err = leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: between, CurrentTime: l.at})
	return err
}

func TestIssue(t *testing.T) {
	l := newLab(t)
	chain := l.issue("*.example.test", "example.test")
	for _, host := range []string{"example.test", "www.example.test"} {
		if err := l.verify(chain, host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if err := l.verify(chain, "other.test"); err == nil {
		t.Error("good for another name")
	}
}

func TestRootStaysAndKeysArePrivate(t *testing.T) {
	l := newLab(t)
	root, _ := l.Root()
	chain := l.issue("a.test")
	l.reopen()
	if again, _ := l.Root(); !bytes.Equal(root, again) {
		t.Error("another root after a restart")
	}
	if err := l.verify(chain, "a.test"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"root.pem", "intermediate.pem"} {
		info, err := os.Stat(filepath.Join(l.dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	if bytes.Contains(root, []byte("PRIVATE")) {
		t.Error("the root is handed out with its key")
	}
}

func TestIntermediateIsConfined(t *testing.T) {
	l := newLab(t)
	l.issue("a.test")
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	forged, err := sign(&x509.Certificate{
		DNSNames: []string{"bank.example"}, NotBefore: l.at.Add(-time.Hour), NotAfter: l.at.Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}, key.Public(), l.intermediate.cert, l.intermediate.key)
	if err != nil {
		t.Fatal(err)
	}
	err = l.verify(append(encode(forged), encode(l.intermediate.cert)...), "bank.example")
	if err == nil || !strings.Contains(err.Error(), "not permitted") {
		t.Errorf("the intermediate can sign for any name: %v", err)
	}
	before := l.intermediate.cert.SerialNumber
	first := l.issue("a.test")
	if l.intermediate.cert.SerialNumber.Cmp(before) != 0 {
		t.Error("another intermediate without need")
	}
	second := l.issue("b.test")
	if err := l.verify(first, "a.test"); err != nil {
		t.Errorf("after a new intermediate: %v", err)
	}
	if err := l.verify(second, "b.test"); err != nil {
		t.Error(err)
	}
	if err := l.verify(l.issue("x.a.test"), "x.a.test"); err != nil {
		t.Error(err)
	}
}

func TestRenewedInTime(t *testing.T) {
	l := newLab(t)
	l.issue("a.test")
	for range 30 { // two and a half years
		l.at = l.at.Add(30 * 24 * time.Hour)
		if err := l.verify(l.issue("a.test"), "a.test"); err != nil {
			t.Fatalf("at %s: %v", l.at, err)
		}
	}
	l.at = l.at.Add(RootLife)
	if _, err := l.Root(); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired root: %v", err)
	}
}

func TestDamagedIsNamedWithoutItsContent(t *testing.T) {
	l := newLab(t)
	l.issue("a.test")
	path := filepath.Join(l.dir, "root.pem")
	text, _ := os.ReadFile(path)
	os.WriteFile(path, text[:len(text)-30], 0o600)
	_, err := Open(l.dir, time.Now)
	if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "BEGIN") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	ca, err := Open(f.TempDir(), time.Now)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := ca.Root(); err != nil {
		f.Fatal(err)
	}
	text, _ := os.ReadFile(ca.path("root"))
	f.Add(text)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parse(text)
		if err == nil && !s.key.PublicKey.Equal(s.cert.PublicKey) {
			t.Error("a key that isn't the certificate's")
		}
	})
}
