package acme

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Bundle is a certificate with all that is needed to serve it. It is a value:
// nobody changes it once it is made.
type Bundle struct {
	Name      string   // of the wish
	DNSNames  []string // as in the leaf, sorted
	Chain     []byte   // PEM, leaf first, without the root
	Key       PrivateKey
	Serial    string // hexadecimal, lower case, even number of digits
	NotBefore time.Time
	NotAfter  time.Time
	Issuer    string // common name of who signed the leaf
}

// newBundle checks that chain is a chain, key its key, and makes the bundle.
func newBundle(name string, chain []byte, key PrivateKey) (*Bundle, error) {
	certs, err := parseChain(chain)
	if err != nil {
		return nil, err
	}
	leaf := certs[0]
	signer, err := parseKey(key.pem)
	if err != nil {
		return nil, err
	}
	if public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(leaf.PublicKey) {
		return nil, errors.New("certificate is for another key")
	}
	names := slices.Clone(leaf.DNSNames)
	slices.Sort(names)
	return &Bundle{
		Name: name, DNSNames: names, Chain: chain, Key: key, Serial: serialText(leaf),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, Issuer: leaf.Issuer.CommonName,
	}, nil
}

// parseChain reads certificates in PEM, each signed by the next.
func parseChain(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("a %s among the certificates", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if n := len(certs); n > 0 {
			if err := certs[n-1].CheckSignatureFrom(cert); err != nil {
				return nil, fmt.Errorf("chain is broken at its certificate %d: %w", n+1, err)
			}
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in it")
	}
	return certs, nil
}

func serialText(leaf *x509.Certificate) string { return hex.EncodeToString(leaf.SerialNumber.Bytes()) }

// leaf returns the certificate itself; newBundle has parsed it before.
func (b *Bundle) leaf() *x509.Certificate {
	block, _ := pem.Decode(b.Chain)
	if block == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return cert
}

// lifetime is from NotBefore to NotAfter.
func (b *Bundle) lifetime() time.Duration { return b.NotAfter.Sub(b.NotBefore) }

// renewalID names the certificate in ACME Renewal Information (RFC 9773
// section 4.1): key identifier of the issuer, and the serial's DER content.
// "" if the certificate doesn't name its issuer's key.
func (b *Bundle) renewalID() string {
	leaf := b.leaf()
	if leaf == nil || len(leaf.AuthorityKeyId) == 0 {
		return ""
	}
	serial := leaf.SerialNumber.Bytes()
	if len(serial) == 0 || serial[0]&0x80 != 0 {
		serial = append([]byte{0}, serial...)
	}
	return base64.RawURLEncoding.EncodeToString(leaf.AuthorityKeyId) + "." + base64.RawURLEncoding.EncodeToString(serial)
}
