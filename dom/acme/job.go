package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// job is work on one certificate, under the settings at its beginning. It is
// used by one goroutine, which holds the certificate's lock.
type job struct {
	*Manager
	cert     *certificate
	settings Settings
	progress func(Event) // nil: nobody listens
	left     []string    // nameservers that gave no answer
}

// keep does what is due for the certificate now, without anybody asking, and
// returns when to look again; zero if never.
func (j *job) keep(ctx context.Context) time.Time {
	if err := j.cert.lock(ctx); err != nil {
		return time.Time{}
	}
	defer j.cert.unlock()
	if j.cert.view().wish == nil {
		return j.forget()
	}
	if err := j.publish(ctx); err != nil {
		return j.Clock.Now().Add(firstPause)
	}
	j.askRenewal(ctx)
	v := j.cert.view()
	now := j.Clock.Now()
	if !j.underWay() && v.due(j.settings, now) == "" {
		return earliest(v.record.Renewal.At, v.record.Renewal.Ask)
	}
	itself, _ := v.record.waitFor(j.authority(v).directory())
	if now.Before(itself) {
		return itself
	}
	j.attempt(ctx) // its failure is in the record, and says when to try again
	return now
}

// forget removes what is left of a certificate that nobody wishes, once it has
// expired. Until then it can still be revoked, or wished again.
func (j *job) forget() time.Time {
	b := j.cert.view().bundle()
	if b != nil && j.Clock.Now().Before(b.NotAfter) {
		return b.NotAfter
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.cert.view().wish == nil && j.files.removeCertificate(j.cert.name) == nil {
		delete(j.certs, j.cert.name)
	}
	return time.Time{}
}

func earliest(times ...time.Time) (first time.Time) {
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// authority returns the one that the next attempt turns to.
func (j *job) authority(v view) CA {
	if j.settings.Issuer == IssuerLocal {
		return CA{Directory: string(IssuerLocal)}
	}
	return j.settings.authority(v.record.Strikes)
}

var errUnwished = errors.New("is wished no more")

// attempt gets a certificate and publishes it. How it went is on disk when it
// returns.
func (j *job) attempt(ctx context.Context) error {
	defer j.step("")
	var cur *current
	var err error
	j.left = nil
	v := j.cert.view()
	if v.wish == nil {
		return errUnwished
	}
	if j.settings.Issuer == IssuerLocal {
		cur, err = j.issueLocally(*v.wish)
	} else {
		cur, err = j.obtain(ctx, *v.wish, j.authority(v))
	}
	if err == nil {
		err = j.keepCurrent(cur)
	}
	if err != nil {
		return j.failed(ctx, err)
	}
	j.event(StepIssued, "serial "+cur.bundle.Serial+" by "+cur.bundle.Issuer, nil)
	return j.publish(ctx)
}

// failed notes err in the record. A process that is told to stop has not failed.
func (j *job) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var f *failure
	if !errors.As(err, &f) {
		f = failureOf(err, "", 0)
	}
	v := j.cert.view()
	r := v.record.failed(j.Clock.Now(), v.bundle(), f, j.Jitter())
	r.Left = j.left
	if r.LimitedUntil.After(r.NotBefore.Add(time.Hour)) && r.Strikes < j.settings.secondAfter() {
		r.Strikes = j.settings.secondAfter() // a long limit: the other authority's turn
	}
	step := StepFailed
	if f.putOff {
		step = StepPutOff
	}
	j.event(step, fmt.Sprintf("next attempt by itself %s", j.next(r).Format(time.RFC3339)), err)
	return errors.Join(err, j.keepRecord(r))
}

func (j *job) next(r record) time.Time {
	itself, _ := r.waitFor(j.settings.authority(r.Strikes).directory())
	return itself
}

// keepCurrent makes cur the certificate, and then forgets the order.
func (j *job) keepCurrent(cur *current) error {
	if err := save(j.files.cert(j.cert.name, "current.json"), cur); err != nil {
		return err
	}
	j.cert.mu.Lock()
	j.cert.current = cur
	j.cert.mu.Unlock()
	r := j.cert.view().record.succeeded(j.left)
	r.Renewal = byLifetime(cur.bundle, j.Jitter())
	if cur.CA != string(IssuerLocal) {
		r.Renewal.Ask = j.Clock.Now()
	}
	if err := j.keepRecord(r); err != nil {
		return err
	}
	return remove(j.files.cert(j.cert.name, "order.json"))
}

// keepRecord makes r the record, even if it can't be saved: a full disk must
// not make us forget to pause.
func (j *job) keepRecord(r record) error {
	j.cert.mu.Lock()
	j.cert.record = r
	j.cert.mu.Unlock()
	return save(j.files.cert(j.cert.name, "record.json"), r)
}

// publish hands the current certificate on, unless that was done.
func (j *job) publish(ctx context.Context) error {
	v := j.cert.view()
	b := v.bundle()
	if b == nil || v.record.Published == b.Serial {
		return nil
	}
	point("before publishing")
	if err := j.Publish(ctx, *b); err != nil {
		err = fmt.Errorf("publish the certificate %s: %w", j.cert.name, err)
		j.event(StepFailed, "tried again in a minute", err)
		return err
	}
	point("after publishing")
	j.event(StepPublished, "serial "+b.Serial, nil)
	r := j.cert.view().record
	r.Published = b.Serial
	return j.keepRecord(r)
}

// issueLocally has the local authority sign for w.
func (j *job) issueLocally(w Wish) (*current, error) {
	key, err := w.KeyType.generate()
	if err != nil {
		return nil, err
	}
	text, err := marshalKey(key)
	if err != nil {
		return nil, err
	}
	chain, err := j.local.Issue(key.Public(), w.DNSNames)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", j.cert.name, err)
	}
	return newCurrent(w, chain, text, string(IssuerLocal), "")
}

// newCurrent checks that chain is what w asked for.
func newCurrent(w Wish, chain []byte, key PrivateKey, ca, profile string) (*current, error) {
	b, err := newBundle(w.Name, chain, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s from %s: %w", w.Name, ca, err)
	}
	for _, n := range w.DNSNames {
		if !covers(b.DNSNames, n) {
			return nil, fmt.Errorf("certificate %s from %s: does not name %s", w.Name, ca, n)
		}
	}
	return &current{
		Names: w.DNSNames, Chain: string(chain), Key: string(key.pem), CA: ca, Profile: profile, KeyType: w.KeyType, bundle: b,
	}, nil
}

// request returns a certificate request (PKCS #10) in DER.
func request(names []string, key PrivateKey) ([]byte, error) {
	signer, err := parseKey(key.pem)
	if err != nil {
		return nil, err
	}
	return x509.CreateCertificateRequest(nil, &x509.CertificateRequest{DNSNames: names}, signer)
}
