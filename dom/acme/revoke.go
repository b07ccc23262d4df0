package acme

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"
)

// Reason is a revocation reason of RFC 5280 section 5.3.1 that ACME takes.
type Reason uint

// The reasons that a subscriber may give.
const (
	Unspecified   Reason = 0
	KeyCompromise Reason = 1
	Superseded    Reason = 4
	Ceased        Reason = 5
)

// revocation is saved before the authority is asked, and removed once it has
// revoked.
type revocation struct {
	Name   string
	Serial string
	CA     string // directory
	DER    []byte
	Reason Reason
	// NotAfter of the certificate: an expired one needs no revoking.
	NotAfter time.Time
}

// Revoke revokes the certificate of that name. If it is wished, a new one with
// a new key is got and published first, so that nothing is served revoked. A
// certificate of the local authority is only replaced: it has no revocation
// and lives for days. What was begun is gone on with by Run, if that fails or
// the process is killed.
func (m *Manager) Revoke(ctx context.Context, name string, reason Reason) error {
	c := m.named(name)
	if c == nil || c.view().current == nil {
		return fmt.Errorf("revoke the certificate %s: there is none of that name", name)
	}
	_, s := m.all()
	cur := c.view().current
	if cur.CA == string(IssuerLocal) {
		return m.replace(ctx, c, s, cur.bundle.Serial)
	}
	r := revocation{Name: name, Serial: cur.bundle.Serial, CA: cur.CA, DER: cur.bundle.leaf().Raw, Reason: reason, NotAfter: cur.bundle.NotAfter}
	if err := save(m.files.revocation(r.Serial), r); err != nil {
		return err
	}
	return m.revoke(ctx, s, r)
}

// revokeLeft goes on with revocations that were begun.
func (m *Manager) revokeLeft(ctx context.Context, s Settings) {
	paths, _ := m.files.revocationList()
	for _, path := range paths {
		var r revocation
		_, err := read(path, &r)
		switch {
		case err == nil && m.Clock.Now().After(r.NotAfter):
			err = remove(path)
		case err == nil:
			err = m.revoke(ctx, s, r)
		}
		if err != nil && ctx.Err() == nil {
			m.Log.Error("revocation is tried again", "certificate", r.Name, "serial", r.Serial, "err", err)
		}
	}
}

// revoke replaces the certificate where it is in use, and then has it revoked.
func (m *Manager) revoke(ctx context.Context, s Settings, r revocation) error {
	c := m.named(r.Name)
	if c != nil {
		if err := m.replace(ctx, c, s, r.Serial); err != nil {
			return fmt.Errorf("revoke the certificate %s: first get another one: %w", r.Name, err)
		}
	}
	ca, known := s.named(r.CA)
	if !known {
		ca = CA{Directory: r.CA}
	}
	client, err := m.connect(ctx, ca)
	if err != nil {
		return err
	}
	defer client.close()
	reason := uint(r.Reason)
	point("before revoking")
	err = client.Certificates.Revoke(legoacme.RevokeCertMessage{
		Certificate: base64.RawURLEncoding.EncodeToString(r.DER), Reason: &reason,
	})
	point("after revoking")
	if err != nil && !problemType(err, "alreadyRevoked") {
		return client.failure("revoke "+r.Serial+" at", err)
	}
	m.Log.Warn("certificate is revoked", "certificate", r.Name, "serial", r.Serial, "reason", int(r.Reason))
	return remove(m.files.revocation(r.Serial))
}

// replace gets and publishes another certificate if the one with serial is
// wished and in use, and removes it if it isn't wished.
func (m *Manager) replace(ctx context.Context, c *certificate, s Settings, serial string) error {
	if err := c.lock(ctx); err != nil {
		return err
	}
	defer c.unlock()
	v := c.view()
	j := job{Manager: m, cert: c, settings: s}
	switch {
	case v.current == nil || v.current.bundle.Serial != serial:
		return nil
	case v.wish == nil:
		c.mu.Lock()
		c.current = nil
		c.mu.Unlock()
		return remove(m.files.cert(c.name, "current.json"))
	}
	return j.attemptAsked(ctx)
}
