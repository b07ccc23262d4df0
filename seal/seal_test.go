package seal

import (
	"bytes"
	"path/filepath"
	"testing"
)

func newIdentity(t *testing.T) Identity {
	t.Helper()
	id, err := LoadOrCreate(filepath.Join(t.TempDir(), "age"))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestOnlyRecipientsOpen(t *testing.T) {
	sydney, dom, stranger := newIdentity(t), newIdentity(t), newIdentity(t)
	secret := []byte("the key of a certificate")
	sealed, err := Seal(secret, sydney.Recipient(), dom.Recipient(), sydney.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, secret) {
		t.Error("the secret can be read")
	}
	for who, id := range map[string]Identity{"sydney": sydney, "dom": dom} {
		if got, err := id.Open(sealed); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("%s: %q, %v", who, got, err)
		}
	}
	if got, err := stranger.Open(sealed); err == nil {
		t.Errorf("a stranger opened it: %q", got)
	}
}

func TestSealRefusesNobodyAndNonsense(t *testing.T) {
	if _, err := Seal([]byte("x")); err == nil {
		t.Error("sealed to nobody")
	}
	if _, err := Seal([]byte("x"), "age1nonsense"); err == nil {
		t.Error("sealed to nonsense")
	}
	if _, err := newIdentity(t).Open([]byte("nonsense")); err == nil {
		t.Error("opened nonsense")
	}
}
