package tunnel

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func fromHex(t testing.TB, s string) [32]byte {
	t.Helper()
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 32 {
		t.Fatalf("%q: %d bytes, %v", s, len(raw), err)
	}
	return [32]byte(raw)
}

// RFC 7748, section 5.2: one iteration of the base point 9 with scalar 9.
func TestPublicKeyVector(t *testing.T) {
	scalar := PrivateKey{9}
	want := "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
	if got := fmt.Sprintf("%x", [32]byte(scalar.Public())); got != want {
		t.Errorf("public key %s, want %s", got, want)
	}
}

func TestNewPrivateKeyIsClamped(t *testing.T) {
	for range 100 {
		k := NewPrivateKey()
		if k[0]&7 != 0 || k[31]&128 != 0 || k[31]&64 == 0 {
			t.Fatalf("not clamped: %08b … %08b", k[0], k[31])
		}
	}
}

func TestKeyTextRoundTrip(t *testing.T) {
	k := NewPrivateKey()
	text, err := k.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var again PrivateKey
	if err := again.UnmarshalText(text); err != nil || again != k {
		t.Errorf("private key: %v, equal %t", err, again == k)
	}
	public, err := ParsePublicKey(k.Public().String())
	if err != nil || public != k.Public() {
		t.Errorf("public key: %s, %v, want %s", public, err, k.Public())
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	good := NewPrivateKey().Public().String()
	for name, s := range map[string]string{
		"empty":         "",
		"truncated":     good[:43],
		"longer":        good + "A",
		"white space":   " " + good[1:],
		"newline":       good[:43] + "\n",
		"url alphabet":  "-" + good[1:],
		"no padding":    good[:43] + "A",
		"spare bits":    strings.Repeat("A", 42) + "B=",
		"zero":          strings.Repeat("A", 43) + "=",
		"early padding": good[:42] + "==",
	} {
		if k, err := ParsePublicKey(s); err == nil {
			t.Errorf("%s: %q read as %s", name, s, k)
		}
	}
}

// No way of printing shows a secret.
func TestSecretsStayHidden(t *testing.T) {
	private, psk, token := NewPrivateKey(), PresharedKey(NewPrivateKey()), NewToken()
	text, _ := private.MarshalText()
	secrets := []string{
		string(text), hex.EncodeToString(private[:]), fmt.Sprint([32]byte(private)),
		string(encodeKey(psk)), hex.EncodeToString(psk[:]), fmt.Sprint([32]byte(psk)),
		token.Reveal(), hex.EncodeToString(token[:]), fmt.Sprint([18]byte(token)),
	}
	ticket := Ticket{IPv4: loopback(t), Token: token, Key: private.Public()}
	var out bytes.Buffer
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		log.Info("said", "psk", psk, "token", token, "ticket", ticket, "peer", Peer{PresharedKey: psk})
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%o"} {
		fmt.Fprintf(&out, verb+verb+verb, private, psk, token)
		fmt.Fprintf(&out, verb, Peer{PresharedKey: psk})
		fmt.Fprintf(&out, verb, Options{PrivateKey: private})
	}
	if text, err := json.Marshal(token); err == nil {
		t.Errorf("token marshalled: %s", text)
	}
	for _, secret := range secrets {
		if strings.Contains(strings.ToLower(out.String()), strings.ToLower(secret)) {
			t.Errorf("%q is shown", secret)
		}
	}
}

// The form of an overlay address is fixed: changing it cuts every fleet.
func TestOverlayAddrVector(t *testing.T) {
	key := PublicKey(fromHex(t, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"))
	if got, want := OverlayAddr(key).String(), "fd5e:8c93:b458:f0a4:9d19:8f25:14b5:1860"; got != want {
		t.Errorf("overlay address %s, want %s", got, want)
	}
	if got, want := key.Fingerprint(), "108e-9f81-fa79-97a5-a0b5"; got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
}

func TestLoadOrCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k, err := LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	if again, err := LoadOrCreate(path); err != nil || again != k {
		t.Errorf("second load: %v, same key %t", err, again == k)
	}
}

func TestLoadOrCreateRefuses(t *testing.T) {
	good, _ := NewPrivateKey().MarshalText()
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"readable by others": {string(good), 0o644},
		"empty":              {"", 0o600},
		"truncated":          {string(good[:20]), 0o600},
		"two lines":          {string(good) + "\n" + string(good), 0o600},
	} {
		path := filepath.Join(t.TempDir(), "key")
		os.WriteFile(path, []byte(c.text), 0o600)
		os.Chmod(path, c.mode)
		_, err := LoadOrCreate(path)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		} else if c.text != "" && strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: the error shows the key", name)
		}
		if left, _ := os.ReadFile(path); string(left) != c.text {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func FuzzPublicKey(f *testing.F) {
	f.Add(NewPrivateKey().Public().String())
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ParsePublicKey(s); err == nil && k.String() != s {
			t.Errorf("%q reads as %q", s, k)
		}
	})
}
