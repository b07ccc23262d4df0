package bus

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"b8s/state"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/crypto/chacha20poly1305"
)

// ErrWrongKey is returned by Start for a store that was made with another key.
var ErrWrongKey = errors.New("the store was made with another key")

// canary lies beside the store, sealed with the store's key. The inner server
// takes a wrong key for an empty store and starts cleanly; this file says so
// before it is started.
const canary = "canary"

var canaryText = []byte("b8s store v1")

type keyProof int

const (
	keyUnknown keyProof = iota // there is no canary
	keyRight
)

func canaryKey(key []byte) []byte {
	sum := sha256.Sum256(append([]byte("b8s canary v1\x00"), key...))
	return sum[:]
}

// checkKey opens the canary. Without one the key is unknown.
func checkKey(dir string, key []byte) (keyProof, error) {
	path := filepath.Join(dir, canary)
	sealed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return keyUnknown, nil
	}
	if err != nil {
		return keyUnknown, err
	}
	aead, err := chacha20poly1305.NewX(canaryKey(key))
	if err != nil {
		return keyUnknown, err
	}
	if len(sealed) < aead.NonceSize() {
		return keyUnknown, fmt.Errorf("%s is damaged: it has %d bytes; restore it, or take it away to let the streams be tried with the key", path, len(sealed))
	}
	nonce, box := sealed[:aead.NonceSize()], sealed[aead.NonceSize():]
	if text, err := aead.Open(nil, nonce, box, nil); err != nil || string(text) != string(canaryText) {
		return keyUnknown, fmt.Errorf("store %s: %w: nothing was read or written; start with the key file that belongs to it", dir, ErrWrongKey)
	}
	return keyRight, nil
}

// keepKey writes the canary.
func keepKey(dir string, key []byte) error {
	aead, err := chacha20poly1305.NewX(canaryKey(key))
	if err != nil {
		return err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return state.WriteFile(filepath.Join(dir, canary), aead.Seal(nonce, nonce, canaryText, nil), 0o600)
}

// storedStreams names the streams on disk.
func storedStreams(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "jetstream", "$G", "streams"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// recovered says which of the streams on disk the inner server did not take
// up.
func recovered(inner *server.Server, had []string, proof keyProof) error {
	info, err := inner.Jsz(&server.JSzOptions{Streams: true})
	if err != nil {
		return err
	}
	var have []string
	for _, acc := range info.AccountDetails {
		for _, st := range acc.Streams {
			have = append(have, st.Name)
		}
	}
	lost := slices.DeleteFunc(slices.Clone(had), func(name string) bool { return slices.Contains(have, name) })
	if len(lost) == 0 {
		return nil
	}
	if proof == keyUnknown && len(lost) == len(had) {
		return fmt.Errorf("%w: none of its streams (%v) opens; nothing was lost", ErrWrongKey, lost)
	}
	return fmt.Errorf("streams %v are on disk and don't open; restore them from a backup, or move their folders away", lost)
}
