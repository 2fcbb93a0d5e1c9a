package attacktest

import (
	"math"

	"rampart/attacks"
	"rampart/nn"
	"rampart/nn/rng"
)

// Quantised rounds its inputs to a number of levels before it classifies them: its gradient is zero
// everywhere.
func Quantised(m *nn.Model, levels int) attacks.Victim {
	return attacks.Preprocessed{Victim: m, Step: rounding{levels: levels}}
}

// StraightThrough is Quantised for an attack that takes the rounding for the identity (BPDA).
func StraightThrough(m *nn.Model, levels int) attacks.Victim {
	return attacks.Preprocessed{Victim: m, Step: rounding{levels, true}}
}

type rounding struct {
	levels   int
	straight bool
}

func (s rounding) Forward(x []float32, _ uint64, _ uint32) {
	most := float64(s.levels - 1)
	for i, v := range x {
		x[i] = float32(math.Round(float64(v)*most) / most)
	}
}

func (s rounding) Backward(dx, _ []float32, _ uint64, _ uint32) {
	if !s.straight {
		clear(dx)
	}
}

// Clamped clips its inputs to [0,1] itself, with a gradient that is zero at 0 and 1: pixels at the
// walls of the box seem not to matter.
func Clamped(m *nn.Model) attacks.Victim {
	return attacks.Preprocessed{Victim: m, Step: clamp{}}
}

type clamp struct{}

func (clamp) Forward(x []float32, _ uint64, _ uint32) {
	for i, v := range x {
		x[i] = min(max(v, 0), 1)
	}
}

func (clamp) Backward(dx, x []float32, _ uint64, _ uint32) {
	for i, v := range x {
		if v <= 0 || v >= 1 {
			dx[i] = 0
		}
	}
}

// RandomShift moves each image by up to most pixels in both directions, anew for each question; what
// comes in from outside is black.
func RandomShift(m *nn.Model, most int) attacks.Victim {
	return attacks.Preprocessed{Victim: m, Step: shift{m.Input(), most, rng.New(17, "shift")}}
}

type shift struct {
	in     nn.Shape
	most   int
	stream rng.Stream
}

// source calls f for each pixel that comes from inside the image, with its place and where it was.
func (s shift) source(noise uint64, example uint32, f func(to, from int)) {
	draw := s.stream.Sequence(example, uint32(noise>>32), uint32(noise))
	down, right := int(draw.Uint32n(uint32(2*s.most+1)))-s.most, int(draw.Uint32n(uint32(2*s.most+1)))-s.most
	for row := max(down, 0); row < min(s.in.H+down, s.in.H); row++ {
		for column := max(right, 0); column < min(s.in.W+right, s.in.W); column++ {
			for c := range s.in.C {
				f((row*s.in.W+column)*s.in.C+c, ((row-down)*s.in.W+column-right)*s.in.C+c)
			}
		}
	}
}

func (s shift) Forward(x []float32, noise uint64, example uint32) {
	y := make([]float32, len(x))
	s.source(noise, example, func(to, from int) { y[to] = x[from] })
	copy(x, y)
}

func (s shift) Backward(dx, _ []float32, noise uint64, example uint32) {
	dy := make([]float32, len(dx))
	copy(dy, dx)
	clear(dx)
	s.source(noise, example, func(to, from int) { dx[from] = dy[to] })
}
