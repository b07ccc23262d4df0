package acme

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// ready returns once the authority may look: at each owner, each address of
// each nameserver of the zone either answers all values wanted, or has given
// no answer at all for silentAfter while at least one other is good. Those
// are named in j.left. A server that answers something else holds everything
// up, since an authority that asks that one would fail the order; after
// readyWithin that is ErrNotReady.
//
// One of our subs is asked at its public address and through the tunnel. If
// the tunnel gives the right answer and port 53 gives none, or one without
// authority, then what is between us and the world is at fault and not the
// sub: it counts as good, and that is said.
func (j *job) ready(ctx context.Context, wanted map[string][]string) error {
	j.event(StepReady, "waits for the nameservers", nil)
	var watches []*watch
	for owner, values := range wanted {
		apex, servers, err := j.DNS.Servers(ctx, owner)
		if err != nil {
			return err
		}
		watches = append(watches, newWatch(apex, owner, values, servers))
	}
	begin := j.Clock.Now()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		waited := j.Clock.Now().Sub(begin)
		var wg sync.WaitGroup
		for _, w := range watches {
			wg.Go(func() { w.ask(ctx, j.DNS) })
		}
		wg.Wait()
		var open []string
		for _, w := range watches {
			open = append(open, w.open(waited)...)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(open) == 0 {
			j.leaveOut(watches)
			return nil
		}
		if waited >= readyWithin {
			j.leaveOut(watches)
			return fmt.Errorf("%w after %s: %s", ErrNotReady, readyWithin, strings.Join(open, "; "))
		}
		if err := j.Clock.Wait(ctx, pause); err != nil {
			return err
		}
	}
}

// leaveOut names the servers that gave no answer.
func (j *job) leaveOut(watches []*watch) {
	j.left = nil
	for _, w := range watches {
		for _, s := range w.servers {
			if note := s.note(); note != "" && !slices.Contains(j.left, note) {
				j.left = append(j.left, note)
			}
		}
	}
	if len(j.left) > 0 {
		j.event(StepReady, strings.Join(j.left, "; "), nil)
	}
}

// watch is one owner name and the servers that shall answer it.
type watch struct {
	apex, owner string
	values      []string
	servers     []*watched
}

// watched is one server, and what it said last by each way.
type watched struct {
	Server
	public, overlay sight
}

// sight is what one way showed last.
type sight struct {
	verdict verdict
	detail  string
}

type verdict uint8

const (
	unasked verdict = iota
	good            // answers all values, with authority
	other           // answers something else, with authority
	silent          // no answer
	foreign         // answers without authority: somebody else does
)

func newWatch(apex, owner string, values []string, servers []Server) *watch {
	w := &watch{apex: apex, owner: owner, values: values}
	for _, s := range servers {
		w.servers = append(w.servers, &watched{Server: s})
	}
	return w
}

// ask asks every server that isn't good yet, by each way, all at once.
func (w *watch) ask(ctx context.Context, dns DNS) {
	var wg sync.WaitGroup
	for _, s := range w.servers {
		if s.settled() {
			continue
		}
		wg.Go(func() { s.public = w.askOne(ctx, dns, s.Server, Public) })
		if s.Overlay {
			wg.Go(func() { s.overlay = w.askOne(ctx, dns, s.Server, Overlay) })
		}
	}
	wg.Wait()
}

func (w *watch) askOne(ctx context.Context, dns DNS, s Server, way Way) sight {
	said, err := dns.TXT(ctx, s, way, w.owner)
	if err != nil {
		return sight{silent, err.Error()}
	}
	if !said.Authoritative {
		return sight{foreign, "answers without authority"}
	}
	for _, value := range w.values {
		if !slices.Contains(said.Values, value) {
			return sight{other, fmt.Sprintf("answers %s, not the new one", counted(len(said.Values), "value"))}
		}
	}
	return sight{verdict: good}
}

// settled says that s is good.
func (s *watched) settled() bool {
	if !s.Overlay {
		return s.public.verdict == good
	}
	switch s.public.verdict {
	case good:
		return s.overlay.verdict != other
	case silent, foreign:
		return s.overlay.verdict == good
	}
	return false
}

// mute says that s gave no answer of its own by any way.
func (s *watched) mute() bool {
	noAnswer := func(v sight) bool { return v.verdict == silent || v.verdict == foreign }
	return noAnswer(s.public) && (!s.Overlay || noAnswer(s.overlay))
}

// open returns what the authority can't be told for; nothing if it can.
func (w *watch) open(waited time.Duration) (reasons []string) {
	settled := 0
	for _, s := range w.servers {
		switch {
		case s.settled():
			settled++
		case s.mute() && waited >= silentAfter:
		case s.mute():
			reasons = append(reasons, fmt.Sprintf("%s gives no answer: %s", s.Server, s.public.detail))
		default:
			reasons = append(reasons, s.complaint(w.owner))
		}
	}
	if settled == 0 && len(reasons) == 0 {
		reasons = append(reasons, fmt.Sprintf("no nameserver of %s answers", w.apex))
		for _, s := range w.servers {
			reasons = append(reasons, fmt.Sprintf("%s: %s", s.Server, s.public.detail))
		}
	}
	return reasons
}

func (s *watched) complaint(owner string) string {
	by := func(way Way, v sight) string {
		return fmt.Sprintf("%s for %s by %s %s", s.Server, owner, way, v.detail)
	}
	if s.public.verdict == other {
		return by(Public, s.public)
	}
	return by(Overlay, s.overlay)
}

// note says what the operator should know of s; "" if it is fine.
func (s *watched) note() string {
	switch {
	case s.mute():
		return fmt.Sprintf("%s is left out, it gives no answer: %s", s.Server, s.public.detail)
	case s.settled() && s.public.verdict == foreign:
		return fmt.Sprintf("%s was asked through the tunnel: port 53 is hijacked on the way from here", s.Server)
	case s.settled() && s.public.verdict == silent:
		return fmt.Sprintf("%s was asked through the tunnel: port 53 can't be reached from here (%s)", s.Server, s.public.detail)
	}
	return ""
}
