package sub

import (
	"bufio"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// publicAddresses are the addresses of this host that the world can reach, as
// far as its interfaces tell: the first IPv4 and the first IPv6 one. Private,
// carrier-grade, link-local, temporary and container addresses are left out;
// an invalid Addr means that there is none.
func publicAddresses() (v4, v6 netip.Addr) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return
	}
	temporary := temporaryAddresses()
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 || isContainer(i.Name) {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			addr := prefix.Addr().Unmap()
			switch {
			case !isPublic(addr) || temporary[addr]:
			case addr.Is4() && !v4.IsValid():
				v4 = addr
			case addr.Is6() && !v6.IsValid():
				v6 = addr
			}
		}
	}
	return v4, v6
}

// containerPrefixes are the names that container engines and hypervisors give
// to the interfaces of their own networks.
var containerPrefixes = []string{"docker", "br-", "veth", "cni", "podman", "virbr", "lxc", "lxd", "flannel", "cali"}

func isContainer(name string) bool {
	for _, p := range containerPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// notPublic are ranges within global unicast that no visitor can reach (IANA
// special-purpose registries).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), // documentation, RFC 5737
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks, RFC 2544
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/32"),     // Teredo
	netip.MustParsePrefix("2001:db8::/32"), // documentation, RFC 3849
	netip.MustParsePrefix("2002::/16"),     // 6to4
}

func isPublic(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// Flags of an interface's address in Linux's /proc/net/if_inet6.
const (
	flagTemporary  = 0x01
	flagDeprecated = 0x20
)

// temporaryAddresses are the privacy addresses of RFC 8981, which change by
// the day, and the deprecated ones. Only Linux tells; elsewhere none.
func temporaryAddresses() map[netip.Addr]bool {
	f, err := os.Open("/proc/net/if_inet6")
	if err != nil {
		return nil
	}
	defer f.Close()
	found := map[netip.Addr]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if addr, flags, ok := parseInet6(lines.Text()); ok && flags&(flagTemporary|flagDeprecated) != 0 {
			found[addr] = true
		}
	}
	return found
}

// parseInet6 reads one line of /proc/net/if_inet6: 32 hex digits of address,
// interface index, prefix length, scope, flags, name.
func parseInet6(line string) (addr netip.Addr, flags uint64, ok bool) {
	field := strings.Fields(line)
	if len(field) < 6 || len(field[0]) != 32 {
		return
	}
	var b [16]byte
	for i := range b {
		v, err := strconv.ParseUint(field[0][2*i:2*i+2], 16, 8)
		if err != nil {
			return
		}
		b[i] = byte(v)
	}
	flags, err := strconv.ParseUint(field[4], 16, 32)
	return netip.AddrFrom16(b), flags, err == nil
}
