package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// CAA is one certification authority authorization record (RFC 8659).
type CAA struct {
	Critical bool
	Tag      string // lower case
	Value    string
}

// Resolver asks servers for what isn't known at home. The zero value asks the
// resolvers of /etc/resolv.conf. It keeps nothing: each call is a new question.
type Resolver struct {
	// Streams are asked first, and then Servers, in this order until one answers.
	// A stream is opened for one question, through a tunnel perhaps, and closed.
	Streams []func(context.Context) (net.Conn, error)
	Servers []netip.AddrPort
	// Direct says that Servers are nameservers of the zone asked about: no
	// recursion is wished, and an answer without authority is none.
	Direct bool
}

// Zone returns the apex of the zone that holds name, absolute and in lower
// case, and the host names of its nameservers.
func (r Resolver) Zone(ctx context.Context, name string) (apex string, hosts []string, err error) {
	for labels := dns.SplitDomainName(name); len(labels) > 0; labels = labels[1:] {
		apex = strings.ToLower(dns.Fqdn(strings.Join(labels, ".")))
		m, err := r.ask(ctx, apex, dns.TypeNS)
		if err != nil {
			return "", nil, fmt.Errorf("NS of %s: %w", apex, err)
		}
		for _, rr := range m.Answer {
			if ns, ok := rr.(*dns.NS); ok && strings.EqualFold(ns.Hdr.Name, apex) {
				hosts = append(hosts, strings.ToLower(ns.Ns))
			}
		}
		if len(hosts) > 0 {
			return apex, hosts, nil
		}
	}
	return "", nil, fmt.Errorf("no zone holds %s", name)
}

// Addrs returns every address of host; none is no error.
func (r Resolver) Addrs(ctx context.Context, host string) (addrs []netip.Addr, err error) {
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		m, err := r.ask(ctx, host, qtype)
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", dns.TypeToString[qtype], host, err)
		}
		for _, rr := range m.Answer {
			if a, ok := addrOf(rr); ok {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs, nil
}

func addrOf(rr dns.RR) (netip.Addr, bool) {
	switch v := rr.(type) {
	case *dns.A:
		return netip.AddrFromSlice(v.A.To4())
	case *dns.AAAA:
		return netip.AddrFromSlice(v.AAAA.To16())
	}
	return netip.Addr{}, false
}

// CNAME returns what name is an alias for, absolute and in lower case; "" if
// it is none.
func (r Resolver) CNAME(ctx context.Context, name string) (string, error) {
	m, err := r.ask(ctx, name, dns.TypeCNAME)
	if err != nil {
		return "", fmt.Errorf("CNAME of %s: %w", name, err)
	}
	return aliasIn(m, name), nil
}

func aliasIn(m *dns.Msg, name string) string {
	for _, rr := range m.Answer {
		if alias, ok := rr.(*dns.CNAME); ok && strings.EqualFold(alias.Hdr.Name, name) {
			return strings.ToLower(alias.Target)
		}
	}
	return ""
}

// CAA returns the records at name. If name is an alias that the answer didn't
// follow, alias is where to ask on.
func (r Resolver) CAA(ctx context.Context, name string) (records []CAA, alias string, err error) {
	m, err := r.ask(ctx, name, dns.TypeCAA)
	if err != nil {
		return nil, "", fmt.Errorf("CAA of %s: %w", name, err)
	}
	for range m.Answer {
		target := aliasIn(m, name)
		if target == "" {
			break
		}
		name, alias = target, target
	}
	for _, rr := range m.Answer {
		if caa, ok := rr.(*dns.CAA); ok {
			records = append(records, CAA{Critical: caa.Flag&0x80 != 0, Tag: strings.ToLower(caa.Tag), Value: caa.Value})
			alias = ""
		}
	}
	return records, alias, nil
}

// ask puts one question to one server after another. That a name doesn't
// exist is an answer.
func (r Resolver) ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	question := plainQuestion(dns.Fqdn(name), qtype)
	question.RecursionDesired = !r.Direct
	var errs []error
	for _, open := range r.Streams {
		m, err := exchangeOver(ctx, open, question)
		if err == nil {
			err = r.usable(m)
		}
		if err == nil {
			return m, nil
		}
		errs = append(errs, fmt.Errorf("through the tunnel: %w", err))
	}
	servers, err := r.servers()
	if err != nil {
		return nil, errors.Join(append(errs, err)...)
	}
	for _, server := range servers {
		m, err := exchange(ctx, server, question, timeout)
		if err == nil {
			err = r.usable(m)
		}
		if err == nil {
			return m, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", server, err))
	}
	return nil, errors.Join(errs...)
}

// exchangeOver opens a stream for one question.
func exchangeOver(ctx context.Context, open func(context.Context) (net.Conn, error), question *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := open(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return askOver(ctx, conn, question)
}

func (r Resolver) usable(m *dns.Msg) error {
	switch {
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		return errors.New("answered " + dns.RcodeToString[m.Rcode])
	case r.Direct && !m.Authoritative:
		return errors.New("answered without authority")
	}
	return nil
}

func (r Resolver) servers() ([]netip.AddrPort, error) {
	if len(r.Servers) > 0 {
		return r.Servers, nil
	}
	if r.Direct {
		return nil, errors.New("no nameserver to ask")
	}
	conf, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return nil, fmt.Errorf("find the system's resolvers: %w", err)
	}
	var servers []netip.AddrPort
	for _, s := range conf.Servers {
		if a, err := netip.ParseAddr(s); err == nil {
			servers = append(servers, netip.AddrPortFrom(a, 53))
		}
	}
	if len(servers) == 0 {
		return nil, errors.New("find the system's resolvers: none in /etc/resolv.conf")
	}
	return servers, nil
}
