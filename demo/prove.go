package demo

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"b8s/cli"
	"b8s/place"
	"b8s/probe"
)

// prove checks every line of the table on every sub: with the dom, without it,
// and on a sub that was started anew without it.
func (s *stage) prove(ctx context.Context) error {
	if err := s.proveAll(ctx, "with the dom"); err != nil {
		return err
	}
	if err := s.dom.Stop(); err != nil {
		return fmt.Errorf("stop the dom: %w", err)
	}
	s.dom = nil
	if err := s.proveAll(ctx, "the dom is stopped"); err != nil {
		return err
	}
	cold := s.hosts[2]
	if err := cold.run.Stop(); err != nil {
		return fmt.Errorf("stop sub %s: %w", cold.name, err)
	}
	cold.run = nil
	began := time.Now()
	if err := cold.start(ctx, s.log); err != nil {
		return err
	}
	return s.proveAll(ctx, fmt.Sprintf("%s started without the dom, in %d ms", cold.name, time.Since(began).Milliseconds()))
}

// proveAll asks every sub about every city over UDP and TCP.
func (s *stage) proveAll(ctx context.Context, when string) error {
	rows := [][]string{{"VISITORS FROM", "ARE SENT TO", "DISTANCE", "BY"}}
	asked := 0
	for _, c := range cities {
		want, _ := nearest(c)
		for _, h := range s.hosts {
			for _, network := range []string{"udp", "tcp"} {
				answer, err := s.ask(ctx, h, network, c)
				if err != nil {
					return fmt.Errorf("%s: %w", when, err)
				}
				if got := s.nameOf(answer.Addr); got != want {
					return fmt.Errorf("%s: %s over %s sends %s to %s, want %s", when, h.name, network, c.name, got, want)
				}
				if answer.Scope == 0 {
					return fmt.Errorf("%s: %s over %s: the answer for %s is not for its network alone (scope 0)", when, h.name, network, c.name)
				}
				asked++
			}
		}
		rows = append(rows, []string{c.name, want, distance(c, want), fmt.Sprintf("all %d subs", len(s.hosts))})
	}
	fmt.Fprintf(s.out, "%s: proved by %d answers\n", when, asked)
	cli.Table(s.out, rows)
	fmt.Fprintln(s.out)
	return nil
}

// ask asks a sub on behalf of a visitor from the city.
func (s *stage) ask(ctx context.Context, h *host, network string, c city) (probe.Answer, error) {
	answer, err := probe.Nearest(ctx, network, h.dns, "www.example.com.", c.network)
	if err != nil {
		return answer, fmt.Errorf("ask %s over %s for a visitor from %s: %w", h.name, network, c.name, err)
	}
	return answer, nil
}

// nameOf is the sub with that address; where all share one, by the order of
// nothing: the answer can't tell them apart, and the address is its name.
func (s *stage) nameOf(addr netip.Addr) string {
	i := slices.IndexFunc(s.hosts, func(h *host) bool { return h.addr == addr })
	if i < 0 {
		return addr.String()
	}
	return s.hosts[i].name
}

func distance(c city, name string) string {
	for _, s := range subs {
		if s.name == name {
			return fmt.Sprintf("%.0f km", place.Distance(c.at, s.at))
		}
	}
	return "?"
}
