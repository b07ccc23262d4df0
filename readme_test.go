package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestReadme runs the README, so that it can't rot. Its fenced blocks are read
// in order:
//
//	yaml, zone   a file, named by the comment in its first line
//	console      a session: "$ COMMAND" is typed on the dom, "sydney$ COMMAND" on
//	             that sub; below stands what it prints. … is any text, alone in
//	             its line any lines; blanks count as one. " &" runs it on.
//	sh           not run; options of scripts are looked up
//
// The servers' addresses, and TOKEN:KEY in their lines, are those of subs that
// run here.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := fenced(string(text))
	script := &strings.Builder{}
	fmt.Fprintln(script, "[!linux] skip 'the subs need loopback addresses of their own'")
	fmt.Fprintln(script, "[!need:nats] skip 'no nats command'")
	fmt.Fprintln(script, "[!need:dig] skip 'no dig command'")
	fmt.Fprintln(script, "citydb GeoLite2-City.mmdb 203.0.113.0/24=-37.81,144.96")
	fmt.Fprintln(script, "sub sydney -33.87,151.21\nsub london 51.51,-0.13\nsub newyork 40.71,-74.01\naddress try")
	files := &strings.Builder{}
	for i, b := range blocks {
		switch b.kind {
		case "yaml", "zone":
			name, _, _ := strings.Cut(strings.TrimLeft(b.text, "#; "), "\n")
			fmt.Fprintf(files, "-- %s --\n%s", name, b.text)
		case "console":
			fmt.Fprintf(script, "console block%d\n", i)
			fmt.Fprintf(files, "-- block%d --\n%s", i, b.text)
		}
	}
	path := filepath.Join(t.TempDir(), "readme.txtar")
	if err := os.WriteFile(path, []byte(script.String()+files.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := parameters(testscript.Params{Files: []string{path}})
	p.Cmds["console"] = console
	testscript.Run(t, p)
}

// TestReadmeScriptOptionsExist looks the options of scripts in "sh" blocks up.
func TestReadmeScriptOptionsExist(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	known, err := filepath.Glob("scripts/*-sub")
	if err != nil || len(known) == 0 {
		t.Fatal("no scripts: ", err)
	}
	var scripts strings.Builder
	for _, path := range known {
		script, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		scripts.Write(script)
	}
	for _, b := range fenced(string(text)) {
		for line := range strings.Lines(b.text) {
			if b.kind != "sh" || !strings.HasPrefix(line, "scripts/") {
				continue
			}
			for _, option := range regexp.MustCompile(`--[a-z0-9-]+=?`).FindAllString(line, -1) {
				if !strings.Contains(scripts.String(), option) {
					t.Errorf("%sno script has %s", line, option)
				}
			}
		}
	}
}

// block is a fenced code block.
type block struct{ kind, text string }

func fenced(text string) (blocks []block) {
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	return blocks
}

var prompt = regexp.MustCompile(`^([a-z]*)\$ (.*)$`)

// console is "console FILE": the session in it is typed, and must read the same.
func console(ts *testscript.TestScript, _ bool, args []string) {
	replace := documentation(ts)
	var host, command string
	var want []string
	run := func() {
		if command != "" {
			typed(ts, host, command, want)
		}
		want = nil
	}
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		line = replace.Replace(strings.TrimRight(line, "\n"))
		if m := prompt.FindStringSubmatch(line); m != nil {
			run()
			host, command = m[1], m[2]
			continue
		}
		want = append(want, line)
	}
	run()
}

// documentation puts what runs here in the place of the README's servers.
func documentation(ts *testscript.TestScript) *strings.Replacer {
	var pairs []string
	for name, addr := range map[string]string{"SYDNEY": "198.51.100.10", "LONDON": "198.51.100.20", "NEWYORK": "198.51.100.30"} {
		pairs = append(pairs, addr+"::TOKEN:KEY", ts.Getenv(name+"_TICKET"), addr, ts.Getenv(name+"_IP"))
	}
	pairs = append(pairs, "127.0.0.1:5330", ts.Getenv("TRY_DNS"), "$ dig ", fmt.Sprintf("$ dig -p %d ", dnsPort))
	return strings.NewReplacer(pairs...)
}

// typed runs one command and compares what it prints on stdout.
func typed(ts *testscript.TestScript, host, command string, want []string) {
	state := ts.Getenv("B8S_STATE")
	if host != "" {
		ts.Setenv("B8S_STATE", ts.MkAbs(host))
		defer ts.Setenv("B8S_STATE", state)
	}
	ts.Logf("%s$ %s", host, command)
	if command, ok := strings.CutSuffix(command, " &"); ok {
		p := launch(ts, command, []string{"sh", "-c", "exec " + command})
		for _, line := range want {
			p.await(ts, command, linePattern(line))
		}
		return
	}
	if err := ts.Exec("sh", "-c", command); err != nil {
		ts.Fatalf("%s: %v", command, err)
	}
	if got := ts.ReadFile("stdout"); !pattern(want).MatchString(got) {
		ts.Fatalf("README says of %s\n%s\nand it printed\n%s", command, strings.Join(want, "\n"), got)
	}
}

// pattern is the expression for all lines of an output.
func pattern(want []string) *regexp.Regexp {
	var b strings.Builder
	for _, line := range want {
		switch strings.TrimSpace(line) {
		case "…":
			b.WriteString(`(.*\n)*?`)
		case "":
			b.WriteString(`(\s*\n)?`)
		default:
			b.WriteString(linePattern(line) + `\n`)
		}
	}
	return regexp.MustCompile(`\A` + b.String() + `\z`)
}

func linePattern(line string) string {
	var parts []string
	for _, word := range strings.Fields(line) {
		parts = append(parts, strings.ReplaceAll(regexp.QuoteMeta(word), "…", ".*"))
	}
	return `[ \t]*` + strings.Join(parts, `[ \t]*`) + `[ \t]*`
}

// TestReadmeNamesTheGoVersion keeps it that of go.mod.
func TestReadmeNamesTheGoVersion(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(mod)[1]
	if !strings.Contains(string(readme), fmt.Sprintf("You need Go %s or later", want)) {
		t.Errorf("README.md does not say that Go %s is needed", want)
	}
}
