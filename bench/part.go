package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"b8s/sub"
	"b8s/tunnel"
)

// A part is some subs of the fleet in one process. It prints NUMBER TICKET
// for each that is not enrolled, and partReady once all answer DNS.
const (
	partVerb  = "part" // DIR FROM TO
	partReady = "ready"
)

// memberAddr is the loopback address of sub i of a fleet.
func memberAddr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 23, byte(i / 200), byte(i%200 + 1)})
}

func memberState(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("sub%d", i)) }

// runPart runs the subs until it is told to end.
func runPart(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("%s: want DIR FROM TO", partVerb)
	}
	from, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	to, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	debug.SetGCPercent(partGC)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var waiting sync.WaitGroup
	g, ctx := errgroup.WithContext(ctx)
	for i := from; i < to; i++ {
		waiting.Add(1)
		opts := member(args[0], i)
		opts.Log, opts.Ready = log.With("host", i), waiting.Done
		var once sync.Once
		invited := waiting.Done
		if _, err := os.Stat(filepath.Join(opts.State, "dom.json")); err != nil {
			waiting.Add(1)
		} else {
			invited = func() {}
		}
		opts.Invite = func(v sub.Invitation) { fmt.Printf("%d %s\n", i, v.Ticket); once.Do(invited) }
		g.Go(func() error { return sub.Run(ctx, opts) })
	}
	all := make(chan struct{})
	go func() { waiting.Wait(); close(all) }()
	g.Go(func() error {
		select {
		case <-all:
			fmt.Println(partReady)
		case <-ctx.Done():
		}
		return nil
	})
	return g.Wait()
}

// member is sub i as it runs.
func member(dir string, i int) sub.Options {
	addr := memberAddr(i)
	return sub.Options{
		State: memberState(dir, i), DNS: []netip.AddrPort{netip.AddrPortFrom(addr, dnsPort)}, Threads: 1,
		Port: tunnel.DefaultPort, TunnelAddrs: []netip.Addr{addr}, IPv4: addr,
	}
}
