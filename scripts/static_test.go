package scripts

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// Exposure is systemd's own figure for what a service could do if it were
// broken into, from 0 to 10.
func TestUnitsAreHardened(t *testing.T) {
	need(t, "systemd-analyze")
	for _, unit := range []string{"b8s-sub.service", "b8s-dom.service"} {
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "./"+unit).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", unit, err, out)
		}
		figure := regexp.MustCompile(`exposure level for \S+ ([0-9.]+)`).FindSubmatch(out)
		if figure == nil {
			t.Fatalf("%s: no exposure level in\n%s", unit, out)
		}
		if level, err := strconv.ParseFloat(string(figure[1]), 64); err != nil || level > 2.0 {
			t.Errorf("%s: exposure %s, want at most 2.0\n%s", unit, figure[1], out)
		}
	}
}

// A unit may use keys that an older systemd passes over with a word; any other
// complaint is a mistake.
func TestUnitsAreUnderstood(t *testing.T) {
	need(t, "systemd-analyze")
	newer := regexp.MustCompile(`Unknown key '(RestartSteps|RestartMaxDelaySec)'`)
	for _, unit := range []string{"b8s-sub.service", "b8s-dom.service"} {
		out, _ := exec.Command("systemd-analyze", "verify", "./"+unit).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			ours := strings.Contains(line, unit) && !strings.Contains(line, "is not executable")
			if ours && !newer.MatchString(line) {
				t.Errorf("%s: %s", unit, line)
			}
		}
	}
}

func TestUnitsGiveNothingAway(t *testing.T) {
	want := map[string][]string{
		"b8s-sub.service": {"User=b8s-sub", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "AmbientCapabilities=CAP_NET_BIND_SERVICE", "StateDirectory=b8s/sub"},
		"b8s-dom.service": {"User=b8s-dom", "CapabilityBoundingSet=", "AmbientCapabilities=", "StateDirectory=b8s/dom"},
	}
	for unit, lines := range want {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, "Type=notify", "Restart=always", "StartLimitIntervalSec=0", "NoNewPrivileges=yes", "StateDirectoryMode=0700")
		for _, line := range lines {
			if !bytes.Contains(text, []byte("\n"+line+"\n")) {
				t.Errorf("%s: no line %s", unit, line)
			}
		}
	}
}

func TestScriptsPassShellcheck(t *testing.T) {
	need(t, "shellcheck")
	files := append(shellScripts(t), "../.ci/run")
	out, err := exec.Command("shellcheck", append([]string{"-x"}, files...)...).CombinedOutput()
	if err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
}

// shellScripts are the files here that begin as bash scripts do, and lib.sh.
func shellScripts(t *testing.T) []string {
	t.Helper()
	files := []string{"lib.sh"}
	for _, pattern := range []string{"*", "testdata/fake/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err == nil && bytes.HasPrefix(text, []byte("#!/usr/bin/env bash\n")) {
				files = append(files, name)
			}
		}
	}
	if len(files) < 6 {
		t.Fatalf("only %v found", files)
	}
	return files
}

// The released binary is static and stripped, and bears its stamp.
func TestBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the whole binary")
	}
	binary := filepath.Join(t.TempDir(), "b8s")
	cmd := exec.Command("./build", "linux/"+runtime.GOARCH, binary)
	cmd.Env = append(os.Environ(), "B8S_STAMP=v9.8.7-test")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary wants a dynamic loader")
		}
	}
	if file.Section(".symtab") != nil || file.Section(".debug_info") != nil {
		t.Error("the binary is not stripped")
	}
	if runtime.GOOS != "linux" {
		return
	}
	out, err := exec.Command(binary, "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "v9.8.7-test") {
		t.Errorf("b8s version: got %q, %v, want the stamp v9.8.7-test", out, err)
	}
}
