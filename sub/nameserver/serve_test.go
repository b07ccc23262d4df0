package nameserver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"b8s/sub/zone"
	"b8s/zonefile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// compile makes a zone of text, whose apex is that of the SOA in it.
func compile(t testing.TB, apex, text string, hosts ...zone.Host) *zone.Zone {
	t.Helper()
	file, err := zonefile.Parse(apex, []byte(text), apex)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zone.FromFile(file, hosts)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// soa is the start of most zones in these tests: it gives negative answers a
// TTL of 60.
const soa = `@ 300 IN SOA ns1 hostmaster 1 7200 900 1209600 60
@ 300 IN NS ns1
ns1 300 IN A 192.0.2.53
`

const negative = "NS example.com. 60 SOA ns1.example.com. hostmaster.example.com. 1 7200 900 1209600 60\n"

// serve runs a server on a loopback address until the test ends.
func serve(t testing.TB, v *View, change ...func(*Options)) *Server {
	t.Helper()
	o := Options{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Threads: 1}
	for _, f := range change {
		f(&o)
	}
	s := New(o)
	s.Swap(v)
	run(t, s)
	return s
}

func run(t testing.TB, s *Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-s.Ready():
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
}

// serveText serves one zone, example.com, with soa before its text.
func serveText(t testing.TB, text string) *Server {
	t.Helper()
	return serve(t, &View{Zones: zone.NewSet(compile(t, "example.com.", soa+text))})
}

// message makes a query of "NAME TYPE".
func message(q string) *dns.Msg {
	name, rrtype, _ := strings.Cut(q, " ")
	return new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.StringToType[rrtype])
}

func exchange(t testing.TB, s *Server, network string, m *dns.Msg) *dns.Msg {
	t.Helper()
	c := dns.Client{Net: network, Timeout: 5 * time.Second, UDPSize: 4096}
	r, _, err := c.Exchange(m, s.Addrs()[0].String())
	if err != nil {
		t.Fatalf("%v over %s: %v", m.Question, network, err)
	}
	return r
}

// raw sends octets over UDP and gives what comes back.
func raw(t testing.TB, s *Server, query []byte) []byte {
	t.Helper()
	conn, err := net.Dial("udp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write(query); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatalf("no answer to %x: %v", query, err)
	}
	return b[:n]
}

// show is an answer as text: RCODE and flags, then a line a record with its
// section, sorted within it. An OPT is not shown.
func show(m *dns.Msg) string {
	var b strings.Builder
	b.WriteString(dns.RcodeToString[m.Rcode])
	for _, f := range []struct {
		name string
		set  bool
	}{{"aa", m.Authoritative}, {"tc", m.Truncated}, {"rd", m.RecursionDesired}, {"ra", m.RecursionAvailable}, {"ad", m.AuthenticatedData}, {"cd", m.CheckingDisabled}} {
		if f.set && f.name != "rd" {
			b.WriteString(" " + f.name)
		}
	}
	b.WriteString("\n")
	for _, s := range []struct {
		name string
		rrs  []dns.RR
	}{{"AN", m.Answer}, {"NS", m.Ns}, {"AR", m.Extra}} {
		var lines []string
		for _, rr := range s.rrs {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT {
				rdata := strings.TrimPrefix(rr.String(), h.String())
				lines = append(lines, fmt.Sprintf("%s %s %d %s %s\n", s.name, strings.ToLower(h.Name), h.Ttl, dns.Type(h.Rrtype), rdata))
			}
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
	}
	return b.String()
}

// question is one with the answer wanted, as show has it.
type question struct{ q, want string }

// check asks over UDP and TCP.
func check(t *testing.T, s *Server, questions []question) {
	t.Helper()
	for _, q := range questions {
		for _, network := range []string{"udp", "tcp"} {
			if got := show(exchange(t, s, network, message(q.q))); got != q.want {
				t.Errorf("%s over %s\ngot  %swant %s", q.q, network, got, q.want)
			}
		}
	}
}
