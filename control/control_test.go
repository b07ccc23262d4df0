package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// daemon serves mux on a socket until the test ends.
func daemon(t *testing.T, mux *http.ServeMux) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- Serve(ctx, socket, mux, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	<-ready
	return socket
}

func TestCallStreamsEventsThenResult(t *testing.T) {
	mux := http.NewServeMux()
	Handle(mux, "count", func(_ context.Context, n int, report func(any)) (string, error) {
		for i := range n {
			report(i)
		}
		return "done", nil
	})
	var events []string
	got, err := Call[string](t.Context(), daemon(t, mux), "count", 3, func(e json.RawMessage) { events = append(events, string(e)) })
	if err != nil || got != "done" || strings.Join(events, " ") != "0 1 2" {
		t.Errorf("got %q, events %v, error %v", got, events, err)
	}
}

func TestFaultCrossesWhole(t *testing.T) {
	mux := http.NewServeMux()
	Handle(mux, "fail", func(_ context.Context, _ struct{}, _ func(any)) (string, error) {
		return "partial", Usage(errors.New("no such zone"), "run b8s dom status")
	})
	got, err := Call[string](t.Context(), daemon(t, mux), "fail", struct{}{}, nil)
	want := Fault{Message: "no such zone", Hint: "run b8s dom status", Code: ExitUsage}
	var f *Fault
	if !errors.As(err, &f) || *f != want || got != "partial" {
		t.Errorf("got %q and %+v, want %+v", got, f, want)
	}
}

func TestNoDaemon(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "s")
	if _, err := Call[string](t.Context(), missing, "x", 0, nil); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("socket missing: got %v, want ErrNoDaemon", err)
	}
	if err := os.WriteFile(missing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Call[string](t.Context(), missing, "x", 0, nil); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("socket dead: got %v, want ErrNoDaemon", err)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	info, err := os.Stat(daemon(t, http.NewServeMux()))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v, want 0600", info.Mode(), err)
	}
}

func TestSocketPathStaysShort(t *testing.T) {
	for _, dir := range []string{"/var/lib/b8s/dom", "/home/" + strings.Repeat("long/", 40)} {
		path, err := SocketPath(dir)
		if err != nil || len(path) > maxSocketPath {
			t.Errorf("state folder %s: got %q (%d bytes), error %v", dir, path, len(path), err)
		}
	}
}
