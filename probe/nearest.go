package probe

import (
	"context"
	"errors"
	"net/netip"

	"github.com/miekg/dns"
)

// Answer is one address, and for how wide a network it was chosen.
type Answer struct {
	Addr  netip.Addr
	Scope uint8 // RFC 7871: prefix length; 0 if the answer is the same for everybody
}

// Nearest asks server, over "udp" or "tcp", for the IPv4 address of name on
// behalf of a client in subnet (EDNS Client Subnet).
func Nearest(ctx context.Context, network string, server netip.AddrPort, name string, subnet netip.Prefix) (Answer, error) {
	question := new(dns.Msg).SetQuestion(name, dns.TypeA)
	question.RecursionDesired = false
	question.SetEdns0(1232, false)
	family := uint16(1)
	if subnet.Addr().Is6() {
		family = 2
	}
	opt := question.IsEdns0()
	opt.Option = append(opt.Option, &dns.EDNS0_SUBNET{
		Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(subnet.Bits()), Address: subnet.Addr().AsSlice(),
	})
	client := dns.Client{Net: network, Timeout: timeout}
	m, _, err := client.ExchangeContext(ctx, question, server.String())
	if err != nil {
		return Answer{}, err
	}
	return readAnswer(m)
}

func readAnswer(m *dns.Msg) (a Answer, err error) {
	if m.Rcode != dns.RcodeSuccess {
		return a, errors.New("answered " + dns.RcodeToString[m.Rcode])
	}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if subnet, ok := o.(*dns.EDNS0_SUBNET); ok {
				a.Scope = subnet.SourceScope
			}
		}
	}
	for _, rr := range m.Answer {
		if v, ok := rr.(*dns.A); ok {
			a.Addr, _ = netip.AddrFromSlice(v.A.To4())
			return a, nil
		}
	}
	return a, errors.New("answered without an address")
}
