package acme

import (
	"errors"
	"fmt"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"
)

// ErrNotReady is in the error of an order that was put off because a
// nameserver answers something else than the challenge.
var ErrNotReady = errors.New("nameservers are not ready")

// ErrLimited is in the error of an attempt that the authority told us to make
// later.
var ErrLimited = errors.New("the authority asks to come back later")

// failure is an attempt that gave no certificate.
type failure struct {
	err        error
	ca         string        // directory of the authority
	retryAfter time.Duration // as the authority wishes; 0: it said nothing
	putOff     bool
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// failureOf explains err, which came from the authority ca.
func failureOf(err error, ca string, retryAfter time.Duration) *failure {
	return &failure{
		err: err, ca: ca, putOff: errors.Is(err, ErrNotReady),
		retryAfter: min(retryAfter, longestLimit),
	}
}

// longestLimit bounds what a Retry-After can do to us.
const longestLimit = 7 * 24 * time.Hour

// problem returns the authority's own words on err, nil if it isn't from it.
func problem(err error) *legoacme.ProblemDetails {
	var p *legoacme.ProblemDetails
	if errors.As(err, &p) {
		return p
	}
	return nil
}

// problemType says whether the authority answered with one of the types of
// RFC 8555 section 6.7, given without their prefix.
func problemType(err error, types ...string) bool {
	p := problem(err)
	if p == nil {
		return false
	}
	for _, t := range types {
		if p.Type == "urn:ietf:params:acme:error:"+t {
			return true
		}
	}
	return false
}

// gone says whether the authority doesn't know what was asked for.
func gone(err error) bool {
	p := problem(err)
	return p != nil && (p.HTTPStatus == 404 || p.HTTPStatus == 410)
}

// tidy shortens the authority's own problem to what the operator needs. An
// error that wraps one already says more, and stays.
func tidy(err error) error {
	switch err.(type) {
	case *legoacme.ProblemDetails, *legoacme.NonceError, *legoacme.RateLimitedError, *legoacme.AlreadyReplacedError:
		p := problem(err)
		if p.Type == bareType {
			return &told{err: err, text: "the authority answers " + p.Detail}
		}
		return &told{err: err, text: fmt.Sprintf("the authority says: %s (%s)", p.Detail, shortType(p.Type))}
	}
	return err
}

// told keeps the error below and prints shorter.
type told struct {
	err  error
	text string
}

func (t *told) Error() string { return t.text }
func (t *told) Unwrap() error { return t.err }

func shortType(t string) string {
	for i := len(t) - 1; i >= 0; i-- {
		if t[i] == ':' {
			return t[i+1:]
		}
	}
	return t
}
