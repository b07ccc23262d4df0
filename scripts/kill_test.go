package scripts

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// killer makes bash kill the script named by KILL with SIGKILL before its
// KILL_AT-th command.
const killer = `
if [[ ${0##*/} == "$KILL" ]]; then
	set -T
	trap '((++b8s_commands != KILL_AT)) || kill -9 $$ $BASHPID' DEBUG
fi
`

// A server under the tests of killing.
type server struct {
	t         *testing.T
	root      string
	good      [2]string // folders as send-sub packs them
	digests   [2]string
	bashEnv   string
	installed string
}

func newKillServer(t *testing.T, fake string) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{t: t, root: filepath.Join(dir, "root"), bashEnv: filepath.Join(dir, "killer")}
	s.installed = filepath.Join(s.root, "usr/local/bin/b8s")
	s.file(s.bashEnv, []byte(killer))
	s.file(filepath.Join(s.root, "etc/os-release"), []byte("ID=debian\nVERSION_ID=\"12\"\n"))
	s.file(filepath.Join(s.root, "etc/passwd"), nil)
	binary := s.read(fake)
	for i := range s.good {
		s.good[i] = filepath.Join(dir, fmt.Sprint("v", i))
		text := fmt.Appendf(binary[:len(binary):len(binary)], "\nb8s-test v%d good\n", i)
		s.digests[i] = fmt.Sprintf("%x", sha256.Sum256(text))
		s.file(filepath.Join(s.good[i], "b8s"), text)
		s.file(filepath.Join(s.good[i], "b8s.sha256"), []byte(s.digests[i]))
		for _, name := range []string{"init-sub", "update-sub", "lib.sh", "b8s-sub.service"} {
			s.file(filepath.Join(s.good[i], name), s.read(name))
		}
	}
	return s
}

func (s *server) file(name string, text []byte) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) read(name string) []byte {
	s.t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// run runs a script of folder i, killed before its command number killAt (0:
// not killed), and tells whether it ran to its end.
func (s *server) run(i int, script string, killAt int, args ...string) (out string, ended bool) {
	s.t.Helper()
	here, err := os.Getwd()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command("bash", append([]string{filepath.Join(s.good[i], script)}, args...)...)
	cmd.Env = append(os.Environ(),
		"PATH="+filepath.Join(here, "testdata", "fake")+":"+os.Getenv("PATH"),
		"B8S_ROOT="+s.root, "BASH_ENV="+s.bashEnv, "KILL="+script, fmt.Sprint("KILL_AT=", killAt))
	text, err := cmd.CombinedOutput()
	if err == nil {
		return string(text), true
	}
	var exit *exec.ExitError
	if killAt > 0 && errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return string(text), false
	}
	s.t.Fatalf("%s, killed before command %d: %v\n%s", script, killAt, err, text)
	return "", false
}

// whole fails where the installed binary is neither of the two.
func (s *server) whole(killAt int, mayLack bool) {
	s.t.Helper()
	text, err := os.ReadFile(s.installed)
	if mayLack && errors.Is(err, os.ErrNotExist) {
		return
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(text))
	if err != nil || (sum != s.digests[0] && sum != s.digests[1]) {
		s.t.Fatalf("killed before command %d: the installed binary is damaged (%v)", killAt, err)
	}
}

// clean fails where something half-made is left.
func (s *server) clean(killAt int) {
	s.t.Helper()
	for _, pattern := range []string{"usr/local/bin/b8s.*", "etc/systemd/system/*.new", "etc/b8s/*"} {
		names, _ := filepath.Glob(filepath.Join(s.root, pattern))
		for _, name := range names {
			if !strings.HasSuffix(name, ".old") && !strings.HasSuffix(name, ".env") {
				s.t.Errorf("killed before command %d: %s is left", killAt, name)
			}
		}
	}
}

// killedEverywhere calls attempt for every stride-th command, until one ran to
// its end.
func killedEverywhere(t *testing.T, attempt func(killAt int) (ended bool)) {
	t.Helper()
	stride := 7
	if testing.Short() {
		stride = 40
	}
	points := 0
	for killAt := 1; !attempt(killAt); killAt += stride {
		points++
	}
	t.Logf("killed at %d points", points)
	if points < 3 {
		t.Errorf("killed at %d points only: the kill does not reach the script", points)
	}
}

func TestInitKilledAnywhereIsRunAgain(t *testing.T) {
	fake := buildFake(t)
	killedEverywhere(t, func(killAt int) bool {
		s := newKillServer(t, fake)
		_, ended := s.run(0, "init-sub", killAt, "--port=51999")
		s.whole(killAt, true)
		s.run(0, "init-sub", 0, "--port=51999")
		out, _ := s.run(0, "init-sub", 0, "--port=51999")
		if !strings.Contains(out, "nothing changed") || !strings.Contains(out, "b8s dom add-sub") {
			t.Errorf("killed before command %d, the third run says\n%s", killAt, out)
		}
		s.clean(killAt)
		return ended
	})
}

func TestUpdateKilledAnywhereIsRunAgain(t *testing.T) {
	fake := buildFake(t)
	killedEverywhere(t, func(killAt int) bool {
		s := newKillServer(t, fake)
		s.run(0, "init-sub", 0)
		_, ended := s.run(1, "update-sub", killAt, "--soak=0")
		s.whole(killAt, false)
		s.run(1, "update-sub", 0, "--soak=0")
		s.whole(killAt, false)
		if out, _ := s.run(1, "update-sub", 0); !strings.Contains(out, "nothing changed: this is the binary that runs (b8s v1)") {
			t.Errorf("killed before command %d, the third run says\n%s", killAt, out)
		}
		old := fmt.Sprintf("%x", sha256.Sum256(s.read(s.installed+".old")))
		if old != s.digests[0] {
			t.Errorf("killed before command %d: the old one kept is not the one before", killAt)
		}
		s.clean(killAt)
		return ended
	})
}
