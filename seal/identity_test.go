package seal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIdentityIsMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dom.age")
	first, err := LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadOrCreate(path)
	if err != nil || again.Recipient() != first.Recipient() {
		t.Errorf("second load: %q, %v; want %q", again.Recipient(), err, first.Recipient())
	}
	if err := CheckRecipient(first.Recipient()); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestDamagedIdentityIsKeptAndItsTextUnsaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dom.age")
	if err := os.WriteFile(path, []byte("AGE-SECRET-KEY-1QQQ"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadOrCreate(path)
	if err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("got %v, want an error without the key", err)
	}
	if left, _ := os.ReadFile(path); string(left) != "AGE-SECRET-KEY-1QQQ" {
		t.Errorf("the file was changed to %q", left)
	}
}
