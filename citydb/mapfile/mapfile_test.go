package mapfile

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path, empty := filepath.Join(dir, "a"), filepath.Join(dir, "empty")
	for name, content := range map[string]string{path: "hello", empty: ""} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Open(path, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil { // replaced or removed, an open one stays whole
		t.Fatal(err)
	}
	runtime.GC()
	if got := string(f.Bytes()); got != "hello" {
		t.Errorf("Bytes = %q", got)
	}
	runtime.KeepAlive(f)
	f.Close()
	f.Close()
	if f.Bytes() != nil {
		t.Error("bytes after Close")
	}
	if err := os.WriteFile(path, []byte("hello!"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"too large": path, "empty": empty, "folder": dir, "missing": path + "x"} {
		if _, err := Open(path, 5); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
