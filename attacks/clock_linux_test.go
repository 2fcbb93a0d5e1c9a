package attacks_test

import (
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is that of the whole process, which other programs disturb less than the time of day.
func processorTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}
