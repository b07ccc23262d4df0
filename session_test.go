package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

// patience bounds every wait; what takes longer is broken.
const patience = 30 * time.Second

// endWithin is how long a process may take to end when it is told to.
const endWithin = 5 * time.Second

type sessionKey struct{}

// session is what one script has running. Its script's goroutine owns it.
type session struct {
	running map[string]*process
	maxmind func() // ends the server of "maxmind"
}

func sessionOf(ts *testscript.TestScript) *session { return ts.Value(sessionKey{}).(*session) }

func (s *session) killAll() {
	if s.maxmind != nil {
		s.maxmind()
	}
	for _, p := range s.running {
		p.cmd.Process.Signal(syscall.SIGCONT)
		p.cmd.Process.Kill()
		<-p.done
	}
}

// process is a program in the background.
type process struct {
	cmd    *exec.Cmd
	out    *output
	stdout *lines
	stderr *lines
	done   chan struct{} // closed once it has ended
}

// output is both streams of a process as they grow.
type output struct {
	mu      sync.Mutex
	changed chan struct{} // closed at the next write
}

// lines is one stream of an output.
type lines struct {
	of   *output
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	close(l.of.changed)
	l.of.changed = make(chan struct{})
	return l.text.Write(b)
}

// read is what both streams have so far, and a channel that closes with more.
func (p *process) read() (stdout, stderr string, changed <-chan struct{}) {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.stdout.text.String(), p.stderr.text.String(), p.out.changed
}

// show makes the output so far that of the script's last command.
func (p *process) show(ts *testscript.TestScript) {
	stdout, stderr, _ := p.read()
	keepsSecrets(ts, stdout+stderr)
	ts.Stdout().Write([]byte(stdout))
	ts.Stderr().Write([]byte(stderr))
}

// start is "start NAME PROGRAM ARGS…".
func start(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: start NAME PROGRAM ARGS…")
	}
	launch(ts, args[0], args[1:])
}

func launch(ts *testscript.TestScript, name string, command []string) *process {
	s := sessionOf(ts)
	if old := s.running[name]; old != nil {
		select {
		case <-old.done:
		default:
			ts.Fatalf("%s runs already", name)
		}
	}
	path, err := exec.LookPath(command[0])
	ts.Check(err)
	p := &process{cmd: exec.Command(path, command[1:]...), out: &output{changed: make(chan struct{})}, done: make(chan struct{})}
	p.stdout, p.stderr = &lines{of: p.out}, &lines{of: p.out}
	p.cmd.Args[0] = command[0]
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = environment(ts)
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	ts.Check(p.cmd.Start())
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	s.running[name] = p
	return p
}

// environment is the script's own, which testscript gives by the name only.
func environment(ts *testscript.TestScript) (env []string) {
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "B8S_STATE", "STATE_DIRECTORY", "XDG_STATE_HOME", "NOTIFY_SOCKET", "B8S_GEOLITE_ACCOUNT", "B8S_GEOLITE_KEY"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

func lookup(ts *testscript.TestScript, name string) *process {
	p := sessionOf(ts).running[name]
	if p == nil {
		ts.Fatalf("no process %q was started", name)
	}
	return p
}

// await is "await NAME REGEXP".
func await(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: await NAME REGEXP")
	}
	p := lookup(ts, args[0])
	defer p.show(ts)
	p.await(ts, args[0], args[1])
}

// await gives the match of pattern in what p prints, with its groups.
func (p *process) await(ts *testscript.TestScript, name, pattern string) []string {
	want, err := regexp.Compile(`(?m)` + pattern)
	ts.Check(err)
	timeout := time.After(patience)
	for over := false; ; {
		stdout, stderr, changed := p.read()
		for _, text := range []string{stdout, stderr} {
			if m := want.FindStringSubmatch(text); m != nil {
				return m
			}
		}
		if over {
			ts.Fatalf("%s never printed %s, but\n%s\n%s", name, pattern, stdout, stderr)
		}
		select {
		case <-changed:
		case <-p.done:
			over = true
		case <-timeout:
			over = true
		}
	}
}

// sendSignal is "signal NAME SIGNAL".
func sendSignal(ts *testscript.TestScript, args []string) {
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT}
	if len(args) != 2 || signals[args[1]] == 0 {
		ts.Fatalf("usage: signal NAME HUP|TERM|KILL|STOP|CONT")
	}
	p := lookup(ts, args[0])
	ts.Check(p.cmd.Process.Signal(signals[args[1]]))
	if args[1] == "KILL" {
		<-p.done
	}
}

// end is "end NAME".
func end(ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: end NAME")
	}
	p := lookup(ts, args[0])
	ts.Check(p.cmd.Process.Signal(syscall.SIGTERM))
	p.wantEnd(ts, args[0], endWithin, 0)
}

// ended is "ended NAME N".
func ended(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: ended NAME N")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	lookup(ts, args[0]).wantEnd(ts, args[0], patience, want)
}

func (p *process) wantEnd(ts *testscript.TestScript, name string, within time.Duration, want int) {
	defer p.show(ts)
	select {
	case <-p.done:
	case <-time.After(within):
		ts.Fatalf("%s still runs after %s", name, within)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("%s ended with %d (%s), want %d", name, got, p.cmd.ProcessState, want)
	}
}

// keepsSecrets fails where a private key of any state folder of the script
// stands in what was printed. All that a script runs is looked through.
func keepsSecrets(ts *testscript.TestScript, text string) {
	for _, name := range []string{"wireguard.key", "store.key", "dom.age", "sub.age"} {
		files, err := filepath.Glob(filepath.Join(ts.Getenv("WORK"), "*", name))
		ts.Check(err)
		for _, file := range files {
			key, err := os.ReadFile(file)
			ts.Check(err)
			for _, form := range []string{strings.TrimSpace(string(key)), hex.EncodeToString(key), base64.StdEncoding.EncodeToString(key)} {
				if form != "" && strings.Contains(text, form) {
					ts.Fatalf("%s was printed", file)
				}
			}
		}
	}
}

// until is "until N REGEXP PROGRAM ARGS…".
func until(ts *testscript.TestScript, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: until N REGEXP PROGRAM ARGS…")
	}
	want, err := regexp.Compile(`(?m)` + args[1])
	ts.Check(err)
	pause := time.NewTicker(50 * time.Millisecond)
	defer pause.Stop()
	for deadline := time.Now().Add(patience); ; <-pause.C {
		got := exitCode(ts, args[2:])
		if strconv.Itoa(got) == args[0] && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: ended with %d and without %s for %s", strings.Join(args[2:], " "), got, args[1], patience)
		}
	}
}

// verbs are the commands that do something, by the words that call them.
func verbs() map[string]*cobra.Command {
	all := map[string]*cobra.Command{}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if !cmd.HasSubCommands() {
			all[cmd.CommandPath()] = cmd
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root())
	return all
}
