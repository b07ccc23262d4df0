package tunnel

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"b8s/state"
)

// A PrivateKey is a clamped X25519 scalar (RFC 7748), as WireGuard uses it.
// No format verb shows it: fmt prints "private key", whatever the verb.
type PrivateKey [32]byte

// A PublicKey is an X25519 public key. Its text is standard base64 with
// padding, 44 characters, as `wg` prints it. The zero value is no key.
type PublicKey [32]byte

// A PresharedKey is the optional symmetric key that two peers share on top
// of their key pairs. The zero value is none. No format verb shows it.
type PresharedKey [32]byte

// NewPrivateKey draws a key from the system's random source.
func NewPrivateKey() PrivateKey {
	var k PrivateKey
	rand.Read(k[:]) // never fails: crypto/rand ends the process instead
	k.clamp()
	return k
}

// clamp sets the bits that RFC 7748 section 5 fixes in a scalar.
func (k *PrivateKey) clamp() {
	k[0] &= 248
	k[31] = k[31]&127 | 64
}

// Public returns the public half of k.
func (k PrivateKey) Public() PublicKey {
	key, err := ecdh.X25519().NewPrivateKey(k[:])
	if err != nil {
		panic(err) // any 32 bytes are an X25519 scalar
	}
	return PublicKey(key.PublicKey().Bytes())
}

// IsZero reports whether k is no key.
func (k PrivateKey) IsZero() bool { return k == PrivateKey{} }

// String hides the key.
func (k PrivateKey) String() string { return "private key" }

// Format hides the key from every verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { f.Write([]byte(k.String())) }

// MarshalText returns the key itself, as base64. It is for files with mode
// 0600 and nothing else.
func (k PrivateKey) MarshalText() ([]byte, error) { return encodeKey(k), nil }

// UnmarshalText reads what MarshalText wrote, and clamps it.
func (k *PrivateKey) UnmarshalText(text []byte) error {
	raw, err := decodeKey(text)
	if err != nil {
		return fmt.Errorf("private key: %w", err)
	}
	*k = raw
	k.clamp()
	return nil
}

// IsZero reports whether k is no key.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// String returns the key as base64.
func (k PublicKey) String() string { return string(encodeKey(k)) }

// Fingerprint returns 80 bits of the key's SHA-256 as four groups of hex
// digits, for two people to compare by voice.
func (k PublicKey) Fingerprint() string {
	sum := sha256.Sum256(k[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:2], sum[2:4], sum[4:6], sum[6:8], sum[8:10])
}

// MarshalText returns the key as base64.
func (k PublicKey) MarshalText() ([]byte, error) { return encodeKey(k), nil }

// UnmarshalText reads base64 of exactly 32 bytes, and refuses the zero key.
func (k *PublicKey) UnmarshalText(text []byte) error {
	key, err := ParsePublicKey(string(text))
	if err == nil {
		*k = key
	}
	return err
}

// ParsePublicKey reads the 44 characters of a public key.
func ParsePublicKey(s string) (PublicKey, error) {
	raw, err := decodeKey([]byte(s))
	if err != nil {
		return PublicKey{}, fmt.Errorf("public key: %w", err)
	}
	if PublicKey(raw).IsZero() {
		return PublicKey{}, errors.New("public key: all zero, which is no key")
	}
	return raw, nil
}

// IsZero reports whether there is no preshared key.
func (k PresharedKey) IsZero() bool { return k == PresharedKey{} }

// String hides the key.
func (k PresharedKey) String() string { return "preshared key" }

// Format hides the key from every verb.
func (k PresharedKey) Format(f fmt.State, _ rune) { f.Write([]byte(k.String())) }

func encodeKey(k [32]byte) []byte {
	return base64.StdEncoding.AppendEncode(nil, k[:])
}

const keyTextLen = 44

func decodeKey(text []byte) (key [32]byte, err error) {
	if len(text) != keyTextLen {
		return key, fmt.Errorf("%d characters where 44 belong", len(text))
	}
	var raw [33]byte
	n, err := base64.StdEncoding.Strict().Decode(raw[:], text)
	if err != nil || n != len(key) {
		return key, errors.New("not standard base64 of 32 bytes")
	}
	return [32]byte(raw[:32]), nil
}

// OverlayAddr returns the address of a key's holder on the overlay: fd and
// the first 15 bytes of SHA-256("b8s overlay v1" ‖ key). Each side computes it
// and never believes it from a message.
func OverlayAddr(k PublicKey) netip.Addr {
	sum := sha256.Sum256(append([]byte("b8s overlay v1"), k[:]...))
	addr := [16]byte{0xfd}
	copy(addr[1:], sum[:15])
	return netip.AddrFrom16(addr)
}

// LoadOrCreate returns the private key in the file path. A missing file is
// made with a new key and mode 0600, durably, before it returns. A file that
// others may read, or that holds anything but a key, is an error and stays as
// it is.
func LoadOrCreate(path string) (PrivateKey, error) {
	var key PrivateKey
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = NewPrivateKey()
		return key, state.WriteFile(path, append(encodeKey(key), '\n'), 0o600)
	}
	if err != nil {
		return key, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return key, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return key, fmt.Errorf("key file %s can be read by others (mode %#o): chmod 600 it, and replace the key if anyone may have read it", path, info.Mode().Perm())
	}
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
	}
	if err := key.UnmarshalText(text); err != nil {
		return PrivateKey{}, fmt.Errorf("key file %s: %w", path, err)
	}
	return key, nil
}
