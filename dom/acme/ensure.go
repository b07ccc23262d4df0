package acme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Request is what an operator asks for.
type Request struct {
	// Hosts limits it to the certificates that are so named or name one of these
	// hosts. Empty: all that are wished.
	Hosts []string
	Force bool // new ones even where nothing is due
	// Progress is called with each step, from several goroutines. Nil: nobody listens.
	Progress func(Event)
}

// Plan is what would be done to one certificate.
type Plan struct {
	Name     string
	DNSNames []string
	Order    bool   // a new certificate is got, or an order gone on with
	Why      string // why one is got; or, if none is, when it will be renewed
	CA       string // directory that is asked, or "local"; "" if none is
}

// Result is what was done to one certificate.
type Result struct {
	Plan
	Serial string // of the certificate now; "" if there is none
	Err    error  // nil if the certificate is as wished and Publish took it
}

// Plan says what Ensure would do, and does nothing.
func (m *Manager) Plan(r Request) ([]Plan, error) {
	certs, s, err := m.chosen(r)
	var plans []Plan
	for _, c := range certs {
		j := job{Manager: m, cert: c, settings: s}
		plans = append(plans, j.plan(r.Force))
	}
	return plans, err
}

// Ensure gets what is due now, in parallel, and returns when all is done or has
// failed; the error joins the failures. It waits for no back-off after earlier
// failures, but keeps to the authority's Retry-After (ErrLimited).
func (m *Manager) Ensure(ctx context.Context, r Request) ([]Result, error) {
	certs, s, err := m.chosen(r)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(certs))
	var g errgroup.Group
	g.SetLimit(s.parallel())
	for i, c := range certs {
		g.Go(func() error {
			j := job{Manager: m, cert: c, settings: s, progress: r.Progress}
			results[i] = j.ensure(ctx, r.Force)
			return nil
		})
	}
	g.Wait()
	m.wake()
	var errs []error
	for _, res := range results {
		if res.Err != nil {
			errs = append(errs, fmt.Errorf("certificate %s: %w", res.Name, res.Err))
		}
	}
	return results, errors.Join(errs...)
}

// chosen returns the wished certificates that r is about.
func (m *Manager) chosen(r Request) (chosen []*certificate, s Settings, err error) {
	certs, s := m.all()
	found := make(map[string]bool)
	for _, c := range certs {
		w := c.view().wish
		if w == nil {
			continue
		}
		take := len(r.Hosts) == 0
		for _, h := range r.Hosts {
			host := strings.ToLower(strings.TrimSuffix(h, "."))
			if w.Name == host || slices.Contains(w.DNSNames, host) || covers(w.DNSNames, host) {
				take, found[h] = true, true
			}
		}
		if take {
			chosen = append(chosen, c)
		}
	}
	var errs []error
	for _, h := range r.Hosts {
		if !found[h] {
			errs = append(errs, fmt.Errorf("no certificate is for %q: publish its site first", h))
		}
	}
	return chosen, s, errors.Join(errs...)
}

// plan says what ensure would do.
func (j *job) plan(force bool) Plan {
	v := j.cert.view()
	p := Plan{Name: j.cert.name}
	if v.wish == nil {
		p.Why = errUnwished.Error()
		return p
	}
	p.DNSNames = v.wish.DNSNames
	why := v.due(j.settings, j.Clock.Now())
	switch {
	case j.underWay():
		p.Why = "an order is under way"
	case why != "":
		p.Why = why
	case force:
		p.Why = "you ask for it"
	default:
		p.Why = "is renewed " + v.record.Renewal.At.UTC().Format(time.RFC3339)
		return p
	}
	p.Order, p.CA = true, j.authority(v).directory()
	return p
}

func (j *job) ensure(ctx context.Context, force bool) Result {
	if err := j.cert.lock(ctx); err != nil {
		return Result{Plan: Plan{Name: j.cert.name}, Err: err}
	}
	defer j.cert.unlock()
	if j.cert.view().wish == nil {
		return Result{Plan: Plan{Name: j.cert.name}, Err: errUnwished}
	}
	j.askRenewal(ctx)
	p := j.plan(force)
	var err error
	if p.Order {
		err = j.attemptAsked(ctx)
	} else if err = j.publish(ctx); err == nil {
		j.event(StepKept, p.Why, nil)
		j.step("")
	}
	r := Result{Plan: p, Err: err}
	if b := j.cert.view().bundle(); b != nil {
		r.Serial = b.Serial
	}
	return r
}

// attemptAsked is an attempt that the operator asked for.
func (j *job) attemptAsked(ctx context.Context) error {
	v := j.cert.view()
	ca := j.authority(v).directory()
	if _, earliest := v.record.waitFor(ca); j.Clock.Now().Before(earliest) {
		return fmt.Errorf("%s: %w than %s: %s", ca, ErrLimited, earliest.UTC().Format(time.RFC3339), v.record.Problem)
	}
	return j.attempt(ctx)
}
