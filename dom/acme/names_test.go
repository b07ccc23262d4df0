package acme

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// names is a name system on loopback: zones with some nameservers each, all
// fed by Present, and a resolver as an authority's would be at its worst.
type names struct {
	mu        sync.Mutex
	static    map[string][]dns.RR // by owner
	apexes    []string
	values    map[string][]string // challenges by owner
	onPresent func(owner string)
	asks      chan struct{} // one for each question for TXT at a nameserver
	blind     bool          // the resolver sees no challenge
	servers   []*nameserver
	resolver  netip.AddrPort
}

// nameserver is one server. Its mode says what it does with what is presented.
type nameserver struct {
	host string
	addr netip.AddrPort
	stop func()

	mode   mode
	frozen map[string][]string // what it answers when it doesn't follow
	asked  int                 // questions for TXT
	lag    int                 // mode lagging: it follows after so many questions
}

type mode uint8

const (
	following mode = iota
	deaf           // answers what was presented before
	lagging        // deaf until it was asked lag times
	foreigner      // a box on the way answers, without authority
	refusing
)

// newNames makes zones with so many nameservers, each in all zones.
func newNames(t *testing.T, count int, apexes ...string) *names {
	t.Helper()
	n := &names{static: make(map[string][]dns.RR), values: make(map[string][]string), apexes: apexes, asks: make(chan struct{}, 1000)}
	n.resolver, _ = serveDNS(t, n.resolve)
	for i := range count {
		s := &nameserver{host: "ns" + string(rune('1'+i)) + "." + apexes[0]}
		s.addr, s.stop = serveDNS(t, func(q dns.Question) *dns.Msg { return n.answer(s, q) })
		n.servers = append(n.servers, s)
		for _, apex := range apexes {
			n.add(t, apex+" 60 IN NS "+s.host)
		}
		n.add(t, s.host+" 60 IN A 127.0.0.1")
	}
	return n
}

func (n *names) add(t *testing.T, text string) {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.static[rr.Header().Name] = append(n.static[rr.Header().Name], rr)
}

// serveDNS answers by UDP and TCP on one free port until the test ends.
func serveDNS(t *testing.T, answer func(dns.Question) *dns.Msg) (netip.AddrPort, func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var stops []func()
	for _, s := range []*dns.Server{{Listener: l, Handler: reply(answer)}, {PacketConn: pc, Handler: reply(answer)}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		wg.Go(func() { s.ActivateAndServe() })
		<-started
		stops = append(stops, func() { s.Shutdown() })
	}
	stop := sync.OnceFunc(func() {
		for _, s := range stops {
			s()
		}
		wg.Wait()
	})
	t.Cleanup(stop)
	return l.Addr().(*net.TCPAddr).AddrPort(), stop
}

func reply(answer func(dns.Question) *dns.Msg) dns.Handler {
	return dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		said := answer(q.Question[0])
		m := new(dns.Msg).SetRcode(q, said.Rcode)
		m.Authoritative, m.Answer = said.Authoritative, said.Answer
		w.WriteMsg(m)
	})
}

// answer is what one nameserver says.
func (n *names) answer(s *nameserver, q dns.Question) *dns.Msg {
	n.mu.Lock()
	defer n.mu.Unlock()
	if q.Qtype == dns.TypeTXT {
		s.asked++
		select {
		case n.asks <- struct{}{}:
		default:
		}
		if s.mode == lagging && s.asked > s.lag {
			s.mode = following
		}
	}
	if s.mode == refusing {
		return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeRefused}}
	}
	m := n.lookup(n.valuesAt(s), q)
	m.Authoritative = s.mode != foreigner
	return m
}

func (n *names) valuesAt(s *nameserver) map[string][]string {
	if s.mode == following {
		return n.values
	}
	return s.frozen
}

func (n *names) lookup(values map[string][]string, q dns.Question) *dns.Msg {
	name := strings.ToLower(q.Name)
	m := new(dns.Msg)
	if !slices.ContainsFunc(n.apexes, func(a string) bool { return dns.IsSubDomain(a, name) }) {
		m.Rcode = dns.RcodeRefused
		return m
	}
	for _, rr := range n.static[name] {
		if rr.Header().Rrtype == q.Qtype || rr.Header().Rrtype == dns.TypeCNAME {
			m.Answer = append(m.Answer, rr)
		}
	}
	if q.Qtype == dns.TypeTXT {
		for _, v := range values[name] {
			m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 1}, Txt: []string{v}})
		}
	}
	if len(m.Answer) == 0 && n.static[name] == nil {
		m.Rcode = dns.RcodeNameError
	}
	return m
}

// resolve is the authority's resolver. For TXT it asks every server that
// answers, and believes the one that says least: whoever tells the authority
// too early fails.
func (n *names) resolve(q dns.Question) *dns.Msg {
	n.mu.Lock()
	defer n.mu.Unlock()
	var chain []dns.RR
	for range maxAliases {
		worst := n.lookup(n.values, q)
		if n.blind {
			worst = n.lookup(nil, q)
		}
		for _, s := range n.servers {
			if s.mode == deaf || s.mode == lagging {
				if m := n.lookup(s.frozen, q); len(m.Answer) < len(worst.Answer) {
					worst = m
				}
			}
		}
		if len(worst.Answer) == 1 && worst.Answer[0].Header().Rrtype == dns.TypeCNAME && q.Qtype != dns.TypeCNAME {
			chain = append(chain, worst.Answer[0])
			q.Name = worst.Answer[0].(*dns.CNAME).Target
			continue
		}
		worst.Answer = append(chain, worst.Answer...)
		if worst.Rcode == dns.RcodeRefused {
			worst.Rcode = dns.RcodeNameError // a name elsewhere
		}
		return worst
	}
	return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}
}

// set changes what a server does from now on.
func (n *names) set(i int, m mode) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.servers[i].mode = m
	n.servers[i].frozen = make(map[string][]string)
	for k, v := range n.values {
		n.servers[i].frozen[k] = slices.Clone(v)
	}
}

// Present implements Challenges.
func (n *names) Present(_ context.Context, owner string, values []string, _ time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.onPresent != nil {
		n.onPresent(owner)
	}
	for _, v := range values {
		if !slices.Contains(n.values[owner], v) {
			n.values[owner] = append(n.values[owner], v)
		}
	}
	return nil
}

// Remove implements Challenges.
func (n *names) Remove(_ context.Context, owner string, values []string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.values[owner] = slices.DeleteFunc(n.values[owner], func(v string) bool { return slices.Contains(values, v) })
	if len(n.values[owner]) == 0 {
		delete(n.values, owner)
	}
	return nil
}

// left returns the values that are presented now.
func (n *names) left() map[string][]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.values)
}

func (n *names) asked(i int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.servers[i].asked
}

// known is what a dom knows of its own zones.
func (n *names) known(name string) (string, []Server, bool) {
	for _, apex := range n.apexes {
		if dns.IsSubDomain(apex, name) {
			var out []Server
			for _, s := range n.servers {
				out = append(out, Server{Host: s.host, Addr: s.addr})
			}
			return apex, out, true
		}
	}
	return "", nil, false
}

func (n *names) dns() Resolver {
	return Resolver{Known: n.known, Upstream: []netip.AddrPort{n.resolver}, Timeout: 300 * time.Millisecond}
}
