// Command bench reproduces the figures in DESIGN.md:
//
//	go run ./bench            # all of them
//	go run ./bench publish    # one
//
// It builds the stripped binary, runs doms and subs as processes of their own
// on loopback addresses, with real tunnels, bus and DNS sockets, and prints
// medians with their conditions. "Served" is a DNS answer over a sub's own
// socket. It compares nothing with a goal: what is fast enough is said in
// DESIGN.md.
//
// Everything is bounded in count and time, and what it wrote is removed at the
// end. It needs Linux (many loopback addresses, /proc) and nothing but Go.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A bench measures one figure, or some that share a set-up.
type bench struct {
	name, about string
	run         func(context.Context, *lab) error
}

func benches() []bench {
	return []bench{
		{"binary", "size of the stripped binary", benchBinary},
		{"addsub", "add-sub, Enter to served, and to geo answers", benchAddSub},
		{"publish", "publish records to served on 4 subs", benchPublish},
		{"boot", "cold boot of a sub without its dom", benchBoot},
		{"object", "an object over a path of 200 ms", benchObject},
		{"memory", "idle memory of a dom with 4 subs, and of a sub", benchMemory},
		{"fleet", "200 subs: one change to the last, idle memory of the dom, first full sync", benchFleet},
	}
}

// limit is for all the benches named, together.
const limit = 25 * time.Minute

func main() {
	if len(os.Args) > 1 && os.Args[1] == partVerb {
		exit(runPart(os.Args[2:]))
	}
	var s settings
	flag.IntVar(&s.runs, "runs", 5, "how often each thing is measured")
	flag.IntVar(&s.subs, "subs", 200, "subs of the fleet")
	flag.DurationVar(&s.idle, "idle", time.Minute, "silence before memory is read")
	flag.StringVar(&s.binary, "b8s", "", "a binary to measure (default: one is built)")
	flag.StringVar(&s.dir, "dir", "", "keep states and logs here, and use the fleet that is here from before (default: a folder that is removed)")
	flag.Usage = usage
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	exit(run(ctx, s, flag.Args()))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: go run ./bench [flags] [figure ...]")
	for _, b := range benches() {
		fmt.Fprintf(os.Stderr, "  %-8s %s\n", b.name, b.about)
	}
	flag.PrintDefaults()
}

func run(ctx context.Context, s settings, names []string) error {
	var chosen []bench
	for _, b := range benches() {
		if len(names) == 0 || slices.Contains(names, b.name) {
			chosen = append(chosen, b)
		}
	}
	if len(names) > 0 && len(chosen) != len(names) {
		return fmt.Errorf("%s: not all of these are figures, see go run ./bench -h", strings.Join(names, " "))
	}
	l, err := newLab(ctx, s)
	if err != nil {
		return err
	}
	defer l.close()
	for _, b := range chosen {
		if err := l.measure(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return nil
}

// measure runs b in a folder of its own and ends what it started.
func (l *lab) measure(ctx context.Context, b bench) error {
	l.begin(b.name)
	defer l.end()
	return b.run(ctx, l)
}
