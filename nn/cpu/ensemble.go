package cpu

import (
	"math"

	"rampart/nn/device"
)

// vote: the scores first hold the mean of the softmaxes, then the votes on top.
func vote(f *frame, members []int, dst, n int) {
	k := float64(len(members))
	for r := range n {
		y := f.at(dst, r, 1)
		logMeanSoftmax(f, members, dst, r, 1, len(y))
		for j, v := range y {
			y[j] = float32(math.Exp(float64(v)))
		}
		for _, b := range members {
			y[device.Argmax(f.at(b, r, 1))]++
		}
		for j, v := range y {
			y[j] = float32(math.Log(max(float64(v), device.VoteFloor) / (k + 1)))
		}
	}
}

// stack lays the members' logits one after the other.
func stack(f *frame, members []int, dst, n, classes int) {
	for r := range n {
		y := f.at(dst, r, 1)
		for m, b := range members {
			copy(y[m*classes:], f.at(b, r, 1))
		}
	}
}

// stackGrad takes one member's part.
func stackGrad(f *frame, dy, dst, n int, op device.StackGrad) {
	for r := range n {
		copy(f.at(dst, r, 1), f.at(dy, r, 1)[op.Index*op.Classes:])
	}
}
