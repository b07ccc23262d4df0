// Package seal keeps the keys with which secrets are closed to everybody but
// the hosts that need them (age, X25519). It is the one home of
// filippo.io/age.
package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"filippo.io/age"

	"b8s/state"
)

// Identity opens what was sealed to its Recipient.
type Identity struct{ key *age.X25519Identity }

// LoadOrCreate reads the identity at path, or makes one there (0600).
func LoadOrCreate(path string) (Identity, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	if err != nil {
		return Identity{}, err
	}
	key, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	if err != nil {
		return Identity{}, fmt.Errorf("age identity %s: not readable as one: restore the file from a backup", path)
	}
	return Identity{key}, nil
}

func create(path string) (Identity, error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return Identity{}, err
	}
	return Identity{key}, state.WriteFile(path, []byte(key.String()+"\n"), 0o600)
}

// Recipient is the public half, as in "age1…".
func (id Identity) Recipient() string { return id.key.Recipient().String() }

// CheckRecipient says whether s is a recipient.
func CheckRecipient(s string) error {
	if _, err := age.ParseX25519Recipient(s); err != nil {
		return fmt.Errorf("age recipient %q: %w", s, err)
	}
	return nil
}
