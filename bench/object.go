package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"b8s/dom"
)

// oneWay is the delay of the clean path, each way.
const oneWay = 100 * time.Millisecond

// benchObject measures the transfer of a 37 MiB object to a sub over a path
// that delays each datagram by 100 ms, each way, and loses none: from the
// first bytes on the sub's disk until the object is there, verified.
func benchObject(ctx context.Context, l *lab) error {
	path, err := l.cityDatabase()
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	var rates sample
	for i := range min(l.runs, 3) {
		took, err := l.transfer(ctx, i)
		if err != nil {
			return err
		}
		rates = append(rates, took)
		l.end()
	}
	l.say(fmt.Sprintf("an object of %s over a path of 200 ms", mib(info.Size())), rates)
	l.say("  that is", mib(int64(float64(info.Size())/rates.median().Seconds()))+"/s")
	return nil
}

func (l *lab) transfer(ctx context.Context, i int) (time.Duration, error) {
	l.dir = filepath.Join(l.root, fmt.Sprintf("object%d", i))
	w := &world{lab: l}
	if _, _, err := dom.Init(w.state()); err != nil {
		return 0, err
	}
	if err := w.startDom(ctx); err != nil {
		return 0, err
	}
	s, ticket, err := w.newSub(ctx)
	if err != nil {
		return 0, err
	}
	far := netip.AddrFrom4([4]byte{127, 22, 0, byte(i + 1)})
	relay, err := newRelay(netip.AddrPortFrom(far, tunnelPort), netip.AddrPortFrom(s.addr, tunnelPort), oneWay)
	if err != nil {
		return 0, err
	}
	defer relay.close()
	ticket.IPv4 = far
	if err := addSub(ctx, w.client(), s.name, s.at, ticket, true); err != nil {
		return 0, err
	}
	published := make(chan error, 1)
	go func() { published <- w.publishCity(ctx) }()
	took, err := w.arrival(ctx, s)
	if err != nil {
		return 0, err
	}
	return took, <-published
}

// arrival is how long an object takes to come to a sub's disk.
func (w *world) arrival(ctx context.Context, s *server) (time.Duration, error) {
	parts := filepath.Join(w.lab.dir, s.name, "replica", "*", "sha256-*.part")
	var name string
	err := until(ctx, "an object begins to come", 2*time.Minute, time.Millisecond, func() bool {
		found, _ := filepath.Glob(parts)
		if len(found) == 1 {
			name = found[0]
		}
		return name != ""
	})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	whole := name[:len(name)-len(".part")]
	err = until(ctx, "the object is here", 2*time.Minute, time.Millisecond, func() bool {
		_, err := os.Stat(whole)
		return err == nil
	})
	return time.Since(began), err
}
