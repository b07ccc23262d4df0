package acme

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		runChild()
		return
	}
	code := m.Run()
	if pebbleDir != "" {
		os.RemoveAll(pebbleDir)
	}
	if err := goleak.Find(); err != nil && code == 0 {
		os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

// clock is the real one, moved by the test.
type clock struct {
	mu      sync.Mutex
	offset  time.Duration
	changed chan struct{}
}

func newClock() *clock { return &clock{changed: make(chan struct{})} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *clock) Wait(ctx context.Context, d time.Duration) error {
	for until := c.Now().Add(d); ; {
		c.mu.Lock()
		changed, left := c.changed, time.Until(until.Add(-c.offset))
		c.mu.Unlock()
		if left <= 0 {
			return nil
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

// rig is a manager with all that it needs.
type rig struct {
	*Manager
	t         *testing.T
	dir       string
	names     *names
	clock     *clock
	log       *lockedBuffer
	published chan Bundle
	fail      error // what Publish returns
}

func newRig(t *testing.T, n *names) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), names: n, clock: newClock(), log: new(lockedBuffer), published: make(chan Bundle, 100)}
	r.reopen()
	t.Cleanup(func() {
		if bytes.Contains(r.log.Bytes(), []byte("PRIVATE KEY")) {
			t.Error("a private key is in the log")
		}
		if t.Failed() {
			t.Logf("log:\n%s", r.log.Bytes())
		}
	})
	return r
}

// reopen is what a new process does.
func (r *rig) reopen() {
	r.t.Helper()
	m, err := New(Options{
		Dir: r.dir, DNS: r.names.dns(), Challenges: r.names, Clock: r.clock,
		Publish: func(_ context.Context, b Bundle) error {
			if r.fail != nil {
				return r.fail
			}
			r.published <- b
			return nil
		},
		Log: slog.New(slog.NewTextHandler(r.log, nil)),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Manager = m
}

func (r *rig) set(s Settings, wishes ...Wish) {
	r.t.Helper()
	if err := r.Set(s, wishes); err != nil {
		r.t.Fatal(err)
	}
}

// ensure gets what is due and returns the certificate of that name.
func (r *rig) ensure(name string) Bundle {
	r.t.Helper()
	if _, err := r.Ensure(r.t.Context(), Request{}); err != nil {
		r.t.Fatal(err)
	}
	b, ok := r.Bundle(name)
	if !ok {
		r.t.Fatalf("no certificate %s", name)
	}
	return b
}

// run starts Run, and ends it with the test.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				r.t.Error(err)
			}
		case <-time.After(5 * time.Second):
			r.t.Error("Run goes on 5 s after its context ended")
		}
	})
	r.t.Cleanup(stop)
	return stop
}

// next waits for a certificate to be published.
func (r *rig) next() Bundle {
	r.t.Helper()
	select {
	case b := <-r.published:
		return b
	case <-time.After(20 * time.Second):
		r.t.Fatal("no certificate was published within 20 s")
		return Bundle{}
	}
}

func (r *rig) status(name string) Status {
	r.t.Helper()
	for _, s := range r.Status() {
		if s.Name == name {
			return s
		}
	}
	r.t.Fatalf("no status of %s", name)
	return Status{}
}

// wantErr holds err to a sentinel.
func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}
