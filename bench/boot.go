package main

import (
	"context"
	"net/netip"
	"time"
)

// benchBoot measures from the start of b8s sub run until its first answer, on
// a host that has 10 zones and a city database, with no dom; the sub before
// was killed. The files are in the system's cache.
func benchBoot(ctx context.Context, l *lab) error {
	z := tenZones
	w, err := l.newWorld(ctx, 1, z)
	if err != nil {
		return err
	}
	if err := w.publishCity(ctx); err != nil {
		return err
	}
	if err := wait(ctx, time.Second); err != nil { // until the snapshot is on disk
		return err
	}
	w.dom.kill()
	var first, geo sample
	for range 2 * l.runs {
		took, err := w.boot(ctx, func(a *asker) bool { return a.has(z.apex(z.count - 1)) })
		if err != nil {
			return err
		}
		first = append(first, took)
		if took, err = w.boot(ctx, func(a *asker) bool { return a.places(z.host(), visitor) }); err != nil {
			return err
		}
		geo = append(geo, took)
	}
	l.say("cold boot to the first answer, no dom, 10 zones", first)
	l.say("cold boot to the first answer by place (37 MiB)", geo)
	return nil
}

// boot kills the first sub, starts it, and returns when ok held.
func (w *world) boot(ctx context.Context, ok func(*asker) bool) (time.Duration, error) {
	s := w.subs[0]
	s.kill()
	began := time.Now()
	if err := w.startSub(ctx, s); err != nil {
		return 0, err
	}
	took, err := untilEach(ctx, []netip.AddrPort{s.dns()}, began, 30*time.Second, ok)
	if err != nil {
		return 0, err
	}
	return took[0], nil
}
