package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is one that runs. Its lines on stdout come through lines.
type process struct {
	cmd   *exec.Cmd
	lines chan string
	done  chan struct{} // closed when it has ended and was waited for
	log   *os.File
}

// stopWithin is how long a process may take to end before it is killed.
const stopWithin = 10 * time.Second

// launch starts a program with its stderr in a file of the bench's folder. It
// is ended by the lab at the latest.
func (l *lab) launch(ctx context.Context, name, program string, args ...string) (*process, error) {
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(l.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, program, args...), lines: make(chan string, 1024), done: make(chan struct{}), log: log}
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		log.Close()
		return nil, err
	}
	go func() {
		defer close(p.done)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			p.lines <- scan.Text()
		}
		close(p.lines)
		p.cmd.Wait()
		log.Close()
	}()
	l.running = append(l.running, p)
	return p, nil
}

// signal ends the process by sig and waits; a slow one is killed.
func (p *process) signal(sig os.Signal) {
	p.cmd.Process.Signal(sig)
	go func() {
		for range p.lines { // so that it can end
		}
	}()
	select {
	case <-p.done:
	case <-time.After(stopWithin):
		p.cmd.Process.Kill()
		<-p.done
	}
}

func (p *process) stop() { p.signal(syscall.SIGTERM) }
func (p *process) kill() { p.signal(syscall.SIGKILL) }

// memory is how much of the system's memory a process has, in bytes.
type memory struct{ pss, anon, file int64 }

func (m memory) String() string {
	return fmt.Sprintf("%s PSS (%s anonymous, %s of files)", mib(m.pss), mib(m.anon), mib(m.file))
}

// memory reads the process's proportional set size.
func (p *process) memory() (m memory, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.cmd.Process.Pid))
	if err != nil {
		return m, err
	}
	for line := range bytes.Lines(text) {
		name, value, _ := strings.Cut(string(line), ":")
		number, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "Pss":
			m.pss = number << 10
		case "Pss_Anon":
			m.anon = number << 10
		case "Pss_File":
			m.file = number << 10
		}
	}
	if m.pss == 0 {
		return m, fmt.Errorf("memory of process %d: no Pss in smaps_rollup", p.cmd.Process.Pid)
	}
	return m, nil
}

// until calls ok, with a pause between, until it is true or within is over.
func until(ctx context.Context, what string, within, pause time.Duration, ok func() bool) error {
	for deadline := time.Now().Add(within); ; {
		if ok() {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s", what, within)
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
