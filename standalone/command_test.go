package standalone

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
)

// run executes "zone" with arguments and gives its stdout.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := Command()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&bytes.Buffer{})
	cmd.SetArgs(args)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestCheckCommand(t *testing.T) {
	d := folder(t.TempDir())
	good := d.write(t, "good.zone", zoneText)
	out, err := run(t, "check", "--origin", "example.com", good)
	if want := "example.com. is good: 3 records, serial 1\n"; err != nil || out != want {
		t.Errorf("got %q, %v; want %q", out, err, want)
	}
	out, err = run(t, "check", "--json", "--origin", "example.com", d.write(t, "bad.zone", zoneText+"x 300 A y\n"))
	var r CheckResult
	if jsonErr := json.Unmarshal([]byte(out), &r); jsonErr != nil || err == nil || r.Good || len(r.Errors) != 1 {
		t.Errorf("got %q, %v, %v", out, err, jsonErr)
	}
}

func TestWrongUsage(t *testing.T) {
	d := folder(t.TempDir())
	bare := d.write(t, "bare.zone", zoneText)
	for _, args := range [][]string{
		{"serve"}, {"serve", "--zone", "a=b", "--subs", "s"}, {"check", bare}, {"check", "--origin", "a..b", bare},
	} {
		_, err := run(t, args...)
		code, ok := err.(interface{ ExitCode() int })
		if !ok || code.ExitCode() != 2 {
			t.Errorf("%s: got error %v, want one of usage", strings.Join(args, " "), err)
		}
	}
	if err := Serve(t.Context(), Options{Listen: []string{"localhost"}}); err == nil || !strings.Contains(err.Error(), "want ADDRESS:PORT") {
		t.Errorf("listen at a name: got error %v", err)
	}
}

func TestHangup(t *testing.T) {
	reload, stop := hangups()
	defer stop()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := self.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		<-reload
	}
}
