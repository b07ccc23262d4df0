// Package scripts holds the shell scripts and systemd units by which a sub gets
// onto a server, and stays current there. It has no Go code but these tests,
// which run the scripts for real against a folder that stands for the server's
// root, with fakes for the programs that would change the machine.
package scripts

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/*.txtar, each with an empty server at $B8S_ROOT.
func TestScripts(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("init-sub and update-sub are for Linux servers")
	}
	need(t, "curl")
	fake := buildFake(t)
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: func(env *testscript.Env) error { return newServer(env) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"b8s":     func(ts *testscript.TestScript, _ bool, args []string) { makeB8s(ts, fake, args) },
			"paste":   paste,
			"snap":    snap,
			"same":    same,
			"tamper":  tamper,
			"sumfile": sumfile,
		},
		RequireExplicitExec: true,
	})
}

// need skips the test where a program is missing, or fails it where
// B8S_REQUIRE=1 says that all of them have been installed.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("B8S_REQUIRE") == "1" {
		t.Fatalf("%s is not installed, and B8S_REQUIRE=1 wants nothing skipped", program)
	}
	t.Skipf("%s is not installed: this is not tested here", program)
}

func buildFake(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "fakeb8s")
	cmd := exec.Command("go", "build", "-o", out, "./testdata/fakeb8s")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build fakeb8s: %v\n%s", err, text)
	}
	return out
}

// newServer lays out $B8S_ROOT, $HOST_DIR, and a file host at $HOST_URL that
// takes PUT and gives back what it took.
func newServer(env *testscript.Env) error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	root, host := filepath.Join(env.WorkDir, "root"), filepath.Join(env.WorkDir, "host")
	for _, dir := range []string{filepath.Join(root, "etc"), host} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{
		"etc/os-release": "PRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID=\"12\"\nID=debian\n",
		"etc/passwd":     "root:x:0:0:root:/root:/bin/bash\n",
		"sshd":           "port 2222\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	server := httptest.NewServer(fileHost(filepath.Join(env.WorkDir, "host")))
	env.Defer(server.Close)
	env.Setenv("PATH", filepath.Join(here, "testdata", "fake")+":"+env.Getenv("PATH"))
	env.Setenv("SCRIPTS", here)
	env.Setenv("B8S_ROOT", root)
	env.Setenv("HOST_DIR", host)
	env.Setenv("HOST_URL", server.URL)
	env.Setenv("TMPDIR", env.WorkDir)
	env.Setenv("PLATFORM", "linux/"+runtime.GOARCH)
	return nil
}

// fileHost keeps what is put below dir.
func fileHost(dir string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file := filepath.Join(dir, filepath.Base(r.URL.Path))
		if r.Method != http.MethodPut {
			http.ServeFile(w, r, file)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = os.WriteFile(file, body, 0o644)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

// makeB8s (b8s VERSION CONDUCT FOLDER) lays out what send-sub packs, with a
// fake binary of that version and conduct.
func makeB8s(ts *testscript.TestScript, fake string, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: b8s VERSION CONDUCT FOLDER")
	}
	binary, err := os.ReadFile(fake)
	ts.Check(err)
	dir := ts.MkAbs(args[2])
	ts.Check(os.MkdirAll(dir, 0o755))
	binary = fmt.Appendf(binary, "\nb8s-test %s %s\n", args[0], args[1])
	ts.Check(os.WriteFile(filepath.Join(dir, "b8s"), binary, 0o755))
	sumfile(ts, false, args[2:])
	for _, name := range []string{"init-sub", "update-sub", "lib.sh", "b8s-sub.service"} {
		text, err := os.ReadFile(filepath.Join(ts.Getenv("SCRIPTS"), name))
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(dir, name), text, 0o755))
	}
}
