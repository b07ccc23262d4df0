package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// benchAddSub measures from the start of the command b8s dom add-sub until the
// new sub answers, with 10 zones of 100 records published: first without a
// city database, then with one of 37 MiB, until it places visitors.
func benchAddSub(ctx context.Context, l *lab) error {
	z := tenZones
	w, err := l.newWorld(ctx, 2, z)
	if err != nil {
		return err
	}
	var served, ended sample
	for range min(l.runs, 5) {
		s, e, err := w.enter(ctx, func(a *asker) bool { return a.has(z.apex(z.count - 1)) })
		if err != nil {
			return err
		}
		served, ended = append(served, s), append(ended, e)
	}
	l.say("add-sub, Enter to served (10 zones)", served)
	l.say("add-sub, Enter to the command's end", ended)
	if err := w.publishCity(ctx); err != nil {
		return err
	}
	var placed sample
	for range 3 {
		s, _, err := w.enter(ctx, func(a *asker) bool { return a.places(z.host(), visitor) })
		if err != nil {
			return err
		}
		placed = append(placed, s)
	}
	l.say("add-sub, Enter to geo answers (37 MiB city database)", placed)
	return nil
}

// enter runs a fresh sub and then the command that enrols it. It returns how
// long after the command's start ok held, and the command ended.
func (w *world) enter(ctx context.Context, ok func(*asker) bool) (served, ended time.Duration, err error) {
	s, ticket, err := w.newSub(ctx)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	command, err := w.lab.launch(ctx, "add-sub", w.lab.binary, "dom", "add-sub", "--state", w.state(),
		ticket.String(), "--", s.at, s.name)
	if err != nil {
		return 0, 0, err
	}
	took, err := untilEach(ctx, []netip.AddrPort{s.dns()}, began, time.Minute, ok)
	if err != nil {
		return 0, 0, err
	}
	select {
	case <-command.done:
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	if code := command.cmd.ProcessState.ExitCode(); code != 0 {
		return 0, 0, fmt.Errorf("add-sub %s: exit %d, see its log", s.name, code)
	}
	return took[0], time.Since(began), nil
}
