package state

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceIsWholeOrNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	cut := errors.New("cut")
	err := Replace(path, 0o600, func(w io.Writer) error {
		io.WriteString(w, "ha")
		return cut
	})
	if !errors.Is(err, cut) {
		t.Errorf("error %v, want %v", err, cut)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("content %q, want the old one", got)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}

func TestOpenSweepsWhatAKilledProcessLeft(t *testing.T) {
	dir := t.TempDir()
	half := filepath.Join(dir, ".f.123"+tempSuffix)
	if err := os.WriteFile(half, []byte("ha"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half-written file: %v, want it gone", err)
	}
}

func TestOneProcessAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dom")
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open: %v, want ErrLocked", err)
	}
	first.Close()
	second, err := Open(dir)
	if err != nil {
		t.Fatalf("Open after Close: %v", err)
	}
	second.Close()
}
