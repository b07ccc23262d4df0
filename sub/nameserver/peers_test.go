package nameserver

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"b8s/sub/zone"
)

// peer is another nameserver, which serves the same zones on loopback.
type peer struct {
	name, addr string
}

// TestPeers asks NSD, Knot and BIND the same as us, and fails where we differ
// from what most of them answer. It needs Debian's nsd, knot and bind9.
// B8S_PEER_ZONES and B8S_PEER_SEED make other and longer runs.
func TestPeers(t *testing.T) {
	for _, p := range []string{"nsd", "knotd", "named"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("not compared with other nameservers: %s is not installed (apt-get install nsd knot bind9)", p)
		}
	}
	g := newGenerator(number("B8S_PEER_SEED", 1), int(number("B8S_PEER_ZONES", 60)))
	dir := t.TempDir()
	texts := map[string]string{}
	var zones []*zone.Zone
	for _, apex := range g.apexes {
		texts[apex] = g.zone(apex)
		zones = append(zones, compile(t, apex, texts[apex]))
		if err := os.WriteFile(filepath.Join(dir, apex+"zone"), []byte(texts[apex]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ours := serve(t, &View{Zones: zone.NewSet(zones...)}, func(o *Options) { o.Threads = 2 })
	peers := startPeers(t, dir, g.apexes)
	asked, differ := 0, map[string]int{}
	for _, apex := range g.apexes {
		for range 120 {
			q := g.question(apex, texts[apex])
			asked++
			if report := vote(t, q, ours, peers, g.apexes); report != "" {
				kind := strings.SplitN(report, "\n", 2)[0]
				if differ[kind]++; differ[kind] <= 3 {
					t.Errorf("%s\n%s\nzone:\n%s", q, report, texts[apex])
				}
			}
		}
	}
	t.Logf("%d questions, differing: %v", asked, differ)
}

func number(env string, def uint64) uint64 {
	var n uint64
	if _, err := fmt.Sscan(os.Getenv(env), &n); err != nil {
		return def
	}
	return n
}

// vote compares our answer with the peers'; "" when most of them say the same,
// or no two of them agree. Into another zone of ours only NSD follows an alias
// too, and there it confuses a parent's names with a child's.
func vote(t *testing.T, q string, ours *Server, peers []peer, apexes []string) string {
	want := map[string][]string{}
	for _, p := range peers {
		c := dns.Client{Timeout: 2 * time.Second}
		m := message(q)
		m.SetEdns0(1232, false)
		r, _, err := c.Exchange(m, p.addr)
		if err != nil {
			t.Fatalf("%s: %s: %v", p.name, q, err)
		}
		s := essence(r)
		want[s] = append(want[s], p.name)
	}
	m := message(q)
	m.SetEdns0(1232, false)
	answer := exchange(t, ours, "udp", m)
	got := essence(answer)
	most := 0
	for _, names := range want {
		most = max(most, len(names))
	}
	if len(want[got]) == most || most == 1 || slices.Contains(want[got], "nsd") || leaves(answer, apexes) {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "with us: %v\nours %s", want[got], got)
	for _, s := range slices.Sorted(maps.Keys(want)) {
		fmt.Fprintf(&b, "%v %s", want[s], s)
	}
	return b.String()
}

// leaves reports whether an alias leads into another of the zones.
func leaves(m *dns.Msg, apexes []string) bool {
	deepest := func(name string) (best string) {
		for _, apex := range apexes {
			if dns.IsSubDomain(apex, name) && len(apex) > len(best) {
				best = apex
			}
		}
		return best
	}
	home := deepest(m.Question[0].Name)
	return slices.ContainsFunc(m.Answer, func(rr dns.RR) bool {
		alias, ok := rr.(*dns.CNAME)
		return ok && deepest(alias.Target) != home
	})
}

// essence is what answers must have in common: RCODE, AA, the answer, in a
// referral or negative answer the authority, and of a referral the glue below
// the cut.
func essence(m *dns.Msg) string {
	m = m.Copy()
	for _, rr := range slices.Concat(m.Answer, m.Ns, m.Extra) {
		rr.Header().Name = strings.ToLower(rr.Header().Name)
	}
	m.Answer = dns.Dedup(m.Answer, nil) // Knot and NSD repeat the CNAME of a loop
	if len(m.Answer) > 8 {
		return "a long chain\n" // each has its own limit
	}
	refers := len(m.Ns) > 0 && m.Ns[0].Header().Rrtype == dns.TypeNS && !endsIn(m.Answer, m.Question[0].Qtype)
	var extra []dns.RR
	cut := ""
	m.Ns = slices.DeleteFunc(m.Ns, func(rr dns.RR) bool {
		if refers && rr.Header().Rrtype == dns.TypeNS {
			cut = rr.Header().Name
			return false
		}
		return rr.Header().Rrtype != dns.TypeSOA && rr.Header().Rrtype != dns.TypeNS || endsIn(m.Answer, m.Question[0].Qtype)
	})
	for _, rr := range m.Extra {
		if refers && dns.IsSubDomain(cut, rr.Header().Name) {
			extra = append(extra, rr)
		}
	}
	m.Extra = extra
	return strings.ToLower(show(m))
}

// endsIn reports whether the answer has what was asked for.
func endsIn(answer []dns.RR, qtype uint16) bool {
	return slices.ContainsFunc(answer, func(rr dns.RR) bool { return rr.Header().Rrtype == qtype })
}

// startPeers starts the others; they end with the test.
func startPeers(t *testing.T, dir string, apexes []string) []peer {
	t.Helper()
	nsd, knot, bind := freePort(t), freePort(t), freePort(t)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	n := fmt.Sprintf("server:\n ip-address: 127.0.0.1@%d\n server-count: 1\n username: \"\"\n zonesdir: %s\n pidfile: %s/nsd.pid\n database: \"\"\n zonelistfile: %s/zone.list\n xfrdfile: %s/xfrd.state\n xfrdir: %s\n logfile: %s/nsd.out\n rrl-ratelimit: 0\n minimal-responses: yes\nremote-control:\n control-enable: no\n", nsd, dir, dir, dir, dir, dir, dir)
	k := fmt.Sprintf("server:\n  rundir: %s\n  listen: 127.0.0.1@%d\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\ndatabase:\n  storage: %s/knotdb\ntemplate:\n  - id: default\n    storage: %s\n    zonefile-load: whole\n    zonefile-sync: -1\n    journal-content: none\nzone:\n", dir, knot, dir, dir)
	b := fmt.Sprintf("options {\n directory \"%s\";\n listen-on port %d { 127.0.0.1; };\n listen-on-v6 { none; };\n pid-file \"%s/named.pid\";\n session-keyfile \"%s/session.key\";\n recursion no;\n minimal-responses yes;\n dnssec-validation no;\n notify no;\n allow-query { any; };\n check-names primary ignore;\n check-integrity no;\n minimal-any yes;\n};\ncontrols { };\n", dir, bind, dir, dir)
	for _, apex := range apexes {
		n += fmt.Sprintf("zone:\n name: %s\n zonefile: %szone\n", apex, apex)
		k += fmt.Sprintf("  - domain: %s\n    file: %szone\n", apex, apex)
		b += fmt.Sprintf("zone \"%s\" { type primary; file \"%szone\"; };\n", apex, apex)
	}
	peers := []peer{{"nsd", ""}, {"knot", ""}, {"bind", ""}}
	for i, c := range []struct {
		port int
		argv []string
	}{
		{nsd, []string{"nsd", "-d", "-c", write("nsd.conf", n)}},
		{knot, []string{"knotd", "-c", write("knot.conf", k)}},
		{bind, []string{"named", "-g", "-n", "1", "-c", write("named.conf", b)}},
	} {
		log, err := os.Create(filepath.Join(dir, peers[i].name+".out"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(c.argv[0], c.argv[1:]...)
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Signal(os.Interrupt)
			cmd.Wait()
			log.Close()
		})
		peers[i].addr = fmt.Sprintf("127.0.0.1:%d", c.port)
		awaitPeer(t, peers[i], apexes, log.Name())
	}
	return peers
}

// awaitPeer waits until all zones are served.
func awaitPeer(t *testing.T, p peer, apexes []string, log string) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for _, apex := range apexes {
		for {
			c := dns.Client{Timeout: 100 * time.Millisecond}
			if r, _, err := c.Exchange(message(apex+" SOA"), p.addr); err == nil && r.Rcode == 0 && len(r.Answer) == 1 {
				break
			}
			if time.Now().After(deadline) {
				text, _ := os.ReadFile(log)
				t.Fatalf("%s does not serve %s:\n%s", p.name, apex, text)
			}
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
