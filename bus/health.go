package bus

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"b8s/state"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"
)

const (
	healthEvery = 2 * time.Second
	restartMin  = 2 * time.Second // between two restarts, doubling
	restartMax  = 5 * time.Minute
)

// Run watches the store until ctx ends, then returns nil. When it is ill (a
// full disk leaves it so even with space again) and the disk takes writes, the
// inner server is restarted in place: connections come back by themselves.
// One restart follows another at growing distance.
func (s *Server) Run(ctx context.Context) error { return s.watch(ctx, healthEvery, restartMin) }

func (s *Server) watch(ctx context.Context, every, wait time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	first := wait
	var next, restarted time.Time
	var ill string
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := s.Health()
		if err == nil {
			if ill != "" {
				s.log.Info("bus is well again")
			}
			if ill = ""; time.Since(restarted) > restartMax {
				wait = first
			}
			continue
		}
		if err.Error() != ill {
			s.log.Error("bus is ill", "err", err)
			ill = err.Error()
		}
		if time.Now().Before(next) || !s.writable() {
			continue
		}
		if err := s.Restart(ctx); err != nil {
			s.log.Error("restart bus in place", "err", err)
		}
		restarted = time.Now()
		next, wait = restarted.Add(wait), min(2*wait, restartMax)
	}
}

// healthTries is how often an ill server is asked again: on a busy machine the
// inner server now and then takes its own start for unfinished.
const healthTries = 5

// Health is nil while the store takes writes, else why it doesn't.
func (s *Server) Health() error {
	inner, err := s.current()
	if err != nil {
		return err
	}
	var ill string
	for range healthTries {
		h := inner.Healthz(&server.HealthzOptions{})
		if ill = h.Error; ill == "" {
			return nil
		}
	}
	return fmt.Errorf("bus: %s", ill)
}

// Restart replaces the inner server by a new one on the same store. When the
// new one doesn't start the bus stays down, Health says so, and the next
// Restart tries again.
func (s *Server) Restart(ctx context.Context) error {
	s.restart.Lock()
	defer s.restart.Unlock()
	old, err := s.current()
	if err != nil {
		return err
	}
	s.log.Warn("restart bus in place")
	stop(old)
	inner, err := s.open(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	names := make([]string, 0, len(s.subs))
	for name := range s.subs {
		names = append(names, name)
	}
	s.mu.Unlock()
	for _, name := range names {
		if _, err := account(inner, name); err != nil {
			stop(inner)
			return fmt.Errorf("sub %s: %w", name, err)
		}
	}
	s.mu.Lock()
	s.inner = inner
	s.mu.Unlock()
	return nil
}

// writable says whether the store's disk takes a megabyte.
func (s *Server) writable() bool {
	path := filepath.Join(s.opts.Dir, "probe")
	err := state.WriteFile(path, make([]byte, 1<<20), 0o600)
	os.Remove(path)
	return err == nil
}

// freeSpace is how many bytes the disk under dir has left for us.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// taken is how many bytes the files under dir have.
func taken(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // what can't be read is not counted
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
