//go:build !linux

package kernel

import "time"

var begun = time.Now()

// threadTime is the time of day where there is no clock of processor time.
func threadTime() time.Duration { return time.Since(begun) }
