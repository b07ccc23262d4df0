package dom

import (
	"context"
	"errors"
	"fmt"
	"time"

	"b8s/control"
	"b8s/kv"
	"b8s/tunnel"
)

// A condition says whether a sub serves what is wanted, by its newest status;
// if not, the reason in words. nil as status is a sub that told nothing yet.
type condition func(m member, s *kv.SubStatus) (ok bool, reason string)

// serves is the condition that a sub serves the buckets as they are here now,
// or as they are here later: what is published meanwhile, by another verb,
// counts as soon as a sub tells of it. For one goroutine.
func (d *Dom) serves(buckets ...string) condition {
	want := map[string]belief{}
	for _, name := range buckets {
		want[name] = d.believe(name)
	}
	return func(_ member, s *kv.SubStatus) (bool, string) {
		for _, name := range buckets {
			if s != nil && s.Buckets[name].Revision > want[name].head.Last {
				want[name] = d.believe(name)
			}
			if ok, reason := want[name].serves(name, s); !ok {
				return false, reason
			}
		}
		return true, ""
	}
}

// belief is what a bucket is on this dom.
type belief struct {
	head   kv.Head
	digest string
	err    error
}

func (d *Dom) believe(bucket string) belief {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	b := belief{head: d.store.Heads()[bucket]}
	b.digest, b.err = d.store.Digest(ctx, bucket)
	return b
}

// serves compares a sub's status with the belief: same epoch, at least the
// revision, and the same bytes.
func (b belief) serves(bucket string, s *kv.SubStatus) (bool, string) {
	if b.err != nil {
		return false, fmt.Sprintf("%s: not readable on this dom: %v", bucket, b.err)
	}
	if s == nil {
		return false, "it told nothing since this dom started"
	}
	got := s.Buckets[bucket]
	switch {
	case got.Fault != "":
		return false, fmt.Sprintf("%s: keeps what it had (b8s dom force %s if this dom is right): %s", bucket, bucket, got.Fault)
	case len(got.Faults) > 0:
		f := got.Faults[0]
		return false, fmt.Sprintf("%s %s: %s", bucket, f.Key, f.Reason)
	case got.Epoch != b.head.Epoch:
		return false, fmt.Sprintf("%s: it is at epoch %d, this dom at %d", bucket, got.Epoch, b.head.Epoch)
	case got.Revision < b.head.Last:
		return false, fmt.Sprintf("%s: it is at revision %d of %d", bucket, got.Revision, b.head.Last)
	case got.Digest != b.digest:
		return false, fmt.Sprintf("%s: at revision %d it serves something else than this dom believes", bucket, got.Revision)
	}
	return true, ""
}

// await waits until every enrolled sub meets the condition. It ends early when
// all do and none is away; else after wait, with the others named. Each sub's
// turn is reported as it comes.
func (d *Dom) await(ctx context.Context, started time.Time, wait time.Duration, report func(any), cond condition) (Verdict, error) {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	tick := time.NewTicker(time.Second) // a sub may fall silent without a word
	defer tick.Stop()
	confirmed := map[string]time.Duration{}
	for {
		changed := d.reports.Changed()
		v := d.verdict(started, confirmed, report, cond)
		if v.OK {
			return v, nil
		}
		select {
		case <-ctx.Done():
			return v, control.Failed(errors.New("the dom was told to end before every sub confirmed"), "what was published stands, and goes on when the dom runs again; see  b8s dom status")
		case <-timeout.C:
			return v, nil
		case <-changed:
		case <-tick.C:
		}
	}
}

func (d *Dom) verdict(started time.Time, confirmed map[string]time.Duration, report func(any), cond condition) Verdict {
	v := Verdict{OK: true}
	vitals := d.vitals()
	for _, m := range d.fleet.Enrolled() {
		vital := vitals[m.Key]
		sv := SubVerdict{Sub: m.Name, Live: vital.Live, LastSeen: vital.LastBeat}
		ok, reason := cond(m, d.told(m.Name))
		if ok && vital.Live {
			took, had := confirmed[m.Name]
			if !had {
				took = time.Since(started)
				confirmed[m.Name] = took
				report(Event{Sub: m.Name, Stage: "serves it", Detail: fmt.Sprintf("after %.0f ms", float64(took.Microseconds())/1000)})
			}
			sv.Confirmed, sv.Took = true, millis(took)
			v.Took = max(v.Took, sv.Took)
		} else {
			sv.Reason = reason
			if !vital.Live {
				sv.Reason = awayText(vital)
			}
			v.OK = false
		}
		v.Subs = append(v.Subs, sv)
	}
	return v
}

// told is the newest status of a sub, nil if it told none since the start.
func (d *Dom) told(name string) *kv.SubStatus {
	s, ok := d.reports.Get(name)
	if !ok {
		return nil
	}
	return &s
}

func (d *Dom) vitals() map[tunnel.PublicKey]tunnel.Vital {
	all := map[tunnel.PublicKey]tunnel.Vital{}
	for _, v := range d.pulse.State() {
		all[v.PublicKey] = v
	}
	return all
}

func awayText(v tunnel.Vital) string {
	text := "away: no answer to heartbeats since this dom started"
	if !v.LastBeat.IsZero() {
		text = "away: last answer to a heartbeat at " + v.LastBeat.Format(time.DateTime)
	}
	if v.Err != nil {
		text += fmt.Sprintf(" (%v)", v.Err)
	}
	return text
}
