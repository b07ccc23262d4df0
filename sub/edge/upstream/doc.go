// Package upstream is an HTTP/1.1 client for one server, which keeps its
// connections.
//
// A connection is kept only when the answer has ended in its place and nothing
// followed it; before each use it is looked at, and left if the server closed
// it or sent what nobody asked for. So an answer is never taken for that of
// another request.
//
// A request is sent once, with these exceptions: no connection could be made,
// so that nothing was sent (tried again for the time of Limits.Connect); or a
// kept connection was closed before the first octet of an answer, the method
// is idempotent, and the body is still there to be sent again.
//
// Each phase has a time-out of its own, and the request's context ends all of
// them; it is asked only where an answer is long in coming, so that a quick one
// costs the client's connection no watcher.
package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Limits of the exchange with an upstream; zero fields have the defaults
// named.
type Limits struct {
	Connect time.Duration // in all, with the tries: 2 s
	Head    time.Duration // from the request's last octet to the answer's head: 60 s
	Idle    time.Duration // between octets of a body, of either side: 120 s
	Kept    int           // connections that may wait for requests: 64
	KeptFor time.Duration // 55 s, which is less than most servers wait
}

func (l Limits) withDefaults() Limits {
	for field, value := range map[*time.Duration]time.Duration{
		&l.Connect: 2 * time.Second, &l.Head: 60 * time.Second, &l.Idle: 120 * time.Second, &l.KeptFor: 55 * time.Second,
	} {
		if *field <= 0 {
			*field = value
		}
	}
	if l.Kept <= 0 {
		l.Kept = 64
	}
	return l
}

// Field is a field of a request beside those of its Header.
type Field struct{ Name, Value string }

// Request is what is sent. Its fields are sent as they are: the caller has
// taken out those of the connection.
type Request struct {
	Method, Target, Host string
	Header               http.Header
	Fields               []Field
	Body                 io.ReadCloser // nil without one; Close ends a Read
	Length               int64         // of the body; -1: unknown, sent chunked
	Trailer              func() http.Header
	Upgrade              string // protocol asked for; empty: none
	Inform               func(status int, h http.Header)

	whole []byte // a short body, in place of Body
}

// Reasons that an upstream failed, for counters and error pages.
const (
	ReasonConnect = "connect"
	ReasonTimeout = "timeout"
	ReasonClosed  = "closed"
	ReasonAnswer  = "malformed answer"
	ReasonBody    = "request body"
	ReasonClient  = "client gone"
)

// Error tells how an upstream failed.
type Error struct {
	Address string
	Reason  string
	Err     error
}

func (e *Error) Error() string { return fmt.Sprintf("upstream %s: %s: %v", e.Address, e.Reason, e.Err) }

// blameless tells whether it was the client that failed.
func (e *Error) blameless() bool { return e.Reason == ReasonBody || e.Reason == ReasonClient }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

var errUnused = errors.New("connection was closed before it was used")

// unused tells whether the upstream can have sent nothing of an answer.
func unused(err error) bool { return errors.Is(err, errUnused) }
