package scenario

import (
	"bytes"
	"runtime/pprof"
	"strings"
	"time"
)

// label is on every goroutine of a scenario, inherited from the one that
// starts it: scenarios run side by side, and each has to clean up its own.
const label = "scenario"

// leaked returns the stacks of the scenario's goroutines that are still there
// after a while, "" when all have ended.
func leaked(name string) string {
	for deadline := time.Now().Add(5 * time.Second); ; {
		left := labelled(name)
		if left == "" || time.Now().After(deadline) {
			return left
		}
		<-time.After(20 * time.Millisecond)
	}
}

// shared is the one ticker of all NATS servers of a process.
const shared = "nats-server/v2/server/ats."

func labelled(name string) string {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return err.Error()
	}
	var left []string
	for _, stack := range strings.Split(profile.String(), "\n\n") {
		if strings.Contains(stack, `"`+label+`":"`+name+`"`) && !strings.Contains(stack, shared) {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
