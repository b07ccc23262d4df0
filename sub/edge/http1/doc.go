// Package http1 speaks HTTP/1.1 (RFC 9112), strictly, to clients and to
// upstreams.
//
// Nothing ambiguous passes: a head with both Content-Length and
// Transfer-Encoding, with a second Content-Length, Host or Transfer-Encoding,
// with a folded line, a bare CR or LF, white space before a colon, or an octet
// that has no place there, is an Error; so is a chunk that isn't formed by the
// letter. A server connection answers such a request once and closes. Where a
// message ends is therefore never in doubt, and what follows it on a
// connection is never taken for a part of it, nor the reverse.
package http1

import "fmt"

// Error is a message that is refused.
type Error struct {
	Status int    // what a server answers
	Reason string // one of few; safe to print and to count
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Reason, e.Status) }

var (
	errFraming     = &Error{400, "ambiguous length"}
	errLength      = &Error{400, "malformed content-length"}
	errCoding      = &Error{501, "unknown transfer-encoding"}
	errLine        = &Error{400, "malformed request line"}
	errStatus      = &Error{502, "malformed status line"}
	errTarget      = &Error{400, "malformed target"}
	errVersion     = &Error{505, "unknown http version"}
	errLineEnd     = &Error{400, "bare cr or lf"}
	errFold        = &Error{400, "folded field"}
	errFieldName   = &Error{400, "malformed field name"}
	errFieldValue  = &Error{400, "malformed field value"}
	errFieldCount  = &Error{431, "too many fields"}
	errHeadSize    = &Error{431, "head too large"}
	errTargetSize  = &Error{414, "target too long"}
	errHost        = &Error{400, "missing or doubled host"}
	errOtherHost   = &Error{400, "target of another host"}
	errMethod      = &Error{405, "method not served"}
	errExpectation = &Error{417, "unknown expectation"}
	errChunk       = &Error{400, "malformed chunk"}
	errTrailer     = &Error{400, "malformed trailer"}
	errHeadTime    = &Error{408, "head took too long"}
	errSlowBody    = &Error{408, "body came too slowly"}
)
