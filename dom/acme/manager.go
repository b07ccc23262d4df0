package acme

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"b8s/dom/acme/localca"
)

// Challenges publishes the values that prove control of a name. Both acts are
// repeated after a crash: presenting what is there, or removing what isn't, is
// no error.
type Challenges interface {
	// Present adds values to the TXT records at owner (lower case, absolute,
	// with the last dot), until the time given.
	Present(ctx context.Context, owner string, values []string, until time.Time) error
	Remove(ctx context.Context, owner string, values []string) error
}

// Clock tells the time and waits.
type Clock interface {
	Now() time.Time
	// Wait returns nil after d, or ctx's error as soon as ctx ends.
	Wait(ctx context.Context, d time.Duration) error
}

// Options is what a Manager needs. Dir, DNS, Challenges and Publish must be
// given, except that IssuerLocal needs neither DNS nor Challenges.
type Options struct {
	Dir        string // state folder, ours alone; made with 0700
	DNS        DNS
	Challenges Challenges
	// Publish hands a new certificate to those who serve it. It is called until
	// it returns nil, across restarts, and may be called again with the same
	// certificate. It must not change the bundle.
	Publish func(context.Context, Bundle) error
	Clock   Clock          // nil: the system's
	Jitter  func() float64 // in [0,1); nil: random
	Log     *slog.Logger   // nil: nothing is logged
}

// Manager keeps certificates; see the package comment.
type Manager struct {
	Options
	files    files
	accounts accounts
	local    *localca.CA
	kick     chan struct{} // wakes Run; holds one

	mu       sync.Mutex
	settings Settings
	certs    map[string]*certificate // wished or on disk, by name
}

// New opens the state folder and reads what is in it. Nothing is asked or
// ordered before Set, and then only by Run, Ensure and Revoke.
func New(o Options) (*Manager, error) {
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m := &Manager{Options: o, files: files{o.Dir}, kick: make(chan struct{}, 1), certs: make(map[string]*certificate)}
	if err := m.files.prepare(); err != nil {
		return nil, fmt.Errorf("open the certificates in %s: %w", o.Dir, err)
	}
	var err error
	if m.local, err = localca.Open(m.files.local(), o.Clock.Now); err != nil {
		return nil, err
	}
	names, err := m.files.certificates()
	if err != nil {
		return nil, fmt.Errorf("list the certificates in %s: %w", o.Dir, err)
	}
	for _, name := range names {
		if m.certs[name], err = m.load(name); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Set replaces settings and wishes. The error joins everything that is wrong;
// nothing is changed then. A certificate that is wished no more is kept, and
// not renewed.
func (m *Manager) Set(s Settings, wishes []Wish) error {
	errs := []error{s.Check()}
	wished := make(map[string]Wish, len(wishes))
	for _, w := range wishes {
		w, err := w.canonical(s)
		if _, twice := wished[w.Name]; twice && err == nil {
			err = fmt.Errorf("certificate %s: is wished twice", w.Name)
		}
		wished[w.Name] = w
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings = s
	for name, w := range wished {
		if m.certs[name] == nil {
			m.certs[name] = newCertificate(name)
		}
		m.certs[name].setWish(&w)
	}
	for name, c := range m.certs {
		if _, still := wished[name]; !still {
			c.setWish(nil)
		}
	}
	m.wake()
	return nil
}

func (m *Manager) wake() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// Root returns the local authority's root certificate in PEM, and makes the
// authority if there is none yet.
func (m *Manager) Root() ([]byte, error) { return m.local.Root() }

// all returns the certificates in the order of their names, and the settings.
func (m *Manager) all() ([]*certificate, Settings) {
	m.mu.Lock()
	defer m.mu.Unlock()
	certs := make([]*certificate, 0, len(m.certs))
	for _, c := range m.certs {
		certs = append(certs, c)
	}
	slices.SortFunc(certs, byName)
	return certs, m.settings
}

func (m *Manager) named(name string) *certificate {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.certs[name]
}

// Run renews and retries until ctx ends, and then returns nil once nothing of
// it is left running.
func (m *Manager) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		next := m.pass(ctx)
		if err := m.pause(ctx, next); err != nil {
			break
		}
	}
	return nil
}

// longest is how long Run sleeps at most: wall clocks jump, laptops sleep.
const longest = 10 * time.Minute

// pause waits for the time next, for Set, or for ctx's end.
func (m *Manager) pause(ctx context.Context, next time.Time) error {
	woken := make(chan struct{})
	waiting, stop := context.WithCancel(ctx)
	go func() {
		defer close(woken)
		select {
		case <-m.kick:
			stop()
		case <-waiting.Done():
		}
	}()
	m.Clock.Wait(waiting, min(max(next.Sub(m.Clock.Now()), 0), longest))
	stop()
	<-woken
	return ctx.Err()
}

// pass does what is due now, and returns when something will be due next.
func (m *Manager) pass(ctx context.Context) (next time.Time) {
	certs, s := m.all()
	times := make([]time.Time, len(certs))
	var g errgroup.Group
	g.SetLimit(s.parallel() + 1)
	g.Go(func() error { m.revokeLeft(ctx, s); return nil })
	for i, c := range certs {
		g.Go(func() error {
			j := job{Manager: m, cert: c, settings: s}
			times[i] = j.keep(ctx)
			return nil
		})
	}
	g.Wait()
	next = m.Clock.Now().Add(longest)
	for _, t := range times {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	return next
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
