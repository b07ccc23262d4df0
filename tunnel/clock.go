package tunnel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"b8s/state"
)

// ErrClockBehind is in every error of a Clock whose wall clock is behind a
// time that it has already used.
var ErrClockBehind = errors.New("the clock is behind the time of an earlier handshake")

// clockGrain is how far the times used run ahead of the file, at most.
const clockGrain = time.Minute

// A Clock keeps the dom from dialling with a wall clock that went back.
// WireGuard's first message carries the time, and a peer that has seen a
// later one stays silent, which looks like every other silence.
//
// The last time used is on disk within clockGrain of its use, and exactly
// after Save. So after kill -9 a clock that went back by less than that passes
// unnoticed; then the subs are silent for no longer than it went back.
//
// A disk that takes no writes doesn't keep the dom from dialling: see SaveErr.
//
// A nil *Clock allows everything. A Clock is safe for concurrent use.
type Clock struct {
	path string
	now  func() time.Time

	mu    sync.Mutex
	last  time.Time // the latest used
	saved time.Time // the one on disk
	err   error     // of the last save
}

// OpenClock reads the last time used from the file path; a missing file is a
// new dom's. now is the wall clock; nil means time.Now. It returns an error
// when the file can't be read, but not when the clock is behind: see Check.
func OpenClock(path string, now func() time.Time) (*Clock, error) {
	if now == nil {
		now = time.Now
	}
	c := &Clock{path: path, now: now}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	c.last, err = time.Parse(time.RFC3339Nano, strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("last handshake time in %s: %w (remove the file if this clock is right)", path, err)
	}
	c.saved = c.last
	return c, nil
}

// Check returns nil when the dom may dial now, and else an error that is
// ErrClockBehind and says both times and the cure.
func (c *Clock) Check() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.check(c.wall())
}

// wall is the time without its monotonic part, which would hide a step back.
func (c *Clock) wall() time.Time { return c.now().Round(0).UTC() }

func (c *Clock) check(now time.Time) error {
	if !now.Before(c.last) {
		return nil
	}
	return fmt.Errorf("%w: it is %s here, and %s was used before; subs ignore a dom whose time went back: set this clock right, or, if the earlier time was the wrong one, remove %s and restart b8s on each sub",
		ErrClockBehind, now.Format(time.RFC3339), c.last.Format(time.RFC3339), c.path)
}

// use records that a handshake starts now, or refuses it.
func (c *Clock) use() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.wall()
	if err := c.check(now); err != nil {
		return err
	}
	c.last = now
	if now.Sub(c.saved) >= clockGrain {
		c.save()
	}
	return nil
}

// SaveErr returns why the last time used isn't on disk; nil if it is. The next
// handshake tries again.
func (c *Clock) SaveErr() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Save puts the last time used on disk. The dom does so when it stops.
func (c *Clock) Save() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last.Equal(c.saved) {
		return nil
	}
	return c.save()
}

func (c *Clock) save() error {
	c.err = state.WriteFile(c.path, []byte(c.last.Format(time.RFC3339Nano)+"\n"), 0o600)
	if c.err != nil {
		c.err = fmt.Errorf("save the time of the last handshake: %w", c.err)
		return c.err
	}
	c.saved = c.last
	return nil
}
