package tunnel

import (
	"fmt"
	"time"
)

// EnrolmentState is what a sub can tell of an enrolment from its own side.
type EnrolmentState struct {
	Open bool
	Left time.Duration // until the token expires

	Datagrams   uint64 // that reached the UDP port since the opening, from anyone
	Initiations uint64 // of them, WireGuard handshakes
	Unanswered  uint64 // of them, those that no key here matched
	Connections uint64 // that the token's holder made

	Failure   string // the last, with the step that failed
	FailureAt time.Time

	Dom PublicKey // enrolled with this token; zero if none yet
}

// State returns how the enrolment stands.
func (e *Enrolment) State() EnrolmentState {
	e.mu.Lock()
	s := e.state
	s.Open = !e.closed
	e.mu.Unlock()
	s.Left = max(e.Left(), 0)
	s.Open = s.Open && s.Left > 0
	now := e.opts.Device.bind.counters()
	s.Datagrams = now[0] - e.before[0]
	s.Initiations = now[1] - e.before[1]
	if replies := now[2] - e.before[2]; s.Initiations > replies {
		s.Unanswered = s.Initiations - replies
	}
	return s
}

func (e *Enrolment) update(f func(*EnrolmentState)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(&e.state)
}

func (e *Enrolment) fail(step string, err error) {
	e.opts.Log.Warn("enrolment attempt", "step", step, "err", err)
	e.update(func(s *EnrolmentState) {
		s.Failure, s.FailureAt = fmt.Sprintf("%s: %s", step, err), time.Now()
	})
}

// Diagnosis says in one line what the operator should look at next.
func (s EnrolmentState) Diagnosis() string {
	switch {
	case !s.Dom.IsZero():
		return "enrolled by the dom " + s.Dom.Fingerprint()
	case !s.Open:
		return "the token has expired: make a new one with b8s sub token"
	case s.Failure != "":
		return "the dom came through and failed: " + s.Failure
	case s.Connections > 0:
		return "the dom came through; the exchange is going on"
	case s.Unanswered > 0:
		return fmt.Sprintf("%d handshakes arrived that were made with another token, or for another key: paste the whole line as it is printed now", s.Unanswered)
	case s.Datagrams > 0:
		return "packets arrive, but no handshake: something else sends to this port"
	default:
		return "no packet has arrived: the UDP port is closed on the way here (firewall, provider, wrong address), or nobody has tried"
	}
}

// counters returns datagrams in, initiations in, replies out.
func (b *bind) counters() [3]uint64 {
	return [3]uint64{b.datagrams.Load(), b.initiations.Load(), b.replies.Load()}
}
