package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// An asker asks one nameserver over one UDP socket. It is used by one
// goroutine.
type asker struct {
	conn *net.UDPConn
	buf  [4096]byte
}

func newAsker(server netip.AddrPort) (*asker, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", server, err)
	}
	return &asker{conn: conn}, nil
}

func (a *asker) close() { a.conn.Close() }

// answerWithin is how long one answer is waited for. A lost one is asked for
// again by the caller.
const answerWithin = 100 * time.Millisecond

// ask sends the question and returns the answer to it.
func (a *asker) ask(q *dns.Msg) (*dns.Msg, error) {
	packet, err := q.Pack()
	if err != nil {
		return nil, err
	}
	a.conn.SetDeadline(time.Now().Add(answerWithin))
	if _, err := a.conn.Write(packet); err != nil {
		return nil, err
	}
	for {
		n, err := a.conn.Read(a.buf[:])
		if err != nil {
			return nil, err
		}
		m := new(dns.Msg)
		if err := m.Unpack(a.buf[:n]); err != nil {
			return nil, err
		}
		if m.Id == q.Id { // else one that came late
			return m, nil
		}
	}
}

// serves says whether the TXT record at name has the text.
func (a *asker) serves(name, text string) bool {
	m, err := a.ask(new(dns.Msg).SetQuestion(name, dns.TypeTXT))
	if err != nil || m.Rcode != dns.RcodeSuccess {
		return false
	}
	for _, rr := range m.Answer {
		if t, ok := rr.(*dns.TXT); ok && len(t.Txt) == 1 && t.Txt[0] == text {
			return true
		}
	}
	return false
}

// has says whether the zone is answered with authority.
func (a *asker) has(apex string) bool {
	m, err := a.ask(new(dns.Msg).SetQuestion(apex, dns.TypeSOA))
	return err == nil && m.Rcode == dns.RcodeSuccess && m.Authoritative && len(m.Answer) > 0
}

// places says whether a visitor of the network is sent to a sub that was
// chosen for that network: the answer's scope says so.
func (a *asker) places(host string, visitor netip.Prefix) bool {
	q := new(dns.Msg).SetQuestion(host, dns.TypeA)
	q.SetEdns0(1232, false)
	opt := q.IsEdns0()
	opt.Option = append(opt.Option, &dns.EDNS0_SUBNET{
		Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(visitor.Bits()), Address: visitor.Addr().AsSlice(),
	})
	m, err := a.ask(q)
	if err != nil || m.Rcode != dns.RcodeSuccess || len(m.Answer) == 0 || m.IsEdns0() == nil {
		return false
	}
	for _, o := range m.IsEdns0().Option {
		if s, ok := o.(*dns.EDNS0_SUBNET); ok && s.SourceScope > 0 {
			return true
		}
	}
	return false
}

// pollEvery is the pause between two questions to a server that doesn't serve
// it yet: short beside what is measured, and long enough not to starve it.
const pollEvery = 500 * time.Microsecond

// untilEach waits until ok holds for each server, one after the other, and
// returns how long after began each was found to serve. A server later in
// the list may have served before its turn: only the last figure is exact.
func untilEach(ctx context.Context, servers []netip.AddrPort, began time.Time, within time.Duration, ok func(*asker) bool) (sample, error) {
	var took sample
	var askers []*asker
	defer func() {
		for _, a := range askers {
			a.close()
		}
	}()
	for _, server := range servers {
		a, err := newAsker(server)
		if err != nil {
			return nil, err
		}
		askers = append(askers, a)
	}
	for i, a := range askers {
		err := until(ctx, fmt.Sprintf("served at %s", servers[i]), within-time.Since(began), pollEvery, func() bool { return ok(a) })
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}
