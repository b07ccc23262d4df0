//go:build !linux

package tunnel

import "time"

// bootTime is the wall clock, without its monotonic part: that stands still
// while the machine is suspended.
func bootTime() time.Duration { return time.Duration(time.Now().UnixNano()) }
