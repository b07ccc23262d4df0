package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// KeyType is the kind of a certificate's key.
type KeyType string

// The kinds of key.
const (
	EC256   KeyType = "ec256"
	EC384   KeyType = "ec384"
	RSA2048 KeyType = "rsa2048"
	RSA4096 KeyType = "rsa4096"
)

func (t KeyType) check() error {
	switch t {
	case "", EC256, EC384, RSA2048, RSA4096:
		return nil
	}
	return fmt.Errorf("key type %q: known are ec256, ec384, rsa2048 and rsa4096", t)
}

// generate makes a new key of kind t.
func (t KeyType) generate() (crypto.Signer, error) {
	switch t {
	case EC384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// PrivateKey is a key in PEM (PKCS #8) that prints as [private key] and
// refuses to be marshalled.
type PrivateKey struct{ pem []byte }

// PEM returns the key itself, for whoever seals or serves it.
func (k PrivateKey) PEM() []byte { return k.pem }

// Format hides the key whatever the verb.
func (PrivateKey) Format(f fmt.State, _ rune) { f.Write([]byte("[private key]")) }

// MarshalJSON is an error: a key that ends up in JSON by accident is public.
func (PrivateKey) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a private key is not written as JSON")
}

func marshalKey(key crypto.Signer) (PrivateKey, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return PrivateKey{}, err
	}
	return PrivateKey{pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}, nil
}

// parseKey reads what marshalKey wrote. Its errors tell nothing of the content.
func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("no private key in it")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("private key is damaged")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("private key can't sign")
	}
	return signer, nil
}
