package acme

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"
)

// pending is an order under way, as it is saved: with key and request before
// the authority hears of it, with its URL right after.
type pending struct {
	Schema   int
	Names    []string
	KeyType  KeyType
	CA       string // directory
	Profile  string
	Key      string // PEM
	Request  []byte // PKCS #10, DER
	Replaces string // certificate that this one renews (RFC 9773); may be empty
	URL      string // of the order; "": the authority hasn't answered
	Answers  []answer
}

// answer is a TXT value that was, or is about to be, presented.
type answer struct{ Owner, Value string }

const pendingSchema = 1

// check says why p, read from disk, can't be gone on with.
func (p *pending) check() error {
	if p.Schema != pendingSchema {
		return fmt.Errorf("written in form %d, this program knows %d", p.Schema, pendingSchema)
	}
	signer, err := parseKey([]byte(p.Key))
	if err != nil {
		return err
	}
	csr, err := x509.ParseCertificateRequest(p.Request)
	if err != nil {
		return errors.New("request is damaged")
	}
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil || !bytes.Equal(der, csr.RawSubjectPublicKeyInfo) {
		return errors.New("request is for another key")
	}
	if !slices.Equal(csr.DNSNames, p.Names) || len(p.Names) == 0 {
		return errors.New("request is for other names")
	}
	if u, err := url.Parse(p.URL); p.URL != "" && (err != nil || u.Scheme != "https") {
		return errors.New("its URL is no https URL")
	}
	return nil
}

// fits says whether p asks ca for what w wishes.
func (p *pending) fits(w Wish, ca CA) bool {
	return slices.Equal(p.Names, w.DNSNames) && p.KeyType == w.KeyType && p.CA == ca.directory() && p.Profile == ca.Profile
}

// underWay says whether an order was begun and not ended.
func (j *job) underWay() bool {
	p := new(pending)
	found, err := read(j.files.cert(j.cert.name, "order.json"), p)
	return found && err == nil && !j.ended(p)
}

// ended says that p's certificate is here already: the process was killed
// before the order was forgotten.
func (j *job) ended(p *pending) bool {
	cur := j.cert.view().current
	return cur != nil && cur.Key == p.Key
}

// obtain gets a certificate for w from ca, going on with the order under way
// if there is one for the same. An authority that has lost our account gets it
// again.
func (j *job) obtain(ctx context.Context, w Wish, ca CA) (*current, error) {
	cur, err := j.obtainOnce(ctx, w, ca)
	if problemType(err, "accountDoesNotExist") {
		if err := j.forgetAccount(ca); err != nil {
			return nil, err
		}
		return j.obtainOnce(ctx, w, ca)
	}
	return cur, err
}

func (j *job) obtainOnce(ctx context.Context, w Wish, ca CA) (*current, error) {
	c, err := j.connect(ctx, ca)
	if err != nil {
		return nil, err
	}
	defer c.close()
	p, err := j.begin(ctx, w, ca)
	if err != nil {
		return nil, err
	}
	order, err := j.place(ctx, c, p)
	if err != nil {
		return nil, err
	}
	chain, err := j.complete(ctx, c, p, order)
	if err != nil {
		return nil, err
	}
	cur, err := newCurrent(w, chain, PrivateKey{[]byte(p.Key)}, ca.directory(), ca.Profile)
	if err == nil {
		j.withdraw(ctx, p)
	}
	return cur, err
}

// begin returns the order under way, or saves key and request of a new one.
func (j *job) begin(ctx context.Context, w Wish, ca CA) (*pending, error) {
	p := new(pending)
	found, err := read(j.files.cert(j.cert.name, "order.json"), p)
	if err == nil && found {
		err = p.check()
	}
	ended := err == nil && found && j.ended(p)
	if err == nil && found && !ended && p.fits(w, ca) {
		return p, nil
	}
	if (found || err != nil) && !ended {
		j.event(StepOrder, "the order under way is given up: it is for something else, or unreadable", err)
		j.withdraw(ctx, p)
	}
	return j.newPending(w, ca)
}

func (j *job) newPending(w Wish, ca CA) (*pending, error) {
	p := &pending{Schema: pendingSchema, Names: w.DNSNames, KeyType: w.KeyType, CA: ca.directory(), Profile: ca.Profile}
	signer, err := w.KeyType.generate()
	if err != nil {
		return nil, err
	}
	key, err := marshalKey(signer)
	if err != nil {
		return nil, err
	}
	p.Key = string(key.pem)
	if p.Request, err = request(p.Names, key); err != nil {
		return nil, err
	}
	if cur := j.cert.view().current; cur != nil && cur.CA == p.CA {
		p.Replaces = cur.bundle.renewalID()
	}
	return p, j.keepPending(p)
}

func (j *job) keepPending(p *pending) error {
	return save(j.files.cert(j.cert.name, "order.json"), p)
}

// drop forgets the order under way; the next attempt makes a new one.
func (j *job) drop(ctx context.Context, p *pending) error {
	j.withdraw(ctx, p)
	return remove(j.files.cert(j.cert.name, "order.json"))
}

