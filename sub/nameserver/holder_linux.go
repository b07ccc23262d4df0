package nameserver

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// holder names the process that holds a port, as far as /proc shows it.
func holder(proto string, addr netip.AddrPort) string {
	unknown := fmt.Sprintf("another process; see: ss -lnp '( sport = :%d )'", addr.Port())
	inodes := append(socketsAt("/proc/net/"+proto, addr), socketsAt("/proc/net/"+proto+"6", addr)...)
	if len(inodes) == 0 {
		return unknown
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		to, err := os.Readlink(link)
		if err != nil || !slices.Contains(inodes, strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")) {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, _ := os.ReadFile("/proc/" + pid + "/comm")
		return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid)
	}
	return unknown
}

// socketsAt lists the inodes of the sockets bound to an address or to all.
func socketsAt(table string, addr netip.AddrPort) (inodes []string) {
	f, err := os.Open(table)
	if err != nil {
		return nil
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		field := strings.Fields(s.Text())
		if len(field) < 10 {
			continue
		}
		local, ok := procAddr(field[1])
		if ok && local.Port() == addr.Port() && (local.Addr() == addr.Addr() || local.Addr().IsUnspecified()) {
			inodes = append(inodes, field[9])
		}
	}
	return inodes
}

// procAddr reads "0100007F:0035": words of the address in the host's order.
func procAddr(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host + port)
	if err != nil || len(b) != 6 && len(b) != 18 {
		return netip.AddrPort{}, false
	}
	n := len(b) - 2
	for i := 0; i < n; i += 4 {
		slices.Reverse(b[i : i+4])
	}
	a, _ := netip.AddrFromSlice(b[:n])
	return netip.AddrPortFrom(a.Unmap(), uint16(b[n])<<8|uint16(b[n+1])), true
}
