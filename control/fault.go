// Package control is the line between a verb and its daemon: HTTP over a Unix
// socket in the state folder, one POST a verb, JSON both ways.
//
// The socket is 0600, so whoever may open the state folder may command the
// daemon, and nobody else. A call's answer is a stream of lines: any number of
// events while the work goes on, then one result or one fault.
package control

import "errors"

// Exit codes of the b8s command.
const (
	ExitFailed = 1 // the act failed, or is not confirmed
	ExitUsage  = 2 // wrong usage: the same command can't succeed
)

// Fault is an error as the operator reads it: what went wrong, and the next
// step. It crosses the socket whole.
type Fault struct {
	Message string `json:"error"`
	Hint    string `json:"hint,omitempty"`
	Code    int    `json:"code"`
}

func (f *Fault) Error() string { return f.Message }

// ExitCode is the process's exit code for this fault.
func (f *Fault) ExitCode() int { return f.Code }

// Failed is err with the next step to take, for exit code 1.
func Failed(err error, hint string) error {
	return &Fault{Message: err.Error(), Hint: hint, Code: ExitFailed}
}

// Usage is err with the next step to take, for exit code 2.
func Usage(err error, hint string) error {
	return &Fault{Message: err.Error(), Hint: hint, Code: ExitUsage}
}

// AsFault is the fault in err's chain with all of err's words, or a plain one.
func AsFault(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return &Fault{Message: err.Error(), Hint: f.Hint, Code: f.Code}
	}
	return &Fault{Message: err.Error(), Code: ExitFailed}
}
