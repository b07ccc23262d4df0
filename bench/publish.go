package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"b8s/dom"
)

// benchPublish measures one changed record in a zone, from the call to the dom
// (what the verb does once it has read the files) and from the start of the
// command b8s dom publish records, until the last of 4 subs serves it.
func benchPublish(ctx context.Context, l *lab) error {
	w, err := l.newWorld(ctx, 4, tenZones)
	if err != nil {
		return err
	}
	runs := max(4*l.runs, 1)
	for _, size := range []struct{ changed, rest int }{{10, 100}, {200, 100}, {2000, 100}, {2000, 2000}} {
		z := zones{count: 10, size: size.changed, rest: size.rest, text: "first"}
		if err := w.publish(ctx, z); err != nil {
			return err
		}
		called, err := w.changes(ctx, w.dns(), z, runs, w.call)
		if err != nil {
			return err
		}
		l.say(fmt.Sprintf("publish records to served on 4 subs, 1 zone of %d, 9 of %d", size.changed, size.rest), called)
		entered, err := w.changes(ctx, w.dns(), z, runs, w.command)
		if err != nil {
			return err
		}
		l.say("  from the command's start", entered)
	}
	return nil
}

// changes changes the first zone and waits until all servers serve it, runs
// times, with a pause between that lets snapshots and statuses settle.
func (w *world) changes(ctx context.Context, servers []netip.AddrPort, z zones, runs int, publish func(context.Context, zones) (began time.Time, end func() error, err error)) (took sample, err error) {
	for range runs {
		if err := wait(ctx, settle); err != nil {
			return nil, err
		}
		z.text = fmt.Sprintf("change at %d", time.Now().UnixNano())
		began, end, err := publish(ctx, z)
		if err != nil {
			return nil, err
		}
		each, err := untilEach(ctx, servers, began, 30*time.Second, func(a *asker) bool { return a.serves(z.mark(0), z.text) })
		if err != nil {
			return nil, err
		}
		if err := end(); err != nil {
			return nil, err
		}
		took = append(took, each[len(each)-1])
	}
	return took, nil
}

// settle is longer than a replica waits before it writes its snapshot.
const settle = 500 * time.Millisecond

// call publishes through the dom's socket.
func (w *world) call(ctx context.Context, z zones) (began time.Time, end func() error, err error) {
	wish, err := z.wish(filepath.Join(w.lab.dir, "site"))
	if err != nil {
		return began, nil, err
	}
	done := make(chan error, 1)
	began = time.Now()
	go func() {
		r, err := w.client().PublishRecords(ctx, dom.PublishRequest{Wish: wish, Wait: 30 * time.Second}, nil)
		if err == nil {
			err = confirmed("publish records", r.Verdict)
		}
		done <- err
	}()
	return began, func() error { return <-done }, nil
}

// command publishes as the operator does.
func (w *world) command(ctx context.Context, z zones) (began time.Time, end func() error, err error) {
	path, err := z.write(filepath.Join(w.lab.dir, "site"))
	if err != nil {
		return began, nil, err
	}
	began = time.Now()
	p, err := w.lab.launch(ctx, "publish", w.lab.binary, "dom", "publish", "records", "--state", w.state(), "--config", path, "--yes")
	if err != nil {
		return began, nil, err
	}
	return began, func() error {
		<-p.done
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("publish records: exit %d, see its log", code)
		}
		return nil
	}, nil
}
