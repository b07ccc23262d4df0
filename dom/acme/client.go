package acme

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"
	legolog "github.com/go-acme/lego/v4/log"
)

// The library logs each rejected nonce to a package-wide logger; that says
// nothing to an operator.
func init() { legolog.Logger = log.New(io.Discard, "", 0) }

// client is one conversation with one authority, for one certificate. It is
// used by one goroutine and ends with its context.
type client struct {
	*api.Core
	ca        CA
	account   string // URL
	transport *transport
}

// connect opens a conversation, with the account made first if need be.
func (m *Manager) connect(ctx context.Context, ca CA) (*client, error) {
	t, err := newTransport(ctx, ca.Roots, m.Clock.Now)
	if err != nil {
		return nil, err
	}
	c := &client{ca: ca, transport: t}
	if err := m.signIn(c); err != nil {
		c.close()
		return nil, c.failure("sign in at", err)
	}
	return c, nil
}

// open reads the directory and signs with key from now on.
func (c *client) open(a *account) (err error) {
	c.Core, err = api.New(&http.Client{Transport: c.transport}, "b8s", c.ca.directory(), a.URL, a.key)
	return err
}

func (c *client) close() { c.transport.next.CloseIdleConnections() }

// failure wraps err as a failure at c's authority. An answer that carries
// Retry-After makes it a wish not to come back earlier.
func (c *client) failure(act string, err error) *failure {
	var after time.Duration
	if p := problem(err); p != nil && (p.HTTPStatus == 429 || p.HTTPStatus == 503) {
		after = c.transport.wished()
		if p.HTTPStatus == 429 && after == 0 {
			after = time.Hour
		}
	}
	if after > 0 {
		err = errors.Join(ErrLimited, err)
	}
	return failureOf(fmt.Errorf("%s %s: %w", act, c.ca.directory(), tidy(err)), c.ca.directory(), after)
}

// answer returns the challenge of kind DNS-01 in authz and the value that the
// name's TXT record must have (RFC 8555 section 8.4).
func (c *client) answer(authz legoacme.Authorization) (challenge legoacme.Challenge, value string, err error) {
	for _, ch := range authz.Challenges {
		if ch.Type != "dns-01" {
			continue
		}
		proof, err := c.GetKeyAuthorization(ch.Token)
		if err != nil {
			return ch, "", err
		}
		sum := sha256.Sum256([]byte(proof))
		return ch, base64.RawURLEncoding.EncodeToString(sum[:]), nil
	}
	return challenge, "", fmt.Errorf("prove control of %s: the authority offers no dns-01", authz.Identifier.Value)
}

// renewalInfo asks for the window of the certificate named id (RFC 9773).
// ok is false if the authority has no such service.
func (c *client) renewalInfo(id string) (info legoacme.RenewalInfoResponse, again time.Duration, ok bool, err error) {
	resp, err := c.Certificates.GetRenewalInfo(id)
	if errors.Is(err, api.ErrNoARI) {
		return info, 0, false, nil
	}
	if err != nil {
		return info, 0, true, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return info, 0, true, fmt.Errorf("answered %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&info); err != nil {
		return info, 0, true, fmt.Errorf("answered what is no renewal information: %w", err)
	}
	return info, c.transport.wished(), true, nil
}
