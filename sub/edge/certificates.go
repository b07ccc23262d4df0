package edge

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"time"

	"b8s/sub/edge/ticket"
)

// TicketSeed is the secret that the subs of a certificate share.
type TicketSeed = ticket.Seed

// certificates is what is served by SNI; never changed.
type certificates struct {
	byName   map[string]*identity // of bundles
	exact    map[string]*identity // by host
	wildcard map[string]*identity // by what follows "*."
}

// find is the identity for a host in lower case, or nil.
func (c *certificates) find(host string) *identity {
	if id := c.exact[host]; id != nil {
		return id
	}
	if _, parent, ok := strings.Cut(host, "."); ok {
		return c.wildcard[parent]
	}
	return nil
}

// newCertificates indexes identities by their names. Of two for one name the
// one that ends later is served, so that the order of a map doesn't matter.
func newCertificates(ids map[string]*identity) *certificates {
	c := &certificates{byName: ids, exact: map[string]*identity{}, wildcard: map[string]*identity{}}
	put := func(index map[string]*identity, name string, id *identity) {
		have := index[name]
		if have == nil || id.served.NotAfter.After(have.served.NotAfter) ||
			id.served.NotAfter.Equal(have.served.NotAfter) && id.name < have.name {
			index[name] = id
		}
	}
	for _, id := range ids {
		for _, name := range id.names {
			name = canonicalHost(name)
			if parent, ok := strings.CutPrefix(name, "*."); ok {
				put(c.wildcard, parent, id)
			} else {
				put(c.exact, name, id)
			}
		}
	}
	return c
}

// SetCertificates serves these and no others, from the next handshake on.
//
// Each is checked before it is swapped in: it parses, the key is the leaf's,
// the chain is in order, the names are covered, it is valid now and not older
// than the one it replaces, and a handshake with it succeeds in memory. One
// that fails is in the Errors returned, and what was served under its name
// goes on, even expired. The first of a name is served even when the clock
// says that it is not valid, and is in the Errors all the same.
func (s *Server) SetCertificates(bundles map[string]Certificate) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, errs := s.opts.Now(), Errors{}
	held := s.certificates.Load().byName
	ids := make(map[string]*identity, len(bundles))
	for name, bundle := range bundles {
		bundle.Name = name
		id, err := s.newIdentity(bundle, held[name], now)
		if err != nil {
			errs[name] = err
			s.log.Error("certificate not taken", "certificate", name, "err", err)
		}
		if id != nil {
			ids[name] = id
		}
	}
	s.certificates.Store(newCertificates(ids))
	s.logCertificates(held, ids)
	return errs.orNil()
}

// newIdentity checks a bundle and tries it. It returns what to serve, which
// may be what was served before, or nil.
func (s *Server) newIdentity(bundle Certificate, held *identity, now time.Time) (*identity, error) {
	id, err := newIdentity(bundle, held, now)
	if errors.Is(err, errClock) && held == nil {
		first, other := newIdentity(bundle, nil, lenient(bundle, now))
		if other != nil {
			return nil, err
		}
		first.served.Since, id = now, first
	}
	if id == nil || id == held {
		return held, err
	}
	s.setTickets(id, now)
	if tryErr := tryHandshake(id); tryErr != nil {
		return held, fmt.Errorf("handshake with itself: %w", tryErr)
	}
	return id, err
}

// lenient is a time at which the bundle's leaf is valid, now if it has none.
func lenient(bundle Certificate, now time.Time) time.Time {
	if pair, err := tls.X509KeyPair(bundle.Chain, bundle.Key); err == nil {
		return pair.Leaf.NotAfter
	}
	return now
}

// tryHandshake is a client's handshake over the identity's first name, in
// memory.
func tryHandshake(id *identity) error {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- tls.Server(there, id.tcp).HandshakeContext(ctx) }()
	client := tls.Client(here, &tls.Config{
		ServerName:         strings.Replace(id.names[0], "*", "b8s", 1),
		InsecureSkipVerify: true, // it is the leaf itself that is compared
		VerifyConnection: func(cs tls.ConnectionState) error {
			if !cs.PeerCertificates[0].Equal(id.chain.Leaf) {
				return errors.New("another certificate was shown")
			}
			return nil
		},
	})
	err := client.HandshakeContext(ctx)
	here.Close()
	return errors.Join(err, <-served)
}

func (s *Server) logCertificates(before, after map[string]*identity) {
	for name, id := range after {
		if before[name] != id {
			s.log.Info("certificate served", "certificate", name, "serial", id.served.Serial, "until", stamp(id.served.NotAfter))
		}
	}
	for name := range before {
		if after[name] == nil {
			s.log.Info("certificate no longer served", "certificate", name)
		}
	}
}

// SetTicketSeeds shares session tickets with the other subs that have the same
// seed for the certificate. A certificate without one has tickets for this
// process alone; with one older than ticket.MaxAge none at all. A bad seed is
// in the Errors returned, and the one before stays.
func (s *Server) SetTicketSeeds(seeds map[string]TicketSeed) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, errs := s.opts.Now(), Errors{}
	next := make(map[string]TicketSeed, len(seeds))
	for name, seed := range seeds {
		kept, err := seed.Forget(now)
		if err != nil {
			errs[name] = err
			if old, ok := s.seeds[name]; ok {
				next[name] = old
			}
			continue
		}
		next[name] = kept
	}
	s.seeds = next
	s.ratchet(now)
	return errs.orNil()
}

// ratchet forgets the secrets of past days and puts today's keys into use.
// s.mu is held.
func (s *Server) ratchet(now time.Time) {
	for name, seed := range s.seeds {
		if kept, err := seed.Forget(now); err == nil {
			s.seeds[name] = kept
		}
	}
	if kept, err := s.localSeed.Forget(now); err == nil {
		s.localSeed = kept
	}
	ids := maps.Clone(s.certificates.Load().byName)
	for name, id := range ids {
		fresh := *id
		fresh.tcp, fresh.quic = id.tcp.Clone(), id.quic.Clone()
		s.setTickets(&fresh, now)
		ids[name] = &fresh
	}
	s.certificates.Store(newCertificates(ids))
}

// setTickets puts the keys of its seed into an identity that is not in use
// yet. s.mu is held.
func (s *Server) setTickets(id *identity, now time.Time) {
	seed, shared := s.seeds[id.name]
	if !shared {
		seed = s.localSeed
	}
	keys, err := seed.Keys(id.name, now)
	off := err != nil || seed.TooOld(now)
	id.tcp.SessionTicketsDisabled, id.quic.SessionTicketsDisabled = off, off
	id.served.Tickets = shared && !off
	if off {
		return
	}
	id.tcp.SetSessionTicketKeys(keys)
	id.quic.SetSessionTicketKeys(keys)
}

// newLocalSeed is for the tickets of this process alone.
func newLocalSeed(now time.Time) TicketSeed {
	secret := make([]byte, ticket.SecretSize)
	rand.Read(secret)
	return TicketSeed{Secret: secret, Day: ticket.Day(now)}
}

// nothing has no certificate: crypto/tls answers it with the alert
// unrecognized_name (RFC 6066 section 3).
var nothing = &tls.Config{MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true}

// base is the settings that a listener begins a handshake with: those of the
// identity for the client's SNI follow.
func (s *Server) base(settings func(*identity) *tls.Config) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if id := s.certificates.Load().find(canonicalHost(hello.ServerName)); id != nil {
				return settings(id), nil
			}
			s.meters.unknownNames.Inc()
			return nothing, nil
		},
	}
}
