package tunnel

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is a clock that runs on while the machine is suspended.
func bootTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return time.Since(began)
	}
	return time.Duration(ts.Nano())
}
