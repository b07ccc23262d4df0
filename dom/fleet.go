package dom

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"b8s/place"
	"b8s/state"
	"b8s/tunnel"
)

// member is a sub as the dom knows it. What the other subs may know of it is
// published in the bucket subs.
type member struct {
	Name        string           `json:"name"`
	Key         tunnel.PublicKey `json:"key"`
	IPv4        netip.Addr       `json:"ipv4,omitzero"`
	IPv6        netip.Addr       `json:"ipv6,omitzero"`
	Port        uint16           `json:"port"` // WireGuard
	DNSPort     uint16           `json:"dns_port"`
	Coordinates place.Point      `json:"coordinates"`
	DNS         bool             `json:"dns"` // answers DNS to the public
	Recipient   string           `json:"recipient,omitempty"`
	Platform    string           `json:"platform,omitempty"`
	Enrolled    time.Time        `json:"enrolled,omitzero"` // zero: add-sub was begun, not finished
}

// endpoints are where the sub's tunnel is reached, IPv4 first.
func (m member) endpoints() (found []netip.AddrPort) {
	for _, a := range []netip.Addr{m.IPv4, m.IPv6} {
		if a.IsValid() {
			found = append(found, netip.AddrPortFrom(a, m.Port))
		}
	}
	return found
}

// peer is the sub as the tunnel knows it.
func (m member) peer() tunnel.Peer {
	return tunnel.Peer{PublicKey: m.Key, Endpoints: m.endpoints(), Keepalive: keepalive}
}

// fleet is the dom's list of its subs, kept in one file beside the store, so
// that a lost store is not a lost fleet. Safe for concurrent use; a change is
// on disk before it is seen.
type fleet struct {
	path string

	mu      sync.Mutex
	members map[string]member
}

func openFleet(dir *state.Dir) (*fleet, error) {
	f := &fleet{path: dir.File(fileFleet), members: map[string]member{}}
	text, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	var file fleetFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("list of subs %s: %w: restore it from a backup", f.path, err)
	}
	for _, m := range file.Subs {
		f.members[m.Name] = m
	}
	return f, nil
}

type fleetFile struct {
	Schema int      `json:"schema"`
	Subs   []member `json:"subs"`
}

// Save adds m or replaces the member of its name.
func (f *fleet) Save(m member) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	old, had := f.members[m.Name]
	f.members[m.Name] = m
	text, err := json.MarshalIndent(fleetFile{Schema: 1, Subs: f.sorted()}, "", " ")
	if err == nil {
		err = state.WriteFile(f.path, text, 0o600)
	}
	if err != nil {
		delete(f.members, m.Name)
		if had {
			f.members[m.Name] = old
		}
		return fmt.Errorf("save the list of subs: %w", err)
	}
	return nil
}

// Get is the member of that name.
func (f *fleet) Get(name string) (member, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.members[name]
	return m, ok
}

// ByKey is the member with that tunnel key.
func (f *fleet) ByKey(key tunnel.PublicKey) (member, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.members {
		if m.Key == key {
			return m, true
		}
	}
	return member{}, false
}

// Enrolled are the members that finished enrolling, by name.
func (f *fleet) Enrolled() []member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(f.sorted(), func(m member) bool { return m.Enrolled.IsZero() })
}

func (f *fleet) sorted() []member {
	list := make([]member, 0, len(f.members))
	for _, m := range f.members {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b member) int { return strings.Compare(a.Name, b.Name) })
	return list
}
