package scenario

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"time"

	"b8s/dom"
	"b8s/sub"
)

// role is what a host runs, in this process or as a child of its own.
type role struct {
	Dom       bool // else it is a sub
	State     string
	Log       string     // file that takes the log
	Public    netip.Addr // of a sub: where it answers DNS, and the relay stands
	Tunnel    netip.Addr // where the tunnel's socket is
	TokenLife time.Duration
}

// Ports that every sub has at its own addresses.
const (
	dnsPort    = 5300
	tunnelPort = 51820
)

func (r role) dns() netip.AddrPort { return netip.AddrPortFrom(r.Public, dnsPort) }

// run is the life of the role, until ctx ends.
func (r role) run(ctx context.Context, ready func()) error {
	file, err := os.OpenFile(r.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	log := slog.New(slog.NewTextHandler(file, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if r.Dom {
		return dom.Run(ctx, dom.Options{State: r.State, Log: log, TunnelAddrs: []netip.Addr{r.Tunnel}, Ready: ready})
	}
	return sub.Run(ctx, sub.Options{
		State: r.State, Log: log, Threads: 1, Ready: ready,
		DNS: []netip.AddrPort{r.dns()}, IPv4: r.Public,
		TunnelAddrs: []netip.Addr{r.Tunnel}, Port: tunnelPort, TokenLife: r.TokenLife,
	})
}

// process is a role that runs. Stop ends it as a signal does, Kill as the
// kernel does.
type process interface {
	Stop() error
	Kill() error
}

// inside is a role in this process.
type inside struct {
	stop context.CancelFunc
	done chan error
}

func startInside(ctx context.Context, r role) (process, error) {
	ctx, stop := context.WithCancel(ctx)
	p := &inside{stop, make(chan error, 1)}
	ready := make(chan struct{})
	go func() { p.done <- r.run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
		return p, nil
	case err := <-p.done:
		stop()
		return nil, fmt.Errorf("it ended at its start: %w", err)
	}
}

func (p *inside) Stop() error {
	p.stop()
	return ended(p.done, func() {})
}

func (p *inside) Kill() error {
	return errors.New("only a child can be killed: start it with the word child")
}

// stopWithin is what every role promises, with room for a busy machine.
const stopWithin = 10 * time.Second

func ended(done <-chan error, force func()) error {
	select {
	case err := <-done:
		return err
	case <-time.After(stopWithin):
		force()
		return fmt.Errorf("it did not stop within %s", stopWithin)
	}
}

// child is a role in a process of its own: the test binary, started again.
// It stops when its stdin closes, so that it never outlives the test.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan error

	killed sync.Once
}

// roleVariable has the role of a child, as JSON.
const roleVariable = "B8S_SCENARIO_ROLE"

func startChild(r role) (process, error) {
	about, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+string(about))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	p := &child{cmd: cmd, stdin: stdin, done: make(chan error, 1)}
	go func() { p.done <- cmd.Wait() }()
	if err != nil || line != "ready\n" {
		p.Kill()
		return nil, fmt.Errorf("the child ended at its start, and said %q", line)
	}
	return p, nil
}

func (p *child) Stop() error {
	p.stdin.Close()
	return ended(p.done, func() { p.cmd.Process.Kill(); <-p.done })
}

// Kill may be called again.
func (p *child) Kill() error {
	p.killed.Do(func() {
		p.cmd.Process.Kill()
		<-p.done
		p.stdin.Close()
	})
	return nil
}

// beChild is the whole life of a child.
func beChild(about string) error {
	var r role
	if err := json.Unmarshal([]byte(about), &r); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	return r.run(ctx, func() { fmt.Println("ready") })
}
