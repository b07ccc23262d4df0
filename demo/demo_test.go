package demo

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestCheckProvesItWithAndWithoutTheDom(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out strings.Builder
	if err := Run(ctx, &out, slog.New(slog.DiscardHandler), true); err != nil {
		t.Fatalf("demo --check: %v\n%s", err, out.String())
	}
	for _, stage := range []string{"with the dom: proved by 64", "the dom is stopped: proved by 64", "new-york started without the dom"} {
		if !strings.Contains(out.String(), stage) {
			t.Errorf("no %q in\n%s", stage, out.String())
		}
	}
}

func TestDemoShowsTheTableAndEndsWithItsContext(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	shown := &until{text: "Ctrl-C ends it", found: cancel}
	if err := Run(ctx, shown, slog.New(slog.DiscardHandler), false); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("demo: %v\n%s", err, shown.out.String())
	}
	for _, line := range []string{"Tokyo", "singapore", "dig +short @"} {
		if !strings.Contains(shown.out.String(), line) {
			t.Errorf("no %q in\n%s", line, shown.out.String())
		}
	}
}

// until is a writer that calls found once text was written.
type until struct {
	text  string
	found func()
	out   strings.Builder
}

func (u *until) Write(b []byte) (int, error) {
	u.out.Write(b)
	if strings.Contains(u.out.String(), u.text) {
		u.found()
	}
	return len(b), nil
}
