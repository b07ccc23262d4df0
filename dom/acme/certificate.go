package acme

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// certificate is one name's life: the wish, what is on disk, and who works on it.
type certificate struct {
	name string
	work chan struct{} // held by the one goroutine that works on it

	mu      sync.Mutex
	wish    *Wish // nil: not wished any more
	current *current
	record  record
	doing   string // the step under way; "": none
}

// current is the certificate as it is saved.
type current struct {
	Names   []string // as ordered; an authority may add to them
	Chain   string   // PEM
	Key     string   // PEM
	CA      string   // directory URL, or "local"
	Profile string
	KeyType KeyType
	bundle  *Bundle
}

func newCertificate(name string) *certificate {
	return &certificate{name: name, work: make(chan struct{}, 1)}
}

func byName(a, b *certificate) int { return strings.Compare(a.name, b.name) }

// load reads a certificate's folder.
func (m *Manager) load(name string) (*certificate, error) {
	c := newCertificate(name)
	cur := new(current)
	found, err := read(m.files.cert(name, "current.json"), cur)
	if err != nil {
		return nil, err
	}
	if found {
		if cur.bundle, err = newBundle(name, []byte(cur.Chain), PrivateKey{[]byte(cur.Key)}); err != nil {
			return nil, fmt.Errorf("read the certificate %s: %w: restore it from a backup, or remove its folder", name, err)
		}
		c.current = cur
	}
	_, err = read(m.files.cert(name, "record.json"), &c.record)
	return c, err
}

func (c *certificate) setWish(w *Wish) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wish = w
}

// view is a consistent look at a certificate.
type view struct {
	wish    *Wish
	current *current
	record  record
	doing   string
}

func (c *certificate) view() view {
	c.mu.Lock()
	defer c.mu.Unlock()
	return view{c.wish, c.current, c.record, c.doing}
}

func (v view) bundle() *Bundle {
	if v.current == nil {
		return nil
	}
	return v.current.bundle
}

// lock waits until nobody else works on c.
func (c *certificate) lock(ctx context.Context) error {
	select {
	case c.work <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *certificate) unlock() { <-c.work }

// due says why a new certificate should be got now; "" if it shouldn't.
func (v view) due(s Settings, now time.Time) string {
	if v.wish == nil {
		return ""
	}
	cur := v.current
	switch {
	case cur == nil:
		return "there is none yet"
	case !slices.Equal(cur.Names, v.wish.DNSNames):
		return "its names changed"
	case !now.Before(cur.bundle.NotAfter):
		return "it has expired"
	case cur.KeyType != v.wish.KeyType:
		return "its key type changed"
	case !s.accepts(cur):
		return "its authority changed"
	case v.record.Renewal.due(cur.bundle, now):
		return "it is time to renew it"
	}
	return ""
}

// accepts says whether cur comes from an authority that the settings name.
func (s Settings) accepts(cur *current) bool {
	if s.Issuer == IssuerLocal {
		return cur.CA == string(IssuerLocal)
	}
	if cur.CA == s.CA.directory() {
		return cur.Profile == s.CA.Profile
	}
	return s.Second != nil && cur.CA == s.Second.directory() && cur.Profile == s.Second.Profile
}
