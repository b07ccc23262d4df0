package bus

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"b8s/subjects"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"
)

// smallDisk is a file system of so many bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("needs to mount a small file system: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestFullDiskHealsOnceThereIsSpace(t *testing.T) {
	disk := smallDisk(t, "24m")
	ballast := filepath.Join(disk, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 16<<20), 0o600))
	s := start(t, filepath.Join(disk, "bus"))
	nc := dial(t, s)
	bucket(t, nc, subjects.Records)
	js, err := nc.JetStream(nats.MaxWait(300 * time.Millisecond))
	must(t, err)
	kv, err := js.KeyValue(subjects.Records)
	must(t, err)
	_, err = kv.PutString("first", "kept")
	must(t, err)
	for i := 0; err == nil && i < 200; i++ {
		_, err = kv.Put(fmt.Sprintf("filler-%d", i), make([]byte, 256<<10))
	}
	if err == nil {
		t.Fatal("the disk never filled")
	}
	t.Logf("full disk: %v", err)

	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx, 20*time.Millisecond, 20*time.Millisecond) })
	t.Cleanup(func() { cancel(); watching.Wait() })
	eventually(t, "illness", func() bool { return s.Health() != nil })
	s.mu.Lock()
	ill := s.inner
	s.mu.Unlock()
	must(t, os.Remove(ballast))
	eventually(t, "health", func() bool { return s.Health() == nil })
	s.mu.Lock()
	if s.inner == ill {
		t.Log("well again without a restart")
	}
	s.mu.Unlock()
	eventually(t, "a put", func() bool { _, err := kv.PutString("last", "stored"); return err == nil })
	if e, err := kv.Get("first"); err != nil || string(e.Value()) != "kept" {
		t.Fatalf("what was stored before: %v, %v", e, err)
	}
}
