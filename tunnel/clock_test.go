package tunnel

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A wallClock is set by the test.
type wallClock struct{ at time.Time }

func (w *wallClock) now() time.Time { return w.at }

func openClock(t *testing.T, path string, w *wallClock) *Clock {
	t.Helper()
	c, err := OpenClock(path, w.now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClockRefusesToGoBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	w := &wallClock{time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)}
	c := openClock(t, path, w)
	if err := c.use(); err != nil {
		t.Fatal(err)
	}
	w.at = w.at.Add(-time.Hour)
	for _, c := range []*Clock{c, openClock(t, path, w)} {
		err := c.Check()
		if !errors.Is(err, ErrClockBehind) {
			t.Fatalf("check: %v", err)
		}
		for _, word := range []string{"2030-06-01T11:00:00Z", "2030-06-01T12:00:00Z", path} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q lacks %s", err, word)
			}
		}
		if err := c.use(); !errors.Is(err, ErrClockBehind) {
			t.Errorf("use: %v", err)
		}
	}
	w.at = w.at.Add(time.Hour)
	if err := c.use(); err != nil {
		t.Errorf("at the time used before: %v", err)
	}
}

// After kill -9 the file is behind the last use by less than a minute; after
// Save it is exact. Either way a right clock may dial at once.
func TestClockOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	start := time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)
	w := &wallClock{start}
	c := openClock(t, path, w)
	for range 90 {
		w.at = w.at.Add(time.Second)
		if err := c.use(); err != nil {
			t.Fatal(err)
		}
	}
	killed := openClock(t, path, w)
	if err := killed.Check(); err != nil {
		t.Errorf("right after kill -9: %v", err)
	}
	if behind := w.at.Sub(killed.last); behind >= clockGrain {
		t.Errorf("the file is %s behind", behind)
	}
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	if stopped := openClock(t, path, w); !stopped.last.Equal(w.at) {
		t.Errorf("saved %s, used %s", stopped.last, w.at)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
}

// A disk that takes no writes is said, and doesn't stop the dom.
func TestClockOnAFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	w := &wallClock{time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)}
	c := openClock(t, filepath.Join(dir, "clock"), w)
	if err := c.use(); err != nil {
		t.Errorf("use: %v", err)
	}
	if c.SaveErr() == nil || c.Save() == nil {
		t.Error("the error is lost")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := c.use(); err != nil || c.SaveErr() != nil {
		t.Errorf("with room again: %v, %v", err, c.SaveErr())
	}
}

func TestClockFileOfJunk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	os.WriteFile(path, []byte("yesterday\n"), 0o600)
	if _, err := OpenClock(path, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("open: %v", err)
	}
}

// A device whose clock is behind starts no handshake, and says why.
func TestDeviceDoesNotDialBehindItsClock(t *testing.T) {
	w := &wallClock{time.Now().Add(-time.Hour)}
	path := filepath.Join(t.TempDir(), "clock")
	os.WriteFile(path, []byte(time.Now().Format(time.RFC3339Nano)), 0o600)
	clock := openClock(t, path, w)
	dom, sub := openDevice(t, Options{Clock: clock}), openDevice(t, Options{})
	setPeer(t, sub, Peer{PublicKey: dom.Key()})
	p := &Pulse{Device: dom, Interval: 50 * time.Millisecond, Patience: 10 * time.Millisecond}
	run(t, p.Run)
	run(t, (&Answer{Device: sub}).Run)
	setPeer(t, dom, Peer{PublicKey: sub.Key(), Endpoints: []netip.AddrPort{udpOf(sub)}})
	eventually(t, "reason in the state", func() bool {
		s := p.State()
		return len(s) == 1 && errors.Is(s[0].Err, ErrClockBehind) && s[0].Redials > 1
	})
	if n := sub.bind.datagrams.Load(); n != 0 {
		t.Errorf("%d datagrams left", n)
	}
	_, err := Enrol(t.Context(), EnrolOptions{Ticket: Ticket{IPv4: loopback(t), Token: NewToken(), Key: sub.Key()}, Port: 1, Hello: hello(dom), Clock: clock})
	if !errors.Is(err, ErrClockBehind) {
		t.Errorf("enrol: %v", err)
	}
}
