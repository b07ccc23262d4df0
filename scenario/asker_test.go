package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// asker asks one sub all the time while it runs, and holds it to three
// promises: once it has served, each question is answered; the answers are
// good; no zone's serial goes back. What it found lasts over the sub's
// restarts.
type asker struct {
	server netip.AddrPort

	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	asked   int
	served  bool // it has answered with authority before
	serials map[string]uint32
	wrong   []string
}

const (
	askEvery  = 20 * time.Millisecond
	askWithin = slower * 2 * time.Second // no answer in that time is a pause
	keepWrong = 5
)

// start asks until Stop. It is called when the sub says that it is ready.
func (a *asker) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	a.cancel, a.done = cancel, done
	go func() {
		defer close(done)
		a.run(ctx)
	}()
}

// stop ends the asking. The question under way doesn't count.
func (a *asker) stop() {
	if a.cancel != nil {
		a.cancel()
		<-a.done
		a.cancel = nil
	}
}

// forget is for a sub whose state folder was wiped: it serves nothing.
func (a *asker) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.served, a.serials = false, nil
}

func (a *asker) run(ctx context.Context) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		network := "udp"
		if i%20 == 19 {
			network = "tcp"
		}
		if i%2 == 0 {
			a.ask(ctx, network, "example.com.", dns.TypeSOA)
		} else {
			a.ask(ctx, network, "www.example.com.", dns.TypeA)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *asker) ask(ctx context.Context, network, name string, qtype uint16) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	began := time.Now()
	m, err := exchange(ctx, network, a.server, question(name, qtype, netip.MustParsePrefix("198.51.100.0/24")))
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	if reason := a.judge(m, err); reason != "" && len(a.wrong) < keepWrong {
		a.wrong = append(a.wrong, fmt.Sprintf("at %s over %s: %s %s: %s", began.Format("15:04:05.000"), network, name, dns.TypeToString[qtype], reason))
	}
}

// judge says what is wrong with an answer, "" for a good one. mu is held.
func (a *asker) judge(m *dns.Msg, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case m.Rcode != dns.RcodeSuccess || len(m.Answer) == 0:
		if !a.served {
			return ""
		}
		return fmt.Sprintf("answered %s with %d records", dns.RcodeToString[m.Rcode], len(m.Answer))
	}
	a.served = true
	for _, rr := range m.Answer {
		soa, ok := rr.(*dns.SOA)
		if !ok {
			continue
		}
		if last, had := a.serials[soa.Hdr.Name]; had && int32(soa.Serial-last) < 0 {
			return fmt.Sprintf("serial %d after %d", soa.Serial, last)
		}
		if a.serials == nil {
			a.serials = map[string]uint32{}
		}
		a.serials[soa.Hdr.Name] = soa.Serial
	}
	return ""
}

// found tells whether the sub kept its promises.
func (a *asker) found() (asked int, wrong string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked, strings.Join(a.wrong, "\n")
}

// question asks name on behalf of a client in subnet; an invalid one is left
// out.
func question(name string, qtype uint16, subnet netip.Prefix) *dns.Msg {
	m := new(dns.Msg).SetQuestion(name, qtype)
	m.RecursionDesired = false
	if subnet.IsValid() {
		m.SetEdns0(1232, false)
		opt := m.IsEdns0()
		opt.Option = append(opt.Option, &dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(subnet.Bits()), Address: subnet.Addr().AsSlice(),
		})
	}
	return m
}

func exchange(ctx context.Context, network string, server netip.AddrPort, m *dns.Msg) (*dns.Msg, error) {
	client := dns.Client{Net: network, Timeout: askWithin}
	answer, _, err := client.ExchangeContext(ctx, m, server.String())
	return answer, err
}
