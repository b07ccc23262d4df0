package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// settings are those of the command line.
type settings struct {
	runs   int
	subs   int
	idle   time.Duration
	binary string
	dir    string
}

// A lab is where benches run: the binary to measure, a folder, and the
// processes that the bench under way started. It is used by one goroutine.
type lab struct {
	settings
	temporary bool
	root      string // of all benches
	city      string // path of the city database, once it was made
	running   []*process
}

func newLab(ctx context.Context, s settings) (*lab, error) {
	l := &lab{settings: s, root: s.dir}
	if l.root == "" {
		dir, err := os.MkdirTemp("", "b8s-bench-")
		if err != nil {
			return nil, err
		}
		l.root, l.temporary = dir, true
	}
	if l.binary == "" {
		l.binary = filepath.Join(l.root, "b8s")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", l.binary, "b8s")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			l.close()
			return nil, fmt.Errorf("build b8s: %w\n%s", err, out)
		}
	}
	fmt.Printf("%s/%s, %d processors, %s, load %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), load())
	return l, nil
}

// load is the mean number of runnable processes in the last minute, "?" where
// the system doesn't tell.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

func (l *lab) close() {
	if l.temporary {
		os.RemoveAll(l.root)
	}
}

func (l *lab) begin(name string) {
	l.dir = filepath.Join(l.root, name)
	fmt.Printf("\n%s (load %s)\n", name, load())
}

// end ends all processes of the bench, the newest first, and removes what
// they wrote.
func (l *lab) end() {
	for _, p := range slices.Backward(l.running) {
		p.stop()
	}
	l.running = nil
	if l.temporary {
		os.RemoveAll(l.dir)
	}
}

// sample is what several runs measured.
type sample []time.Duration

// median of the sample; the lower one of the two in the middle.
func (s sample) median() time.Duration { return s.quantile(0.5) }

func (s sample) quantile(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[int(q*float64(len(sorted)-1))]
}

func (s sample) String() string {
	return fmt.Sprintf("median %s (%s to %s, %d runs)", ms(s.median()), ms(s.quantile(0)), ms(s.quantile(1)), len(s))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

func (l *lab) say(what string, result any) { fmt.Printf("  %-66s %v\n", what, result) }

// cityDatabase is the path of the 37 MiB city database; it is made once.
func (l *lab) cityDatabase() (string, error) {
	if l.city != "" {
		return l.city, nil
	}
	path := filepath.Join(l.root, "city.mmdb")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := writeCity(path, benchCity); err != nil {
			return "", err
		}
	}
	l.city = path
	return path, nil
}

func benchBinary(_ context.Context, l *lab) error {
	info, err := os.Stat(l.binary)
	if err == nil {
		l.say("binary, static, stripped", mib(info.Size()))
	}
	return err
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
