// Package probe asks a nameserver questions from outside, as a resolver would.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
)

// timeout is for one question; UDP is asked again until ctx ends.
const timeout = 2 * time.Second

// parallel is how many questions are under way at once.
const parallel = 16

// SOAs asks server for the SOA of each apex over "udp" or "tcp", again and
// again until each was answered with authority or ctx ends. The error names
// one that was not, and why.
func SOAs(ctx context.Context, network string, server netip.AddrPort, apexes []string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, apex := range apexes {
		g.Go(func() error {
			if err := untilSOA(ctx, network, server, apex); err != nil {
				return fmt.Errorf("SOA of %s: %w", apex, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func untilSOA(ctx context.Context, network string, server netip.AddrPort, apex string) error {
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := askSOA(ctx, network, server, apex)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func askSOA(ctx context.Context, network string, server netip.AddrPort, apex string) error {
	question := new(dns.Msg).SetQuestion(apex, dns.TypeSOA)
	question.RecursionDesired = false
	client := dns.Client{Net: network, Timeout: timeout}
	answer, _, err := client.ExchangeContext(ctx, question, server.String())
	switch {
	case err != nil:
		return err
	case answer.Rcode != dns.RcodeSuccess:
		return errors.New("answered " + dns.RcodeToString[answer.Rcode])
	case !answer.Authoritative:
		return errors.New("answered without authority: is another nameserver at this address?")
	}
	for _, rr := range answer.Answer {
		if rr.Header().Rrtype == dns.TypeSOA {
			return nil
		}
	}
	return errors.New("answered without the SOA")
}
