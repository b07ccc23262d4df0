// Package localca is a certificate authority for laboratories and the demo:
// a root, and below it an intermediate that is confined to the names in use.
//
// What a caller may rely on: the root stays the same for as long as the folder
// does, so whoever trusts it once is done. The root's key signs intermediates
// alone, and may never sign for anything but domain names. An intermediate is
// confined by critical name constraints to the zones it was made for, is
// replaced before it is a year old, and signs server certificates of seven
// days. All keys are ECDSA P-256, on disk with mode 0600. Every method may be
// called from any goroutine.
//
// There is no revocation: a leaf is short-lived, and a root whose key is lost
// must be removed from where it is trusted.
package localca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"b8s/state"
)

// Lifetimes.
const (
	RootLife         = 10 * 365 * 24 * time.Hour
	IntermediateLife = 365 * 24 * time.Hour
	LeafLife         = 7 * 24 * time.Hour
)

// backdated is how far certificates begin in the past, for clocks that lag.
const backdated = 5 * time.Minute

// CA is the authority in one folder.
type CA struct {
	dir string
	now func() time.Time

	mu           sync.Mutex
	root         *signer // nil: not read or made yet
	intermediate *signer
}

// signer is a certificate and its key.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Open names the folder, which must exist or be creatable, and the clock.
// Nothing is made before Root or Issue.
func Open(dir string, now func() time.Time) (*CA, error) {
	ca := &CA{dir: dir, now: now}
	var err error
	if ca.root, err = ca.read("root"); err != nil {
		return nil, err
	}
	ca.intermediate, err = ca.read("intermediate")
	return ca, err
}

// Root returns the root certificate in PEM, and makes it first if need be.
func (ca *CA) Root() ([]byte, error) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if err := ca.needRoot(); err != nil {
		return nil, err
	}
	return encode(ca.root.cert), nil
}

// Issue signs a server certificate for the holder of public, and returns leaf
// and intermediate in PEM. names are in lower case, the first label may be "*".
func (ca *CA) Issue(public crypto.PublicKey, names []string) ([]byte, error) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if err := ca.needIntermediate(zones(names)); err != nil {
		return nil, err
	}
	now := ca.now()
	leaf, err := sign(&x509.Certificate{
		DNSNames: names, NotBefore: now.Add(-backdated), NotAfter: now.Add(LeafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}, public, ca.intermediate.cert, ca.intermediate.key)
	if err != nil {
		return nil, fmt.Errorf("sign with the local authority: %w", err)
	}
	return append(encode(leaf), encode(ca.intermediate.cert)...), nil
}

// zones returns the domains below which names are: the names without their
// wildcard, less those that lie below another one.
func zones(names []string) (out []string) {
	for _, n := range names {
		out = append(out, strings.TrimPrefix(n, "*."))
	}
	slices.Sort(out)
	out = slices.Compact(out)
	all := slices.Clone(out)
	return slices.DeleteFunc(out, func(n string) bool {
		return slices.ContainsFunc(all, func(above string) bool { return strings.HasSuffix(n, "."+above) })
	})
}

func (ca *CA) needRoot() error {
	if ca.root != nil {
		if ca.now().After(ca.root.cert.NotAfter) {
			return fmt.Errorf("the local authority's root has expired %s: remove %s and trust the new root", ca.root.cert.NotAfter.Format(time.DateOnly), ca.dir)
		}
		return nil
	}
	now := ca.now()
	any4, any6 := net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	made, err := ca.make("root", &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"b8s"}, CommonName: "b8s local root " + now.UTC().Format("2006-01-02")},
		NotBefore: now.Add(-backdated), NotAfter: now.Add(RootLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1,
		ExcludedIPRanges: []*net.IPNet{&any4, &any6}, PermittedDNSDomainsCritical: true,
	}, nil)
	ca.root = made
	return err
}

// needIntermediate makes a new one if there is none that may sign below all of
// domains, or it would soon not outlive a leaf. The new one keeps the domains
// of the old.
func (ca *CA) needIntermediate(domains []string) error {
	if err := ca.needRoot(); err != nil {
		return err
	}
	now := ca.now()
	if ca.intermediate != nil {
		held := ca.intermediate.cert
		if permits(held, domains) && now.Add(2*LeafLife).Before(held.NotAfter) && held.CheckSignatureFrom(ca.root.cert) == nil {
			return nil
		}
		domains = zones(append(slices.Clone(domains), held.PermittedDNSDomains...))
	}
	until := now.Add(IntermediateLife)
	if until.After(ca.root.cert.NotAfter) {
		until = ca.root.cert.NotAfter
	}
	made, err := ca.make("intermediate", &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"b8s"}, CommonName: "b8s local intermediate " + now.UTC().Format("2006-01-02")},
		NotBefore: now.Add(-backdated), NotAfter: until,
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:        true, BasicConstraintsValid: true, MaxPathLenZero: true,
		PermittedDNSDomains: domains, PermittedDNSDomainsCritical: true,
	}, ca.root)
	if err == nil {
		ca.intermediate = made
	}
	return err
}

// permits says whether an intermediate may sign below every one of domains.
func permits(intermediate *x509.Certificate, domains []string) bool {
	for _, d := range domains {
		if !slices.ContainsFunc(intermediate.PermittedDNSDomains, func(p string) bool { return d == p || strings.HasSuffix(d, "."+p) }) {
			return false
		}
	}
	return true
}

// make generates a key, has above sign (itself if nil), and saves both in one
// file.
func (ca *CA) make(name string, template *x509.Certificate, above *signer) (*signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	parent, parentKey := template, key
	if above != nil {
		parent, parentKey = above.cert, above.key
	}
	cert, err := sign(template, key.Public(), parent, parentKey)
	if err != nil {
		return nil, fmt.Errorf("make the local authority's %s: %w", name, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := append(encode(cert), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	if err := os.MkdirAll(ca.dir, 0o700); err != nil {
		return nil, err
	}
	return &signer{cert, key}, state.WriteFile(ca.path(name), text, 0o600)
}

func (ca *CA) path(name string) string { return filepath.Join(ca.dir, name+".pem") }

// sign gives template a random serial of 127 bits and has it signed.
func sign(template *x509.Certificate, public crypto.PublicKey, parent *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial.SetBit(serial, 126, 1)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// read loads what make saved; nil if there is nothing. Its errors tell
// nothing of the content.
func (ca *CA) read(name string) (*signer, error) {
	text, err := os.ReadFile(ca.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("read the local authority's %s: %w: restore it from a backup, or remove it and trust the new root", ca.path(name), err)
	}
	return s, nil
}

// parse reads a certificate and its key.
func parse(text []byte) (*signer, error) {
	first, rest := pem.Decode(text)
	if first == nil || first.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in it")
	}
	second, _ := pem.Decode(rest)
	if second == nil || second.Type != "PRIVATE KEY" {
		return nil, errors.New("no private key in it")
	}
	cert, err := x509.ParseCertificate(first.Bytes)
	if err != nil {
		return nil, errors.New("certificate is damaged")
	}
	key, err := x509.ParsePKCS8PrivateKey(second.Bytes)
	if err != nil {
		return nil, errors.New("private key is damaged")
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok || !ec.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("key and certificate don't belong together")
	}
	return &signer{cert, ec}, nil
}

func encode(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}
