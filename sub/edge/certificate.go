package edge

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Certificate is a bundle to serve.
type Certificate struct {
	Name     string
	DNSNames []string // that it must cover; SNI names one of them
	Chain    []byte   // PEM, the leaf first, each signed by the next
	Key      []byte   // PEM
}

// identity is a certificate that was checked, with the TLS settings of its
// connections. It is never changed, but for the ticket keys in its settings.
type identity struct {
	name   string
	names  []string
	chain  tls.Certificate
	tcp    *tls.Config
	quic   *tls.Config
	served Served
}

// sane is a time before which no clock of a running b8s can be.
var sane = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// errClock is wrapped by errors of time alone: they refuse a certificate in
// place of a good one, but not the first of its name, for a wrong clock must
// not stop a sub from serving.
var errClock = errors.New("clock or validity")

// newIdentity checks a bundle as a whole. before is what is served under its
// name, or nil.
func newIdentity(c Certificate, before *identity, now time.Time) (*identity, error) {
	chain, err := parseBundle(c)
	if err != nil {
		return nil, err
	}
	if before != nil && slices.EqualFunc(before.chain.Certificate, chain.Certificate, bytes.Equal) &&
		slices.Equal(before.names, c.DNSNames) {
		return before, nil
	}
	if err := checkNames(chain.Leaf, c.DNSNames); err != nil {
		return nil, err
	}
	if err := checkTime(chain.Leaf, before, now); err != nil {
		return nil, err
	}
	id := &identity{name: c.Name, names: slices.Clone(c.DNSNames), chain: chain}
	id.tcp = tlsConfig(chain, "h2", "http/1.1")
	id.quic = tlsConfig(chain, "h3")
	id.quic.MinVersion = tls.VersionTLS13
	id.served = Served{
		Serial:    fmt.Sprintf("%X", chain.Leaf.SerialNumber),
		NotBefore: chain.Leaf.NotBefore, NotAfter: chain.Leaf.NotAfter,
		Names: id.names, Since: now,
	}
	return id, nil
}

// parseBundle reads chain and key, and checks that they belong together.
func parseBundle(c Certificate) (tls.Certificate, error) {
	if len(c.DNSNames) == 0 {
		return tls.Certificate{}, errors.New("certificate has no names to be served under")
	}
	var ders [][]byte
	rest := c.Chain
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return tls.Certificate{}, fmt.Errorf("certificate chain holds a %q", strings.ToLower(block.Type))
		}
		ders = append(ders, block.Bytes)
	}
	if len(ders) == 0 {
		return tls.Certificate{}, errors.New("certificate chain holds no certificate in PEM")
	}
	pair, err := tls.X509KeyPair(c.Chain, c.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate and key: %w", err)
	}
	return pair, checkChain(pair.Leaf, ders)
}

// checkChain holds each certificate against the next, which must have signed
// it.
func checkChain(leaf *x509.Certificate, ders [][]byte) error {
	if leaf.IsCA && len(ders) > 1 {
		return errors.New("certificate chain begins with a CA, not with the leaf")
	}
	if len(leaf.ExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) &&
		!slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return errors.New("certificate is not for servers")
	}
	child := leaf
	for i, der := range ders[1:] {
		parent, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("certificate chain, certificate %d: %w", i+2, err)
		}
		if err := child.CheckSignatureFrom(parent); err != nil {
			return fmt.Errorf("certificate chain, certificate %d has not signed the one before it: %w", i+2, err)
		}
		child = parent
	}
	return nil
}

// checkNames wants each name in the leaf, as itself or below its wildcard.
func checkNames(leaf *x509.Certificate, names []string) error {
	for _, name := range names {
		if slices.ContainsFunc(leaf.DNSNames, func(n string) bool { return strings.EqualFold(n, name) }) {
			continue
		}
		if strings.HasPrefix(name, "*.") || leaf.VerifyHostname(name) != nil {
			return fmt.Errorf("certificate doesn't cover %s, only %s", name, strings.Join(leaf.DNSNames, " "))
		}
	}
	return nil
}

// checkTime refuses an expired, a future, and an older certificate.
func checkTime(leaf *x509.Certificate, before *identity, now time.Time) error {
	switch {
	case now.Before(sane):
		return fmt.Errorf("%w: the clock here says %s, set it", errClock, stamp(now))
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%w: certificate expired at %s, the clock here says %s", errClock, stamp(leaf.NotAfter), stamp(now))
	case now.Add(5 * time.Minute).Before(leaf.NotBefore):
		return fmt.Errorf("%w: certificate is valid from %s, the clock here says %s", errClock, stamp(leaf.NotBefore), stamp(now))
	case before != nil && leaf.NotBefore.Before(before.served.NotBefore):
		return fmt.Errorf("certificate of %s is older than the one served, of %s", stamp(leaf.NotBefore), stamp(before.served.NotBefore))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// tlsConfig is the settings for one certificate.
func tlsConfig(chain tls.Certificate, protocols ...string) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{chain},
		MinVersion:   tls.VersionTLS12,
		CipherSuites: []uint16{ // of TLS 1.2: forward secrecy and AEAD
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		CurvePreferences:            []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384},
		NextProtos:                  protocols,
		DynamicRecordSizingDisabled: true, // full records cost less, and begin as soon
	}
}
