package sub

import (
	"net/netip"
	"testing"

	"b8s/state"
	"b8s/tunnel"
)

func openTestMasters(t *testing.T, path string) *masters {
	t.Helper()
	dir, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	m, err := openMasters(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// An adopting dom takes over with its first packet and not before, and each
// step is on disk when it returns.
func TestNewDomTakesOverWithItsFirstPacket(t *testing.T) {
	path := t.TempDir()
	old, young := tunnel.NewPrivateKey().Public(), tunnel.NewPrivateKey().Public()
	home := netip.MustParseAddrPort("198.51.100.1:4000")
	if _, err := openTestMasters(t, path).Enrol(master{Key: old, Name: "sydney"}); err != nil {
		t.Fatal(err)
	}
	if _, err := openTestMasters(t, path).Enrol(master{Key: young, Name: "sydney2"}); err != nil {
		t.Fatal(err)
	}
	m := openTestMasters(t, path)
	if current, _ := m.Current(); current.Key != old {
		t.Error("the new dom took over before it was heard")
	}
	if replaced, err := m.Heard(old, home); replaced != nil || err != nil {
		t.Errorf("the old dom's packet: replaced %v, %v", replaced, err)
	}
	replaced, err := m.Heard(young, home)
	if err != nil || replaced == nil || replaced.Key != old {
		t.Errorf("the new dom's packet: replaced %v, %v; want the old dom", replaced, err)
	}
	current, ok := openTestMasters(t, path).Current()
	if !ok || current.Key != young || current.Endpoint != home || current.Name != "sydney2" {
		t.Errorf("after a restart: %+v", current)
	}
}

func TestStrangersPacketChangesNothing(t *testing.T) {
	m := openTestMasters(t, t.TempDir())
	stranger := tunnel.NewPrivateKey().Public()
	if replaced, err := m.Heard(stranger, netip.AddrPort{}); replaced != nil || err != nil {
		t.Errorf("replaced %v, %v", replaced, err)
	}
	if _, ok := m.Current(); ok {
		t.Error("a stranger became the dom")
	}
}
