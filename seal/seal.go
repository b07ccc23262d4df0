package seal

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// Seal closes a secret to recipients: each of them can open it, and nobody
// else. The result is text (age, armoured), different at each call.
func Seal(secret []byte, recipients ...string) ([]byte, error) {
	if len(recipients) == 0 {
		return nil, fmt.Errorf("seal: no recipient")
	}
	recipients = slices.Compact(slices.Sorted(slices.Values(recipients)))
	var to []age.Recipient
	for _, r := range recipients {
		parsed, err := age.ParseX25519Recipient(r)
		if err != nil {
			return nil, fmt.Errorf("seal to %q: %w", r, err)
		}
		to = append(to, parsed)
	}
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, to...)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if _, err := w.Write(secret); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if err := text.Close(); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return out.Bytes(), nil
}

// maxSecret bounds what Open reads, in bytes.
const maxSecret = 1 << 20

// Open gives the secret that was sealed to this identity, among others.
func (id Identity) Open(sealed []byte) ([]byte, error) {
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(sealed)), id.key)
	if err != nil {
		return nil, fmt.Errorf("open what is sealed: %w", err)
	}
	secret, err := io.ReadAll(io.LimitReader(r, maxSecret))
	if err != nil {
		return nil, fmt.Errorf("open what is sealed: %w", err)
	}
	return secret, nil
}
