package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test's binary be b8s where it is called by that name: the
// scripts run the true main, each time in a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"b8s": func() { os.Exit(run()) }})
}

// TestScripts runs terminal sessions. Besides testscript's own commands they
// have these; none of them sleeps, each waits for what it names:
//
//	code N PROGRAM ARGS…         run it, and want exit code N
//	until N REGEXP PROGRAM ARGS… run it again until it ends with N and prints REGEXP
//	start NAME PROGRAM ARGS…     run it in the background
//	await NAME REGEXP            wait until it has printed REGEXP, on either stream
//	signal NAME SIGNAL           HUP, TERM, KILL, STOP, CONT
//	end NAME                     SIGTERM, and want exit code 0 within 5 s
//	ended NAME N                 wait until it ends by itself with exit code N
//	address NAME                 a loopback address with free ports: $NAME_IP, $NAME_DNS, $NAME_PORT
//	dom                          make and run a dom, state folder $B8S_STATE
//	sub NAME [COORDINATES]       run a sub: its address, and its line in $NAME_LINE and $NAME_TICKET
//	enrol NAME                   paste that line on the dom
//	fleet                        dom, and the subs sydney and london, enrolled
//	ask SERVER NAME TYPE [tcp] [subnet=PREFIX]
//	citydb FILE PREFIX=LAT,LON…  make a city database
//	maxmind FILE ACCOUNT KEY     serve it as MaxMind does: $MAXMIND_URL
//
// After code, until, await, end and ended, "stdout" and "stderr" see what was
// printed; and wherever a private key was, the script fails.
func TestScripts(t *testing.T) {
	testscript.Run(t, parameters(testscript.Params{Dir: "testdata/scripts", RequireExplicitExec: true, RequireUniqueNames: true}))
}

// parameters are those of every session.
func parameters(p testscript.Params) testscript.Params {
	p.Setup = func(env *testscript.Env) error { return newSession(env) }
	p.Cmds = commands()
	p.Condition = condition
	return p
}

func commands() map[string]func(*testscript.TestScript, bool, []string) {
	all := map[string]func(*testscript.TestScript, []string){
		"code": code, "until": until,
		"start": start, "await": await, "signal": sendSignal, "end": end, "ended": ended,
		"address": address, "dom": runDom, "sub": runSub, "enrol": enrol, "fleet": fleet,
		"ask": ask, "citydb": cityDatabase, "maxmind": maxmind,
	}
	cmds := map[string]func(*testscript.TestScript, bool, []string){}
	for name, f := range all {
		cmds[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("%s takes no !", name)
			}
			f(ts, args)
		}
	}
	return cmds
}

// condition is [need:PROGRAM]: true where it is installed. Where B8S_REQUIRE=1
// says that everything is, its absence is an error, not a skip.
func condition(cond string) (bool, error) {
	program, ok := strings.CutPrefix(cond, "need:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	if _, err := exec.LookPath(program); err == nil {
		return true, nil
	}
	if os.Getenv("B8S_REQUIRE") == "1" {
		return false, fmt.Errorf("%s is not installed, and B8S_REQUIRE=1 wants nothing skipped", program)
	}
	return false, nil
}

// newSession gives a script its own state folder and nothing of this machine's
// configuration.
func newSession(env *testscript.Env) error {
	s := &session{running: map[string]*process{}}
	env.Values[sessionKey{}] = s
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("B8S_STATE", filepath.Join(env.WorkDir, "dom"))
	for _, name := range []string{"STATE_DIRECTORY", "XDG_STATE_HOME", "NOTIFY_SOCKET", "B8S_GEOLITE_ACCOUNT", "B8S_GEOLITE_KEY"} {
		env.Setenv(name, "")
	}
	env.Defer(s.killAll)
	return nil
}

// code is "code N PROGRAM ARGS…".
func code(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: code N PROGRAM ARGS…")
	}
	if got := exitCode(ts, args[1:]); strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s ended with %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

func exitCode(ts *testscript.TestScript, command []string) int {
	err := ts.Exec(command[0], command[1:]...)
	keepsSecrets(ts, ts.ReadFile("stdout")+ts.ReadFile("stderr"))
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%s: %v", strings.Join(command, " "), err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}

// TestEveryCommandHasAnExampleInItsHelp walks the tree: the command line is
// the manual.
func TestEveryCommandHasAnExampleInItsHelp(t *testing.T) {
	for path, cmd := range verbs() {
		if !strings.Contains(cmd.Example, "b8s ") {
			t.Errorf("%s: no example in its help", path)
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short help %q: want a phrase without a full stop", path, cmd.Short)
		}
	}
}

// TestReadmeNamesEveryCommand keeps the table of commands whole.
func TestReadmeNamesEveryCommand(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range slices.Sorted(maps.Keys(verbs())) {
		if !strings.Contains(string(text), "| `"+path) {
			t.Errorf("README.md has no line for %s in its table", path)
		}
	}
}
