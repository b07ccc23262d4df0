package scripts

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// sumfile (sumfile FOLDER) writes the digest of FOLDER/b8s beside it.
func sumfile(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	text, err := os.ReadFile(filepath.Join(dir, "b8s"))
	ts.Check(err)
	sum := fmt.Sprintf("%x\n", sha256.Sum256(text))
	ts.Check(os.WriteFile(filepath.Join(dir, "b8s.sha256"), []byte(sum), 0o644))
}

// tamper (tamper FILE) flips one bit in the middle of FILE.
func tamper(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	text, err := os.ReadFile(file)
	ts.Check(err)
	text[len(text)/2] ^= 1
	ts.Check(os.WriteFile(file, text, 0o755))
}

// paste (paste SCRIPT FILE) writes to FILE the line for SCRIPT that the last
// command printed.
func paste(ts *testscript.TestScript, _ bool, args []string) {
	var found []string
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if strings.Contains(line, `bash "$d/`+args[0]+`"`) {
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		ts.Fatalf("%d lines for %s were printed, want 1", len(found), args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(found[0]), 0o644))
}

// snap notes what is on the server, and which programs were called to change
// it; same fails where anything has changed since, be it only a file that was
// written again.
func snap(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Setenv("SNAP", listing(ts))
}

func same(ts *testscript.TestScript, _ bool, _ []string) {
	if got, want := listing(ts), ts.Getenv("SNAP"); got != want {
		ts.Fatalf("the server has changed\nbefore:\n%s\nnow:\n%s", want, got)
	}
}

func listing(ts *testscript.TestScript) string {
	var text strings.Builder
	root := ts.Getenv("B8S_ROOT")
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var sum [32]byte
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum = sha256.Sum256(content)
		}
		fmt.Fprintf(&text, "%s %s %x %d\n", strings.TrimPrefix(path, root), info.Mode(), sum[:8], info.ModTime().UnixNano())
		return nil
	}))
	return text.String()
}
