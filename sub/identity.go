package sub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"sync"
	"time"

	"b8s/seal"
	"b8s/state"
	"b8s/tunnel"
)

// Files of the sub's state folder. Keys are 0600.
const (
	fileTunnel = "wireguard.key"
	fileAge    = "sub.age"
	fileDom    = "dom.json"
	dirReplica = "replica"
	dirGeo     = "geo"
)

// identity is what makes a sub that sub. It is made at the first start.
type identity struct {
	Tunnel tunnel.PrivateKey
	Seal   seal.Identity
}

func loadIdentity(dir *state.Dir) (id identity, err error) {
	if id.Tunnel, err = tunnel.LoadOrCreate(dir.File(fileTunnel)); err != nil {
		return id, err
	}
	id.Seal, err = seal.LoadOrCreate(dir.File(fileAge))
	return id, err
}

// master is a dom that enrolled this sub, and what it calls it.
type master struct {
	Key      tunnel.PublicKey `json:"key"`
	Name     string           `json:"name"` // of this sub
	Epoch    uint64           `json:"epoch"`
	Enrolled time.Time        `json:"enrolled"`
	Endpoint netip.AddrPort   `json:"endpoint,omitzero"` // where it was last heard: a hint
}

// masters is which dom this sub follows, and which one is about to take over:
// enrolled, but not heard yet over the real tunnel. On disk before it is acted
// upon; safe for concurrent use.
type masters struct {
	path string

	mu   sync.Mutex
	file mastersFile
}

type mastersFile struct {
	Schema  int     `json:"schema"`
	Current *master `json:"current,omitempty"`
	Next    *master `json:"next,omitempty"`
}

func openMasters(dir *state.Dir) (*masters, error) {
	m := &masters{path: dir.File(fileDom), file: mastersFile{Schema: 1}}
	text, err := os.ReadFile(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &m.file); err != nil {
		return nil, fmt.Errorf("dom of this sub, %s: %w: restore the file, or remove it and enrol again", m.path, err)
	}
	return m, nil
}

// Current is the dom that is followed; ok is false before the first enrolment.
func (m *masters) Current() (current master, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file.Current == nil {
		return current, false
	}
	return *m.file.Current, true
}

// All are the doms that may speak to this sub.
func (m *masters) All() (all []master) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range []*master{m.file.Current, m.file.Next} {
		if d != nil {
			all = append(all, *d)
		}
	}
	return all
}

// Enrol saves a dom: at once as the current one when there is none, or when
// it is that one; else it waits to be heard. dropped is a dom that waited and
// waits no more.
func (m *masters) Enrol(d master) (dropped *master, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.file
	if next.Current == nil || next.Current.Key == d.Key {
		next.Current = &d
	} else {
		if next.Next != nil && next.Next.Key != d.Key {
			dropped = next.Next
		}
		next.Next = &d
	}
	return dropped, m.save(next)
}

// Heard notes a packet of a dom over its real tunnel: one that waited takes
// over, and its predecessor is returned. A new endpoint is kept as a hint.
func (m *masters) Heard(key tunnel.PublicKey, endpoint netip.AddrPort) (replaced *master, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.file
	switch {
	case next.Next != nil && next.Next.Key == key:
		replaced = next.Current
		taken := *next.Next
		taken.Endpoint = endpoint
		next.Current, next.Next = &taken, nil
	case next.Current != nil && next.Current.Key == key && next.Current.Endpoint != endpoint && endpoint.IsValid():
		moved := *next.Current
		moved.Endpoint = endpoint
		next.Current = &moved
	default:
		return nil, nil
	}
	return replaced, m.save(next)
}

func (m *masters) save(next mastersFile) error {
	text, err := json.MarshalIndent(next, "", " ")
	if err != nil {
		return err
	}
	if err := state.WriteFile(m.path, text, 0o600); err != nil {
		return fmt.Errorf("save which dom this sub follows: %w", err)
	}
	m.file = next
	return nil
}
