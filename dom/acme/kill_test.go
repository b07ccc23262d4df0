package acme

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const childEnv = "B8S_ACME_CHILD"

// child is what a process of its own is told: to work on the folder, and
// after so many points to die there as from a kill.
type child struct {
	Dir, Wish  string
	CA         CA
	Servers    []Server
	Resolver   netip.AddrPort
	Challenges string // URL
	Revoke     bool
	DieAt      int // 0: never
}

const killed = 9

// runChild is the main of that process. It prints how many points it passed.
func runChild() {
	var c child
	if err := json.Unmarshal([]byte(os.Getenv(childEnv)), &c); err != nil {
		panic(err)
	}
	var passed atomic.Int64
	point = func(string) {
		if passed.Add(1) == int64(c.DieAt) {
			os.Exit(killed)
		}
	}
	if err := c.work(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(passed.Load())
	os.Exit(0)
}

func (c child) work() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	known := func(string) (string, []Server, bool) { return "example.test.", c.Servers, true }
	m, err := New(Options{
		Dir: c.Dir, DNS: Resolver{Known: known, Upstream: []netip.AddrPort{c.Resolver}}, Challenges: remote(c.Challenges),
		Publish: func(_ context.Context, b Bundle) error {
			return os.WriteFile(filepath.Join(c.Dir, "published."+b.Serial), nil, 0o600)
		},
	})
	if err != nil {
		return err
	}
	if err := m.Set(Settings{CA: c.CA}, []Wish{{Name: c.Wish, DNSNames: []string{c.Wish + ".example.test", "*." + c.Wish + ".example.test"}}}); err != nil {
		return err
	}
	if _, err := m.Ensure(ctx, Request{}); err != nil || !c.Revoke {
		return err
	}
	if left, err := m.files.revocationList(); err != nil || len(left) > 0 {
		m.pass(ctx) // as Run does
		return err
	}
	if _, done := m.files.published(); done > 1 {
		return nil // revoked before the kill
	}
	return m.Revoke(ctx, c.Wish, Superseded)
}

// remote is a Challenges in another process.
type remote string

type remoteCall struct {
	Present bool
	Owner   string
	Values  []string
}

func (r remote) Present(ctx context.Context, owner string, values []string, _ time.Time) error {
	return r.call(ctx, remoteCall{true, owner, values})
}

func (r remote) Remove(ctx context.Context, owner string, values []string) error {
	return r.call(ctx, remoteCall{false, owner, values})
}

func (r remote) call(ctx context.Context, c remoteCall) error {
	text, _ := json.Marshal(c)
	req, err := http.NewRequestWithContext(ctx, "POST", string(r), bytes.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// serve lets other processes present.
func (n *names) serve(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var c remoteCall
		if err := json.NewDecoder(req.Body).Decode(&c); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if c.Present {
			n.Present(req.Context(), c.Owner, c.Values, time.Time{})
		} else {
			n.Remove(req.Context(), c.Owner, c.Values)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// start runs the child; it returns what it printed, and whether it was killed.
func (c child) start(t *testing.T) (printed string, wasKilled bool) {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == killed {
		return "", true
	}
	if err != nil {
		t.Fatalf("child: %v: %s", err, complaint.Bytes())
	}
	return strings.TrimSpace(out.String()), false
}

// TestKilledAnywhere kills an order at each of its points, goes on with a new
// process on the same folder, and wants exactly one certificate.
func TestKilledAnywhere(t *testing.T) {
	p, n, c := newChild(t)
	points := c.count(t)
	c.killEverywhere(t, 1, points)
	if got, want := p.issued(), points+1; got != want {
		t.Errorf("%d certificates were issued, want %d: one for each point, and the whole one", got, want)
	}
	if left := n.left(); len(left) != 0 {
		t.Errorf("challenges left: %v", left)
	}
}

// TestKilledAnywhereWhileRevoking wants the first certificate revoked, and
// exactly one in its place.
func TestKilledAnywhereWhileRevoking(t *testing.T) {
	p, n, c := newChild(t)
	first := c.count(t)
	c.Revoke, c.Dir, c.Wish = true, t.TempDir(), "both"
	points := c.count(t)
	c.killEverywhere(t, first+1, points)
	if got, want := p.issued(), 1+2*(points-first+1); got != want {
		t.Errorf("%d certificates were issued, want %d: two for each point, and the whole ones", got, want)
	}
	if left := n.left(); len(left) != 0 {
		t.Errorf("challenges left: %v", left)
	}
}

func newChild(t *testing.T) (*pebble, *names, child) {
	if testing.Short() {
		t.Skip("skipped: -short")
	}
	n := newNames(t, 2, "example.test.")
	p := startPebble(t, n, func(p *pebble) { p.env = append(p.env, "PEBBLE_AUTHZREUSE=0") })
	_, servers, _ := n.known("example.test.")
	return p, n, child{Dir: t.TempDir(), Wish: "whole", CA: p.ca(), Servers: servers, Resolver: n.resolver, Challenges: n.serve(t)}
}

// count returns how many points the work has when nobody kills it.
func (c child) count(t *testing.T) int {
	t.Helper()
	printed, _ := c.start(t)
	points, err := strconv.Atoi(printed)
	if err != nil || points < 20 {
		t.Fatalf("the whole work passed %q points", printed)
	}
	return points
}

func (c child) killEverywhere(t *testing.T, from, to int) {
	t.Run("points", func(t *testing.T) {
		for at := from; at <= to; at++ {
			c := c
			c.Wish, c.Dir, c.DieAt = fmt.Sprintf("k%d", at), t.TempDir(), at
			t.Run(strconv.Itoa(at), func(t *testing.T) {
				t.Parallel()
				c.dieAndGoOn(t)
			})
		}
	})
	t.Logf("killed at %d points", to-from+1)
}

func (c child) dieAndGoOn(t *testing.T) {
	if _, wasKilled := c.start(t); !wasKilled {
		t.Fatalf("not killed at point %d", c.DieAt)
	}
	c.DieAt = 0
	c.start(t)
	if c.Revoke {
		if left, _ := (files{c.Dir}).revocationList(); len(left) != 0 {
			t.Errorf("revocations left: %v", left)
		}
	}
	want := 1
	if c.Revoke {
		want = 2
	}
	if published, got := (files{c.Dir}).published(); got != want {
		t.Errorf("published %v, want %d", published, want)
	}
}

// published returns what Publish was called with.
func (f files) published() ([]string, int) {
	paths, _ := filepath.Glob(filepath.Join(f.dir, "published.*"))
	return paths, len(paths)
}