// place returns the order as the authority sees it, and makes it if need be.
func (j *job) place(ctx context.Context, c *client, p *pending) (legoacme.ExtendedOrder, error) {
	if p.URL != "" {
		order, err := c.Orders.Get(p.URL)
		if err == nil {
			j.event(StepOrder, "goes on with the order at "+c.ca.directory(), nil)
			return order, nil
		}
		if !gone(err) && !problemType(err, "malformed", "unauthorized") {
			return order, c.failure("read the order at", err)
		}
		j.event(StepOrder, "the authority doesn't know the order under way any more: a new one", nil)
		p.URL = ""
	}
	if err := c.checkProfile(); err != nil {
		return legoacme.ExtendedOrder{}, failureOf(err, c.ca.directory(), 0)
	}
	if err := j.checkCAA(ctx, c, p.Names); err != nil {
		return legoacme.ExtendedOrder{}, failureOf(err, c.ca.directory(), 0)
	}
	j.event(StepOrder, "orders from "+c.ca.directory(), nil)
	point("before ordering")
	order, err := c.newOrder(p)
	point("after ordering")
	if err != nil {
		return order, c.failure("order from", err)
	}
	p.URL = order.Location
	return order, j.keepPending(p)
}

// checkProfile says that the authority has no profile of the name asked for.
func (c *client) checkProfile() error {
	known := c.GetDirectory().Meta.Profiles
	if _, ok := known[c.ca.Profile]; ok || c.ca.Profile == "" || len(known) == 0 {
		return nil
	}
	return fmt.Errorf("profile %q at %s: there is none of that name: known are %s",
		c.ca.Profile, c.ca.directory(), strings.Join(slices.Sorted(maps.Keys(known)), ", "))
}

// newOrder places the order. An authority that doesn't know the certificate
// that it should replace gets the order without that word.
func (c *client) newOrder(p *pending) (legoacme.ExtendedOrder, error) {
	options := &api.OrderOptions{Profile: p.Profile, ReplacesCertID: p.Replaces}
	order, err := c.Orders.NewWithOptions(p.Names, options)
	if err == nil || p.Replaces == "" || c.GetDirectory().RenewalInfo == "" {
		return order, err
	}
	if pr := problem(err); pr == nil || pr.HTTPStatus == 429 || pr.HTTPStatus == 503 {
		return order, err
	}
	options.ReplacesCertID = ""
	return c.Orders.NewWithOptions(p.Names, options)
}

// complete brings the order to its certificate, from whatever state it is in.
func (j *job) complete(ctx context.Context, c *client, p *pending, order legoacme.ExtendedOrder) ([]byte, error) {
	if order.Status == legoacme.StatusPending {
		if err := j.prove(ctx, c, p, order); err != nil {
			return nil, err
		}
		var err error
		if order, err = j.await(ctx, c, p, legoacme.StatusPending); err != nil {
			return nil, err
		}
	}
	if order.Status == legoacme.StatusReady {
		j.event(StepFinalize, "hands in the request", nil)
		point("before finalizing")
		_, err := c.Orders.UpdateForCSR(order.Finalize, p.Request)
		point("after finalizing")
		if err != nil && !problemType(err, "orderNotReady") {
			return nil, j.refused(ctx, c, p, "finalize the order at", err)
		}
	}
	order, err := j.await(ctx, c, p, legoacme.StatusReady, legoacme.StatusProcessing)
	if err != nil {
		return nil, err
	}
	point("before downloading")
	chain, _, err := c.Certificates.Get(order.Certificate, true)
	if err != nil {
		return nil, c.failure("fetch the certificate from", err)
	}
	point("after downloading")
	return chain, nil
}

// refused ends an order that the authority will not fulfil. A passing trouble
// of the authority ends nothing.
func (j *job) refused(ctx context.Context, c *client, p *pending, act string, err error) error {
	f := c.failure(act, err)
	if pr := problem(err); pr == nil || pr.HTTPStatus >= 500 || pr.HTTPStatus == 429 {
		return f
	}
	return errors.Join(f, j.drop(ctx, p))
}

// await polls the order until it is in none of the given states.
func (j *job) await(ctx context.Context, c *client, p *pending, while ...string) (legoacme.ExtendedOrder, error) {
	until := j.Clock.Now().Add(orderWithin)
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		order, err := c.Orders.Get(p.URL)
		switch {
		case err != nil:
			return order, c.failure("read the order at", err)
		case order.Status == legoacme.StatusInvalid:
			err := fmt.Errorf("order from %s: %w", c.ca.directory(), c.reason(order))
			return order, errors.Join(failureOf(err, c.ca.directory(), 0), j.drop(ctx, p))
		case !slices.Contains(while, order.Status):
			return order, nil
		case j.Clock.Now().After(until):
			err := fmt.Errorf("order from %s: still %s after %s", c.ca.directory(), order.Status, orderWithin)
			return order, failureOf(err, c.ca.directory(), 0)
		}
		if wished := c.transport.wished(); wished > pause {
			pause = min(wished, longestPoll)
		}
		if err := j.Clock.Wait(ctx, pause); err != nil {
			return order, err
		}
	}
}

// Pauses of await. The authority's Retry-After is honoured up to longestPoll.
const (
	firstPoll   = 50 * time.Millisecond
	lastPoll    = 2 * time.Second
	longestPoll = 30 * time.Second
	orderWithin = 3 * time.Minute
)

// reason says why the order became invalid: its own error, or that of the
// first failed challenge.
func (c *client) reason(order legoacme.ExtendedOrder) error {
	for _, u := range order.Authorizations {
		authz, err := c.Authorizations.Get(u)
		if err != nil || authz.Status != legoacme.StatusInvalid {
			continue
		}
		for _, ch := range authz.Challenges {
			if ch.Error != nil {
				return fmt.Errorf("%s: %w", authz.Identifier.Value, tidy(ch.Error))
			}
		}
	}
	if order.Error != nil {
		return tidy(order.Error)
	}
	return errors.New("the authority ended it without a reason: it may have expired")
}
