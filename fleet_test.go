package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"b8s/citydb/citymake"
	"b8s/place"
	"b8s/tunnel"
)

// dnsPort is where the scripts' subs answer: one that needs no right.
const dnsPort = 5300

var addresses atomic.Uint32

// address is "address NAME".
func address(ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: address NAME")
	}
	addr, dnsAt, port := freeAddress(ts)
	name := strings.ToUpper(args[0])
	ts.Setenv(name+"_IP", addr.String())
	ts.Setenv(name+"_DNS", netip.AddrPortFrom(addr, dnsAt).String())
	ts.Setenv(name+"_PORT", strconv.Itoa(int(port)))
}

// freeAddress is a loopback address that nobody else has, with the usual
// ports; where the system has 127.0.0.1 alone, that one with ports of its own.
func freeAddress(ts *testscript.TestScript) (addr netip.Addr, dnsAt, port uint16) {
	for range 100 {
		n := addresses.Add(1)
		addr = netip.AddrFrom4([4]byte{127, byte(20 + os.Getpid()%70), byte(os.Getpid()/70%250 + int(n>>8)), byte(n)})
		if byte(n) != 0 && free(addr, dnsPort) != 0 && free(addr, tunnel.DefaultPort) != 0 {
			return addr, dnsPort, tunnel.DefaultPort
		}
	}
	addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	dnsAt, port = free(addr, 0), free(addr, 0)
	if dnsAt == 0 || port == 0 || dnsAt == port {
		ts.Fatalf("no free ports at %s", addr)
	}
	return addr, dnsAt, port
}

// free is the port, any one for 0, if neither UDP nor TCP has it; else 0.
func free(addr netip.Addr, port uint16) uint16 {
	u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
	if err != nil {
		return 0
	}
	defer u.Close()
	port = u.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	t, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
	if err != nil {
		return 0
	}
	t.Close()
	return port
}

// runDom is "dom".
func runDom(ts *testscript.TestScript, args []string) {
	if len(args) != 0 {
		ts.Fatalf("usage: dom")
	}
	if err := ts.Exec("b8s", "dom", "init"); err != nil {
		ts.Fatalf("b8s dom init: %v", err)
	}
	launch(ts, "dom", []string{"b8s", "dom", "run"}).await(ts, "dom", `^dom runs on `)
}

// runSub is "sub NAME [COORDINATES]". A sub that ran before is started again at
// its address, and prints no line if a dom has enrolled it.
func runSub(ts *testscript.TestScript, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: sub NAME [COORDINATES]")
	}
	name, env := args[0], strings.ToUpper(args[0])
	again := ts.Getenv(env+"_IP") != ""
	if !again {
		address(ts, args[:1])
	}
	coordinates := "auto"
	if len(args) == 2 {
		coordinates = args[1]
	}
	ip := ts.Getenv(env + "_IP")
	p := launch(ts, name, []string{"b8s", "sub", "run", "--state", ts.MkAbs(ts.Getenv("WORK") + "/" + name), "--listen", ts.Getenv(env + "_DNS"),
		"--tunnel-address", ip, "--port", ts.Getenv(env + "_PORT"), "--ipv4", ip, "--coordinates", coordinates})
	if again {
		return
	}
	line := p.await(ts, name, `^ {4}(b8s dom add-sub .*) NAME$`)[1]
	ts.Setenv(env+"_LINE", line+" "+name)
	words := strings.Fields(line)
	ticket := words[slices.Index(words, "--")-1]
	ts.Setenv(env+"_TICKET", ticket)
	ts.Setenv(env+"_TOKEN", strings.Split(ticket, ":")[2])
}

// enrol is "enrol NAME": its line, as it stands.
func enrol(ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: enrol NAME")
	}
	line := strings.Fields(ts.Getenv(strings.ToUpper(args[0]) + "_LINE"))
	if err := ts.Exec(line[0], line[1:]...); err != nil {
		ts.Fatalf("%s: %v", strings.Join(line, " "), err)
	}
}

