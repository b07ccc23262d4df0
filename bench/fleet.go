package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"b8s/dom"
	"b8s/tunnel"
)

// A fleet is one dom, a process, and many subs in a few processes. Each sub is
// whole: its own address, state folder, tunnel, bus connection, replica and
// nameserver (of one thread).
type fleet struct {
	*world
	parts []*process
}

// perPart is how many subs share a process. The collector of such a process
// is told to be lazy: 200 subs share these processors, which in life have one
// each.
const (
	perPart = 50
	partGC  = 400 // GOGC
)

// benchFleet measures a fleet: 10 zones of 10 records, one of which changes.
// All of it shares the processors, the one who asks too.
func benchFleet(ctx context.Context, l *lab) error {
	f := &fleet{world: &world{lab: l}}
	z := zones{count: 10, size: 10, rest: 10, text: "first"}
	if err := f.start(ctx, z); err != nil {
		return err
	}
	took, err := f.changes(ctx, f.dns(), z, 3*l.runs, f.call)
	if err != nil {
		return err
	}
	l.say(fmt.Sprintf("one change to the last of %d subs", l.subs), took)
	if err := f.idle(ctx, fmt.Sprintf("%d subs", l.subs)); err != nil {
		return err
	}
	return f.syncs(ctx, z)
}

// start runs the dom and the subs, and makes and enrols those that are not in
// the lab's folder from an earlier run.
func (f *fleet) start(ctx context.Context, z zones) error {
	if _, err := os.Stat(f.state()); err == nil {
		if err := f.startDom(ctx); err != nil {
			return err
		}
		if err := f.startParts(ctx, nil); err != nil {
			return err
		}
		return f.publish(ctx, z)
	}
	if _, _, err := dom.Init(f.state()); err != nil {
		return err
	}
	if err := f.startDom(ctx); err != nil {
		return err
	}
	if err := f.publish(ctx, z); err != nil {
		return err
	}
	began := time.Now()
	if err := f.enrol(ctx); err != nil {
		return err
	}
	f.lab.say(fmt.Sprintf("%d subs enrolled, two at a time", f.lab.subs), time.Since(began).Round(time.Millisecond))
	return nil
}

// dns are the addresses of all subs.
func (f *fleet) dns() (addrs []netip.AddrPort) {
	for i := range f.lab.subs {
		addrs = append(addrs, netip.AddrPortFrom(memberAddr(i), dnsPort))
	}
	return addrs
}

// syncs measures the first full sync: from the start of the dom, with all
// subs waiting for it with nothing on their disks; and from the start of the
// subs, with the dom there.
func (f *fleet) syncs(ctx context.Context, z zones) error {
	var domComes, subsCome sample
	for range min(f.lab.runs, 3) {
		f.stopParts()
		f.dom.stop()
		if err := f.wipe(); err != nil {
			return err
		}
		if err := f.startParts(ctx, nil); err != nil {
			return err
		}
		began := time.Now()
		if err := f.startDom(ctx); err != nil {
			return err
		}
		took, err := f.untilAll(ctx, z, began)
		if err != nil {
			return err
		}
		domComes = append(domComes, took)

		f.stopParts()
		if err := f.wipe(); err != nil {
			return err
		}
		began = time.Now()
		if err := f.startParts(ctx, nil); err != nil {
			return err
		}
		if took, err = f.untilAll(ctx, z, began); err != nil {
			return err
		}
		subsCome = append(subsCome, took)
	}
	f.lab.say(fmt.Sprintf("first full sync of %d subs, from the dom's start", f.lab.subs), domComes)
	f.lab.say(fmt.Sprintf("first full sync of %d subs, from the subs' start", f.lab.subs), subsCome)
	return nil
}

func (f *fleet) untilAll(ctx context.Context, z zones, began time.Time) (time.Duration, error) {
	each, err := untilEach(ctx, f.dns(), began, 2*time.Minute, func(a *asker) bool { return a.has(z.apex(z.count - 1)) })
	if err != nil {
		return 0, err
	}
	return each[len(each)-1], nil
}

// wipe removes what the subs know of the bus, but not who they are.
func (f *fleet) wipe() error {
	for i := range f.lab.subs {
		for _, dir := range []string{"replica", "geo"} {
			if err := os.RemoveAll(filepath.Join(memberState(f.lab.dir, i), dir)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *fleet) stopParts() {
	for _, p := range f.parts {
		go p.stop()
	}
	for _, p := range f.parts {
		<-p.done
	}
	f.parts = nil
}

// enrol runs the subs and enrols each.
func (f *fleet) enrol(ctx context.Context) error {
	tickets := make(chan string, f.lab.subs)
	if err := f.startParts(ctx, tickets); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for range f.lab.subs {
		line := <-tickets
		g.Go(func() error {
			number, text, _ := strings.Cut(line, " ")
			i, _ := strconv.Atoi(number)
			ticket, err := tunnel.ParseTicket(text)
			if err != nil {
				return err
			}
			return addSub(ctx, f.client(), fmt.Sprintf("sub%d", i), places[i%len(places)].at, ticket, false)
		})
	}
	return g.Wait()
}

// startParts runs all subs until each answers DNS. Tickets of those that are
// not enrolled are sent, as NUMBER TICKET.
func (f *fleet) startParts(ctx context.Context, tickets chan<- string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for from := 0; from < f.lab.subs; from += perPart {
		p, err := f.lab.launch(ctx, fmt.Sprintf("part%d", from), self, partVerb, f.lab.dir, strconv.Itoa(from), strconv.Itoa(min(from+perPart, f.lab.subs)))
		if err != nil {
			return err
		}
		f.parts = append(f.parts, p)
	}
	for _, p := range f.parts {
		if err := awaitPart(ctx, p, tickets); err != nil {
			return err
		}
	}
	return nil
}

// awaitPart reads the lines of a part until it is ready and, when its subs are
// to be enrolled, all their tickets came.
func awaitPart(ctx context.Context, p *process, tickets chan<- string) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case line, ok := <-p.lines:
			switch {
			case !ok:
				return fmt.Errorf("the process with the subs from %s has ended, see its log", p.cmd.Args[3])
			case line == partReady:
				return nil
			case tickets != nil:
				tickets <- line
			}
		}
	}
}
