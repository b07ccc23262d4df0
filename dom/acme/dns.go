package acme

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"b8s/probe"
)

// DNS is how a Manager sees the name system. Names are in lower case and
// absolute, with the last dot.
type DNS interface {
	// Servers returns the apex of the zone that holds name, and every address of
	// each of its nameservers, ours and others.
	Servers(ctx context.Context, name string) (apex string, servers []Server, err error)
	// TXT asks one server by one way. An answer that isn't about the name
	// (REFUSED, SERVFAIL) is an error, as is none.
	TXT(ctx context.Context, server Server, way Way, name string) (probe.TXT, error)
	// CNAME returns what name is an alias for, "" if it is none.
	CNAME(ctx context.Context, name string) (string, error)
	// CAA returns the records at name and at what it is an alias for, not those
	// of its parents.
	CAA(ctx context.Context, name string) ([]probe.CAA, error)
}

// Server is one address of one nameserver of a zone.
type Server struct {
	Host    string // "ns1.example.com."
	Addr    netip.AddrPort
	Overlay bool // it is one of our subs, and can be asked through the tunnel too
}

func (s Server) String() string {
	return strings.TrimSuffix(s.Host, ".") + " (" + s.Addr.String() + ")"
}

// Way is how a server is asked.
type Way uint8

// The ways.
const (
	Public  Way = iota // at its public address, as an authority would
	Overlay            // through the tunnel, where nobody is between
)

func (w Way) String() string {
	if w == Overlay {
		return "the tunnel"
	}
	return "port 53"
}

// Resolver is the DNS of a dom: it knows its own zones, and asks resolvers
// about the rest. It keeps nothing, and may be used from any goroutine.
type Resolver struct {
	// Known returns the published zone that holds name and its servers; ok is
	// false for a name elsewhere. Nil: nothing is known.
	Known func(name string) (apex string, servers []Server, ok bool)
	// Overlay opens a stream to the nameserver of the sub at that public address,
	// through the tunnel. Nil: there is no tunnel.
	Overlay func(ctx context.Context, server Server) (net.Conn, error)
	// Upstream are the resolvers for names elsewhere. Empty: the system's.
	Upstream []netip.AddrPort
	Port     uint16        // of nameservers elsewhere; 0: 53
	Timeout  time.Duration // for one question to one server; 0: 1 s
}

// Servers implements DNS.
func (r Resolver) Servers(ctx context.Context, name string) (string, []Server, error) {
	if r.Known != nil {
		if apex, servers, ok := r.Known(name); ok {
			return apex, servers, nil
		}
	}
	apex, hosts, err := r.upstream().Zone(ctx, name)
	if err != nil {
		return "", nil, fmt.Errorf("find the nameservers for %s: %w", name, err)
	}
	var servers []Server
	var errs []error
	for _, host := range hosts {
		addrs, err := r.upstream().Addrs(ctx, host)
		errs = append(errs, err)
		for _, a := range addrs {
			servers = append(servers, Server{Host: host, Addr: netip.AddrPortFrom(a.Unmap(), r.port())})
		}
	}
	if len(servers) == 0 {
		errs = append(errs, fmt.Errorf("none of %s has an address", strings.Join(hosts, ", ")))
		return "", nil, fmt.Errorf("find the nameservers for %s: %w", name, errors.Join(errs...))
	}
	return apex, servers, nil
}

// TXT implements DNS.
func (r Resolver) TXT(ctx context.Context, server Server, way Way, name string) (probe.TXT, error) {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = time.Second
	}
	if way == Public {
		return probe.AskTXT(ctx, server.Addr, name, timeout)
	}
	if r.Overlay == nil {
		return probe.TXT{}, errors.New("there is no tunnel")
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := r.Overlay(ctx, server)
	if err != nil {
		return probe.TXT{}, err
	}
	defer conn.Close()
	return probe.AskTXTOver(ctx, conn, name)
}

// CNAME implements DNS.
func (r Resolver) CNAME(ctx context.Context, name string) (string, error) {
	return r.about(name).CNAME(ctx, name)
}

// maxAliases is how many CNAMEs in a row are followed.
const maxAliases = 8

// CAA implements DNS.
func (r Resolver) CAA(ctx context.Context, name string) ([]probe.CAA, error) {
	for range maxAliases {
		records, alias, err := r.about(name).CAA(ctx, name)
		if err != nil || alias == "" {
			return records, err
		}
		name = alias
	}
	return nil, fmt.Errorf("CAA of %s: more than %d aliases in a row", name, maxAliases)
}

// about returns who is asked about name: the nameservers themselves if the
// zone is ours, so that no cache is between; our subs through the tunnel first.
func (r Resolver) about(name string) probe.Resolver {
	if r.Known == nil {
		return r.upstream()
	}
	_, servers, ok := r.Known(name)
	if !ok {
		return r.upstream()
	}
	direct := probe.Resolver{Direct: true}
	for _, s := range servers {
		if s.Overlay && r.Overlay != nil {
			direct.Streams = append(direct.Streams, func(ctx context.Context) (net.Conn, error) { return r.Overlay(ctx, s) })
		}
		if !slices.Contains(direct.Servers, s.Addr) {
			direct.Servers = append(direct.Servers, s.Addr)
		}
	}
	return direct
}

func (r Resolver) upstream() probe.Resolver { return probe.Resolver{Servers: r.Upstream} }

func (r Resolver) port() uint16 {
	if r.Port == 0 {
		return 53
	}
	return r.Port
}