// fleet is "fleet".
func fleet(ts *testscript.TestScript, args []string) {
	runDom(ts, nil)
	runSub(ts, []string{"sydney", "-33.87,151.21"})
	runSub(ts, []string{"london", "51.51,-0.13"})
	enrol(ts, []string{"sydney"})
	enrol(ts, []string{"london"})
}

// ask is "ask SERVER NAME TYPE [tcp] [subnet=PREFIX]". It prints the answer's
// code, when it isn't NOERROR, and its records, one a line, with single blanks
// and in order.
func ask(ts *testscript.TestScript, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: ask SERVER NAME TYPE [tcp] [subnet=PREFIX]")
	}
	q := new(dns.Msg).SetQuestion(dns.Fqdn(args[1]), dns.StringToType[args[2]])
	client := &dns.Client{Timeout: patience}
	for _, option := range args[3:] {
		switch prefix, ok := strings.CutPrefix(option, "subnet="); {
		case ok:
			subnet, err := netip.ParsePrefix(prefix)
			ts.Check(err)
			q.SetEdns0(1232, false)
			family := uint16(1)
			if subnet.Addr().Is6() {
				family = 2
			}
			q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(subnet.Bits()), Address: subnet.Addr().AsSlice()}}
		case option == "tcp":
			client.Net = "tcp"
		default:
			ts.Fatalf("ask: unknown option %s", option)
		}
	}
	r, _, err := client.Exchange(q, args[0])
	ts.Check(err)
	if r.Rcode != dns.RcodeSuccess {
		fmt.Fprintln(ts.Stdout(), dns.RcodeToString[r.Rcode])
	}
	var lines []string
	for _, rr := range r.Answer {
		lines = append(lines, strings.Join(strings.Fields(rr.String()), " "))
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Fprintln(ts.Stdout(), line)
	}
}

// cityDatabase is "citydb FILE PREFIX=LAT,LON…".
func cityDatabase(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: citydb FILE PREFIX=LAT,LON…")
	}
	var networks []citymake.Network
	for _, arg := range args[1:] {
		prefix, at, _ := strings.Cut(arg, "=")
		p, err := netip.ParsePrefix(prefix)
		ts.Check(err)
		point, err := place.Parse(at)
		ts.Check(err)
		networks = append(networks, citymake.Network{Prefix: p, City: "Testville", Country: "Testland", Point: point, AccuracyKM: 20})
	}
	var b bytes.Buffer
	ts.Check(citymake.Make(&b, networks, time.Now()))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o644))
}

// maxmind is "maxmind FILE ACCOUNT KEY": a server that gives the database, as
// the archive with its checksum beside it, to that account alone.
func maxmind(ts *testscript.TestScript, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: maxmind FILE ACCOUNT KEY")
	}
	archive := pack(ts, ts.ReadFile(args[0]))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if account, key, _ := r.BasicAuth(); account != args[1] || key != args[2] {
			http.Error(w, "Invalid license key", http.StatusUnauthorized)
			return
		}
		if r.URL.Query().Get("suffix") == "tar.gz.sha256" {
			fmt.Fprintf(w, "%x  GeoLite2-City_20261117.tar.gz\n", sha256.Sum256(archive))
			return
		}
		http.ServeContent(w, r, "GeoLite2-City.tar.gz", time.Time{}, bytes.NewReader(archive))
	}))
	sessionOf(ts).maxmind = server.Close
	ts.Setenv("MAXMIND_URL", server.URL+"/geoip/databases/GeoLite2-City/download?suffix=tar.gz")
}

func pack(ts *testscript.TestScript, database string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	ts.Check(w.WriteHeader(&tar.Header{Name: "GeoLite2-City_20261117/GeoLite2-City.mmdb", Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(database))}))
	_, err := w.Write([]byte(database))
	ts.Check(err)
	ts.Check(w.Close())
	ts.Check(z.Close())
	return b.Bytes()
}
