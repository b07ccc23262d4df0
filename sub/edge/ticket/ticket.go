// Package ticket derives the keys of TLS session tickets from a seed that all
// subs share, so that a client that comes back to another sub resumes its
// session (RFC 8446 section 2.2, RFC 5077).
//
// Each UTC day has a secret of its own, made of the day's before by HKDF-SHA256;
// it can't be turned back. Who keeps only what Seed.At returns can't read the
// tickets of earlier days any more, nor can who steals it. Subs that hold the
// same seed derive the same keys, whenever they began.
package ticket

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// MaxAge is how old a seed may become: tickets stop, as whoever once read it
// could derive the keys of every day since.
const MaxAge = 30 * 24 * time.Hour

// SecretSize is the size of a seed's secret in octets.
const SecretSize = 32

const (
	infoDay = "b8s ticket ratchet v1"
	infoKey = "b8s ticket key v1"
)

// Seed is the secret of a day.
type Seed struct {
	Secret []byte    // SecretSize octets
	Day    int64     // days since 1970-01-01 UTC
	Made   time.Time // when the first one of the chain was drawn; zero: never grows too old
}

// Day is the day of a time, in UTC.
func Day(t time.Time) int64 {
	sec := t.Unix()
	day := sec / 86400
	if sec%86400 < 0 {
		day--
	}
	return day
}

// Check says what is wrong with a seed; it never names the secret.
func (s Seed) Check() error {
	switch {
	case len(s.Secret) != SecretSize:
		return fmt.Errorf("ticket seed has %d octets, not %d", len(s.Secret), SecretSize)
	case s.Day < 0:
		return errors.New("ticket seed is of a day before 1970")
	}
	return nil
}

// TooOld tells whether tickets have to stop by now.
func (s Seed) TooOld(now time.Time) bool {
	return !s.Made.IsZero() && now.Sub(s.Made) > MaxAge
}

// maxSteps bounds the work for a seed of long ago: ten years.
const maxSteps = 3660

// At is the seed of a day that is not before its own. An earlier day, or one
// more than ten years on, is an error.
func (s Seed) At(day int64) (Seed, error) {
	if err := s.Check(); err != nil {
		return Seed{}, err
	}
	if day < s.Day || day-s.Day > maxSteps {
		return Seed{}, fmt.Errorf("ticket seed of day %d gives no keys for day %d", s.Day, day)
	}
	next := Seed{Secret: s.Secret, Day: s.Day, Made: s.Made}
	for next.Day < day {
		next.Secret = expand(next.Secret, infoDay)
		next.Day++
	}
	return next, nil
}

// Keys are the ticket keys of a certificate: first the one for new tickets,
// then those that are accepted too, which are yesterday's, if the seed reaches
// back so far, and tomorrow's, as another sub's clock may be ahead. A seed of a
// later day is used as it is: the clock here is behind.
func (s Seed) Keys(certificate string, now time.Time) ([][32]byte, error) {
	today := max(Day(now), s.Day)
	current, err := s.At(today)
	if err != nil {
		return nil, err
	}
	tomorrow, err := current.At(today + 1)
	if err != nil {
		return nil, err
	}
	keys := [][32]byte{current.key(certificate), tomorrow.key(certificate)}
	if yesterday, err := s.At(today - 1); err == nil {
		keys = append(keys, yesterday.key(certificate))
	}
	return keys, nil
}

// Forget is the seed without the days before yesterday: all that should be
// kept.
func (s Seed) Forget(now time.Time) (Seed, error) {
	return s.At(max(Day(now)-1, s.Day))
}

func (s Seed) key(certificate string) [32]byte {
	return [32]byte(expand(s.Secret, infoKey+"\x00"+certificate))
}

// expand is HKDF-Expand of a secret that is uniform already.
func expand(secret []byte, info string) []byte {
	out, err := hkdf.Expand(sha256.New, secret, info, SecretSize)
	if err != nil {
		panic(err) // 32 octets are never too many, nor the secret too short
	}
	return out
}
