package nn_test

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

// peakMemory is the most memory that the process has held so far, in bytes.
func peakMemory() (int, bool) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return int(u.Maxrss) << 10, true
}
