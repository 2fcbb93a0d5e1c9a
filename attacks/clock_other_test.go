//go:build !linux

package attacks_test

import "time"

var begun = time.Now()

// processorTime is the time of day where there is no clock of processor time.
func processorTime() time.Duration { return time.Since(begun) }
