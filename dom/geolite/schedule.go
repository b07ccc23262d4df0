package geolite

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"time"
)

const (
	week   = 7 * 24 * time.Hour
	jitter = 24 * time.Hour // so that not all doms ask at once
)

// Next is when to refresh a database that was last brought up to date at last:
// a week later and up to a day more. Where that is past, or last is zero, it
// is within ten minutes from now. The same arguments give the same time, and
// a last in the future (the clock went back) counts as now.
func Next(last, now time.Time) time.Time {
	if last.After(now) {
		last = now
	}
	if !last.IsZero() {
		if at := last.Add(week + spread(last, jitter)); at.After(now) {
			return at
		}
	}
	return now.Add(spread(last, 10*time.Minute))
}

// Retry is when to try again after the given number of failures in a row, at
// least 1: an hour, doubled for each further one up to a day; not before the
// server wants it, and after a day at least where it asks for the operator.
func Retry(failures int, err error, now time.Time) time.Time {
	wait := min(time.Hour<<min(max(failures-1, 0), 5), 24*time.Hour)
	var answer *HTTPError
	if errors.As(err, &answer) {
		wait = max(wait, answer.RetryAfter)
		if answer.needsOperator() {
			wait = max(wait, 24*time.Hour)
		}
	}
	return now.Add(wait + spread(now, wait/8))
}

// spread is a duration below limit that depends on t alone.
func spread(t time.Time, limit time.Duration) time.Duration {
	h := fnv.New64a()
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(t.UnixNano()))
	h.Write(b[:])
	return time.Duration(h.Sum64() % uint64(limit))
}
