package acme

import "time"

// State is how a certificate fares, in one word.
type State string

// The states. What is PutOff, Failing, Expired or Missing needs somebody's eye.
const (
	Valid    State = "valid"
	Ordering State = "ordering"
	PutOff   State = "put off" // a nameserver isn't ready
	Failing  State = "failing" // the last attempt failed
	Expired  State = "expired"
	Missing  State = "missing"
	Unwished State = "unwished" // kept until it expires
)

// Status tells all about one certificate.
type Status struct {
	Name      string
	DNSNames  []string // as wished; as issued if it is wished no more
	State     State
	Doing     Step // the step under way; "": none
	Serial    string
	Issuer    string
	CA        string // directory that issued it, or "local"
	NotBefore time.Time
	NotAfter  time.Time
	Renew     time.Time // zero: there is nothing to renew
	ByCA      bool      // Renew is within a window that the authority suggests
	Why       string    // page of the authority about the window; may be empty
	Published bool      // Publish took this serial

	Failures int // in a row
	Problem  string
	Since    time.Time // of the first failure in the row
	Next     time.Time // of the next attempt after a failure
	Left     []string  // nameservers that gave no answer at the last order

	// Alarm is what must be seen to, "" if nothing: less than a third of the life
	// is left and no renewal that the authority wishes is still to come, it has
	// expired, or the last order was put off.
	Alarm string
}

// Status returns that of each certificate, in the order of their names.
func (m *Manager) Status() []Status {
	certs, s := m.all()
	now := m.Clock.Now()
	out := make([]Status, 0, len(certs))
	for _, c := range certs {
		out = append(out, c.status(s, now))
	}
	return out
}

func (c *certificate) status(s Settings, now time.Time) Status {
	v := c.view()
	st := Status{
		Name: c.name, Doing: Step(v.doing), Renew: v.record.Renewal.At, ByCA: v.record.Renewal.ByCA, Why: v.record.Renewal.Why,
		Failures: v.record.Failures, Problem: v.record.Problem, Since: v.record.Since, Left: v.record.Left,
	}
	if b := v.bundle(); b != nil {
		st.DNSNames, st.Serial, st.Issuer, st.CA = b.DNSNames, b.Serial, b.Issuer, v.current.CA
		st.NotBefore, st.NotAfter, st.Published = b.NotBefore, b.NotAfter, v.record.Published == b.Serial
	}
	if v.wish != nil {
		st.DNSNames = v.wish.DNSNames
	}
	if v.record.Failures > 0 {
		st.Next, _ = v.record.waitFor(s.authority(v.record.Strikes).directory())
	}
	st.State = v.state(now)
	st.Alarm = v.alarm(now)
	return st
}

func (v view) state(now time.Time) State {
	b := v.bundle()
	switch {
	case v.wish == nil:
		return Unwished
	case v.doing != "":
		return Ordering
	case v.record.PutOff:
		return PutOff
	case v.record.Failures > 0:
		return Failing
	case b == nil:
		return Missing
	case !now.Before(b.NotAfter):
		return Expired
	}
	return Valid
}

func (v view) alarm(now time.Time) string {
	b := v.bundle()
	switch {
	case v.wish == nil:
		return ""
	case b != nil && !now.Before(b.NotAfter):
		return "has expired " + b.NotAfter.UTC().Format(time.RFC3339)
	case v.record.PutOff:
		return "order is put off: " + v.record.Problem
	case b == nil:
		return v.record.Problem
	case low(b, now) && (v.record.Failures > 0 || !v.record.Renewal.ByCA || !now.Before(v.record.Renewal.At)):
		return "expires " + b.NotAfter.UTC().Format(time.RFC3339) + ", less than a third of its life is left"
	}
	return ""
}

// Bundle returns the certificate of that name; ok is false if there is none.
func (m *Manager) Bundle(name string) (b Bundle, ok bool) {
	c := m.named(name)
	if c == nil {
		return b, false
	}
	held := c.view().bundle()
	if held == nil {
		return b, false
	}
	return *held, true
}

// Bundles returns all certificates that are wished and exist, by name.
func (m *Manager) Bundles() []Bundle {
	certs, _ := m.all()
	var out []Bundle
	for _, c := range certs {
		if v := c.view(); v.wish != nil && v.current != nil {
			out = append(out, *v.current.bundle)
		}
	}
	return out
}
