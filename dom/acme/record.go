package acme

import (
	"time"
)

// record is what is remembered of a certificate besides itself.
type record struct {
	Failures  int       // in a row
	Strikes   int       // those among them that are the authority's: after some, the second one's turn
	Problem   string    // of the last failure; "": none since the last success
	Since     time.Time // of the first failure in the row
	NotBefore time.Time // no attempt by itself earlier
	// LimitedBy told us not to come back before LimitedUntil. Even the operator
	// doesn't hurry that.
	LimitedBy    string
	LimitedUntil time.Time
	PutOff       bool     // the last failure was that nameservers weren't ready
	Left         []string // nameservers that gave no answer at the last order, and why
	Renewal      renewal
	Published    string // serial of the last one that Publish took
}

// renewal is when a certificate shall be renewed. The time within a window is
// drawn once, and kept as long as the window stands.
type renewal struct {
	Serial     string // of the certificate that it is about
	Start, End time.Time
	At         time.Time
	Why        string    // page of the authority about the window; may be empty
	Ask        time.Time // when to ask the authority again; zero: it has no such service
	ByCA       bool      // the window is the authority's
}

// due says whether the certificate should be renewed at now.
func (r renewal) due(b *Bundle, now time.Time) bool {
	return r.Serial == b.Serial && !now.Before(r.At)
}

// Bounds of the time between two questions about renewal.
const (
	askAtLeast   = time.Minute
	askAtMost    = 24 * time.Hour
	askOtherwise = 6 * time.Hour
)

// lifetimeWindow is when b is renewed if the authority suggests nothing:
// shortly before two thirds of its life, or half of it if it lives less than
// ten days.
func lifetimeWindow(b *Bundle) (start, end time.Time) {
	life := b.lifetime()
	end = b.NotBefore.Add(life / 3 * 2)
	if life < 10*24*time.Hour {
		end = b.NotBefore.Add(life / 2)
	}
	return end.Add(-life / 50), end
}

// draw picks a time in [start, end) with a number in [0, 1).
func draw(start, end time.Time, jitter float64) time.Time {
	return start.Add(time.Duration(float64(end.Sub(start)) * jitter))
}

// byLifetime is the renewal of b without the authority's advice.
func byLifetime(b *Bundle, jitter float64) renewal {
	start, end := lifetimeWindow(b)
	return renewal{Serial: b.Serial, Start: start, End: end, At: draw(start, end, jitter)}
}

// sane says whether an authority's window can be followed: it has a length, and begins
// before the last tenth of the certificate's life.
func sane(b *Bundle, start, end time.Time) bool {
	return start.Before(end) && start.Before(b.NotAfter.Add(-b.lifetime()/10))
}

// byCA is the renewal of b in the authority's window. held is kept, time and
// all, as long as it is about the same certificate and window.
func byCA(b *Bundle, held renewal, start, end time.Time, jitter float64) renewal {
	if held.Serial == b.Serial && held.ByCA && held.Start.Equal(start) && held.End.Equal(end) {
		return held
	}
	latest := end
	if last := b.NotAfter.Add(-b.lifetime() / 10); latest.After(last) {
		latest = last
	}
	return renewal{Serial: b.Serial, Start: start, End: end, At: draw(start, latest, jitter), ByCA: true}
}

// Bounds of the pause after a failure.
const (
	firstPause   = time.Minute
	longestPause = 6 * time.Hour
	hurriedPause = time.Hour // at most, when less than a third of life is left
)

// backOff is the pause after so many failures in a row: doubled each time,
// a quarter up or down by jitter, so that certificates don't come back together.
func backOff(failures int, hurried bool, jitter float64) time.Duration {
	pause := longestPause
	if failures < 10 {
		pause = min(firstPause<<max(failures-1, 0), longestPause)
	}
	if hurried {
		pause = min(pause, hurriedPause)
	}
	return time.Duration(float64(pause) * (0.75 + jitter/2))
}

// low says whether less than a third of b's life is left, or there is none.
func low(b *Bundle, now time.Time) bool {
	return b == nil || b.NotAfter.Sub(now) < b.lifetime()/3
}

// failed is r after a failure at now.
func (r record) failed(now time.Time, b *Bundle, f *failure, jitter float64) record {
	if r.Failures == 0 {
		r.Since = now
	}
	r.Failures++
	if f.ca != "" && !f.putOff {
		r.Strikes++
	}
	r.Problem = f.Error()
	r.PutOff = f.putOff
	r.NotBefore = now.Add(backOff(r.Failures, low(b, now), jitter))
	if f.retryAfter > 0 {
		r.LimitedBy, r.LimitedUntil = f.ca, now.Add(f.retryAfter)
	}
	return r
}

// succeeded is r after a new certificate.
func (r record) succeeded(left []string) record {
	return record{Left: left, Published: r.Published}
}

// waitFor returns when the next attempt at the authority ca may begin by
// itself, and when at the earliest even if the operator asks.
func (r record) waitFor(ca string) (itself, asked time.Time) {
	if r.LimitedBy == ca {
		asked = r.LimitedUntil
	}
	itself = r.NotBefore
	if asked.After(itself) {
		itself = asked
	}
	return itself, asked
}
