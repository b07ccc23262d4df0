package main

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"b8s/citydb"
	"b8s/zonefile"
)

func TestMadeUpCityDatabaseIsOneThatADomPublishes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "city.mmdb")
	if err := writeCity(path, citySize{cities: 2000, networks: 60_000}); err != nil {
		t.Fatal(err)
	}
	if _, err := citydb.Check(path, citydb.Limits{Thorough: true}); err != nil {
		t.Error(err)
	}
	db, err := citydb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if p, err := db.Lookup(visitor.Addr()); err != nil || !p.Found {
		t.Errorf("lookup %s: found %v, err %v; want it found", visitor.Addr(), p.Found, err)
	}
}

func TestZonesOfDifferentTextDifferInOneRRset(t *testing.T) {
	z := zones{count: 2, size: 20, rest: 5, text: "one"}
	before, err := zonefile.Parse(z.apex(0), z.zone(0), "before")
	if err != nil {
		t.Fatal(err)
	}
	rest := z.zone(1)
	z.text = "two"
	after, err := zonefile.Parse(z.apex(0), z.zone(0), "after")
	if err != nil {
		t.Fatal(err)
	}
	if len(after.Records) != z.size-1 {
		t.Errorf("%d records, want %d", len(after.Records), z.size-1)
	}
	if c := zonefile.Diff(before, after); len(c.Changed) != 1 || len(c.Added)+len(c.Removed) != 0 {
		t.Errorf("changes %+v, want one changed RRset", c)
	}
	if !bytes.Equal(rest, z.zone(1)) {
		t.Error("the text changed another zone than the first")
	}
}

func TestMedianIsInTheMiddle(t *testing.T) {
	s := sample{9, 1, 5, 3, 7}
	if got := s.median(); got != 5 {
		t.Errorf("median %d, want 5", got)
	}
	if s.quantile(0) != 1 || s.quantile(1) != 9 {
		t.Errorf("from %d to %d, want 1 to 9", s.quantile(0), s.quantile(1))
	}
}

func TestRelayDelaysEachDatagramBothWays(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		buf := make([]byte, 100)
		for {
			n, from, err := server.ReadFromUDP(buf)
			if err != nil {
				return
			}
			server.WriteToUDP(buf[:n], from)
		}
	}()
	const delay = 20 * time.Millisecond
	r, err := newRelay(netip.MustParseAddrPort("127.0.0.1:0"), server.LocalAddr().(*net.UDPAddr).AddrPort(), delay)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	a, err := newAsker(r.front.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	began := time.Now()
	a.conn.Write([]byte("hello"))
	a.conn.SetReadDeadline(began.Add(5 * time.Second))
	n, err := a.conn.Read(a.buf[:])
	if err != nil || string(a.buf[:n]) != "hello" {
		t.Fatalf("got %q, err %v", a.buf[:n], err)
	}
	if took := time.Since(began); took < 2*delay {
		t.Errorf("there and back in %s, want at least %s", took, 2*delay)
	}
}

func TestMemoryOfThisProcess(t *testing.T) {
	p := &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	m, err := p.memory()
	if err != nil || m.pss < 1<<20 || m.anon+m.file > m.pss {
		t.Errorf("%+v, err %v; want some MiB", m, err)
	}
}
