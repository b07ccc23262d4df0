package scenario

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write what the commands print into the scripts")

// sideBySide is how many scenarios run at once: they wait more than they work.
const sideBySide = 10

func TestMain(m *testing.M) {
	if about := os.Getenv(roleVariable); about != "" {
		if err := beChild(about); err != nil {
			log.Fatal(err)
		}
		return
	}
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", fmt.Sprint(sideBySide))
	}
	goleak.VerifyTestMain(m)
}

func TestScenarios(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the scenarios need all of 127.0.0.0/8 as addresses of this machine, which Linux has")
	}
	scripts, err := filepath.Glob("../testdata/scenarios/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts in ../testdata/scenarios: %v", err)
	}
	for i, path := range scripts {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pprof.Do(t.Context(), pprof.Labels(label, name), func(ctx context.Context) { play(ctx, t, i, path) })
			if left := leaked(name); left != "" {
				t.Errorf("goroutines of the scenario are left:\n%s", left)
			}
		})
	}
}

// play runs one script.
func play(ctx context.Context, t *testing.T, number int, path string) {
	script, tail, err := readScript(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(ctx, t, number)
	defer w.close()
	for _, p := range script {
		got, err := w.perform(p)
		if err != nil {
			t.Errorf("%s:%d: %v", path, p.line, err)
			break
		}
		if *update {
			p.want = got
		} else if !slices.Equal(got, p.want) {
			t.Errorf("%s:%d: %s\ngot:\n%s\nwant:\n%s", path, p.line, strings.Join(p.commands, "\n"),
				indent(got), indent(p.want))
			break
		}
	}
	if broken := w.promises(); broken != "" {
		t.Errorf("%s: subs did not answer all the time:\n%s", path, broken)
	}
	if *update && !t.Failed() {
		if err := writeScript(path, script, tail); err != nil {
			t.Error(err)
		}
	}
}

func indent(lines []string) string { return "    " + strings.Join(lines, "\n    ") }

// perform does a paragraph's commands and returns the lines that they print.
func (w *world) perform(p *paragraph) (lines []string, err error) {
	for i, command := range p.commands {
		var input []string
		if i == len(p.commands)-1 {
			input = p.input
		}
		c, err := parseCall(command, input)
		if err != nil {
			return nil, err
		}
		var out string
		if c.name == "wait" {
			out, err = w.wait(c, p.want)
		} else {
			out, err = w.do(c)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", command, err)
		}
		if out = strings.TrimRight(out, "\n"); out != "" {
			lines = append(lines, strings.Split(w.stable(out), "\n")...)
		}
	}
	return lines, nil
}

func (w *world) do(c call) (string, error) {
	act, ok := commands()[c.name]
	if !ok {
		return "", fmt.Errorf("no command %q", c.name)
	}
	return act(w, c)
}

const (
	lookEvery = 25 * time.Millisecond
	calm      = 8 * time.Second // with -update and nothing expected yet: unchanged for so long is the end
)

// wait repeats a command until it prints want, and returns what it printed
// last.
func (w *world) wait(c call, want []string) (string, error) {
	if len(c.args) == 0 {
		return "", fmt.Errorf("wait for what?")
	}
	within, err := c.duration("within", 30*time.Second)
	if err != nil {
		return "", err
	}
	inner := c
	inner.name, inner.args = c.args[0], c.args[1:]
	deadline, since, last := time.Now().Add(within), time.Now(), ""
	for {
		out, err := w.do(inner)
		if err != nil {
			return "", err
		}
		if out != last {
			since, last = time.Now(), out
		}
		switch stable := strings.TrimRight(w.stable(out), "\n"); {
		case len(want) > 0 && stable == strings.Join(want, "\n"):
			return out, nil
		case *update && len(want) == 0 && time.Since(since) > calm:
			return out, nil
		case time.Now().After(deadline):
			return out, nil
		}
		<-time.After(lookEvery)
	}
}
