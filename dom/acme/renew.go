package acme

import (
	"context"
	"fmt"
	"time"
)

// askRenewal brings the certificate's renewal time up to date: by the
// authority's window if it has one, else by the lifetime. That the authority
// can't be asked changes nothing of a window that it gave before.
func (j *job) askRenewal(ctx context.Context) {
	v := j.cert.view()
	b, now := v.bundle(), j.Clock.Now()
	if b == nil {
		return
	}
	r := v.record
	if r.Renewal.Serial != b.Serial {
		r.Renewal = byLifetime(b, j.Jitter())
		if v.current.CA != string(IssuerLocal) {
			r.Renewal.Ask = now
		}
	}
	if !r.Renewal.Ask.IsZero() && !now.Before(r.Renewal.Ask) {
		r.Renewal = j.askWindow(ctx, v, r.Renewal)
	}
	if ctx.Err() != nil || r.Renewal == v.record.Renewal {
		return
	}
	if err := j.keepRecord(r); err != nil {
		j.Log.Error("renewal time is not saved", "certificate", j.cert.name, "err", err)
	}
}

// askWindow asks the authority that issued the certificate.
func (j *job) askWindow(ctx context.Context, v view, held renewal) renewal {
	b := v.bundle()
	ca, known := j.settings.named(v.current.CA)
	id := b.renewalID()
	if !known || id == "" {
		held.Ask = time.Time{}
		return held
	}
	next, err := j.window(ctx, ca, id, b, held)
	if err != nil && ctx.Err() == nil {
		j.Log.Warn("renewal time is not told by the authority", "certificate", j.cert.name, "err", err)
		next = held
		next.Ask = j.Clock.Now().Add(askOtherwise)
	}
	return next
}

func (j *job) window(ctx context.Context, ca CA, id string, b *Bundle, held renewal) (renewal, error) {
	c, err := j.connect(ctx, ca)
	if err != nil {
		return held, err
	}
	defer c.close()
	info, again, ok, err := c.renewalInfo(id)
	if err != nil {
		return held, fmt.Errorf("ask %s when to renew: %w", ca.directory(), err)
	}
	if !ok {
		held.Ask = time.Time{}
		return held, nil
	}
	start, end := info.SuggestedWindow.Start, info.SuggestedWindow.End
	if !sane(b, start, end) {
		return held, fmt.Errorf("ask %s when to renew: told %s to %s, which is of no use", ca.directory(), start, end)
	}
	next := byCA(b, held, start, end, j.Jitter())
	if again == 0 {
		again = askOtherwise
	}
	next.Why = info.ExplanationURL
	next.Ask = j.Clock.Now().Add(min(max(again, askAtLeast), askAtMost))
	return next, nil
}

// named returns the authority with that directory, if the settings have it.
func (s Settings) named(directory string) (CA, bool) {
	if s.CA.directory() == directory {
		return s.CA, true
	}
	if s.Second != nil && s.Second.directory() == directory {
		return *s.Second, true
	}
	return CA{}, false
}
