package sub

import (
	"net/netip"
	"testing"
)

func TestIsPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "2a00:1450::1": true,
		"10.1.2.3": false, "172.20.0.1": false, "192.168.1.1": false, "100.64.3.4": false,
		"127.0.0.1": false, "169.254.1.1": false, "203.0.113.9": false,
		"fd00::1": false, "fe80::1": false, "::1": false, "2001:db8::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(addr)); got != want {
			t.Errorf("isPublic(%s) = %v, want %v", addr, got, want)
		}
	}
}

func TestParseInet6(t *testing.T) {
	addr, flags, ok := parseInet6("2a0014500000000000000000000000ab 02 40 00 01     eth0")
	if want := netip.MustParseAddr("2a00:1450::ab"); !ok || addr != want || flags != flagTemporary {
		t.Errorf("got %v, flags %#x, ok %v; want %v, %#x", addr, flags, ok, want, flagTemporary)
	}
	if _, _, ok := parseInet6("short 02"); ok {
		t.Error("a short line was taken")
	}
}
