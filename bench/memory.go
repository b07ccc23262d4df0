package main

import (
	"context"
	"fmt"
)

// benchMemory measures processes that had nothing to do for a while but their
// heartbeats: a dom with 4 subs, and a sub, after what they did to come there
// (enrolment, 10 zones, a city database that the dom checked and stored and
// the subs built their tables from), and after a restart.
func benchMemory(ctx context.Context, l *lab) error {
	z := tenZones
	w, err := l.newWorld(ctx, 4, z)
	if err != nil {
		return err
	}
	if err := w.idle(ctx, "4 subs, before a city database"); err != nil {
		return err
	}
	if err := w.publishCity(ctx); err != nil {
		return err
	}
	if err := w.idle(ctx, "4 subs, after a city database came"); err != nil {
		return err
	}
	for _, s := range w.subs {
		s.stop()
		if err := w.startSub(ctx, s); err != nil {
			return err
		}
	}
	w.dom.stop()
	if err := w.startDom(ctx); err != nil {
		return err
	}
	return w.idle(ctx, "4 subs, restarted with a city database")
}

// idle waits and tells the memory of the dom and of the first sub.
func (w *world) idle(ctx context.Context, when string) error {
	if err := wait(ctx, w.lab.idle); err != nil {
		return err
	}
	m, err := w.dom.memory()
	if err != nil {
		return err
	}
	w.lab.say(fmt.Sprintf("dom, %s", when), m)
	if len(w.subs) == 0 {
		return nil
	}
	if m, err = w.subs[0].memory(); err == nil {
		w.lab.say("  a sub of them", m)
	}
	return err
}
