package kernel

import (
	"math"
	"slices"

	"rampart/nn/device"
)

// Ascent makes the start and the steps of a device.Loop, one example at a time. It keeps memory
// between calls: workers that run side by side need one each.
type Ascent struct {
	points []breakpoint
	sizes  []float32
}

// Reserve takes the memory that examples of a size need.
func (a *Ascent) Reserve(size int) {
	a.points, a.sizes = make([]breakpoint, 0, 2*size), make([]float32, 0, size)
}

// Random numbers of a start: the direction and the radius are draws of different steps.
const (
	drawDirection = 0
	drawRadius    = 1
)

// Start sets adv to a random point of the ball around clean, clipped to [0,1].
func (a *Ascent) Start(adv, clean []float32, l *device.Loop, example uint32) {
	clean, eps := clean[:len(adv)], l.Epsilon
	switch {
	case l.Start == device.FromNormal:
		l.Noise.Normal(adv, 0, l.StartStd, example, l.Restart, drawDirection)
		if norm := math.Sqrt(SumSquares(adv)); l.Norm == device.L2 && norm > float64(eps) {
			stretch(adv, float64(eps)/norm)
		}
	case l.Norm == device.Linf:
		l.Noise.Uniform(adv, -eps, eps, example, l.Restart, drawDirection)
	case l.Norm == device.L1:
		startL1(adv, l, example)
	default:
		l.Noise.Normal(adv, 0, 1, example, l.Restart, drawDirection)
		// The radius of a uniform point of a d-ball is eps*u^(1/d).
		radius := float64(eps) * math.Pow(unitDraw(l, example), 1/float64(len(adv)))
		stretch(adv, radius/math.Sqrt(SumSquares(adv)))
	}
	for i := range adv {
		adv[i] = min(max(clean[i]+adv[i], 0), 1)
	}
	// A normal draw may leave the ball, and rounding of clean + draw by a unit in the last place.
	switch {
	case l.Norm == device.Linf:
		for i := range adv {
			adv[i] = min(max(adv[i], clean[i]-eps), clean[i]+eps)
		}
	case l.Norm == device.L1 && l.Start == device.FromNormal:
		a.projectL1(adv, clean, eps)
	}
}

func stretch(v []float32, by float64) {
	for i := range v {
		v[i] = float32(float64(v[i]) * by)
	}
}

// startL1 draws a uniform point of the L1 ball: d exponentials over the sum of d+1 are uniform in
// the simplex's corner at 0 (Devroye 1986, chapter V, theorem 4.1), and each gets a sign.
func startL1(move []float32, l *device.Loop, example uint32) {
	l.Noise.Uniform(move, -1, 1, example, l.Restart, drawDirection)
	sum := -math.Log(1 - unitDraw(l, example))
	for i, u := range move {
		e := -math.Log(max(math.Abs(float64(u)), 0x1p-25)) // no draw is smaller, but for 0
		sum += e
		move[i] = float32(math.Copysign(e, float64(u)))
	}
	for i, v := range move {
		move[i] = float32(float64(v) * float64(l.Epsilon) / sum)
	}
}

// unitDraw is uniform in [0,1).
func unitDraw(l *device.Loop, example uint32) float64 {
	var u [1]float32
	l.Noise.Uniform(u[:], 0, 1, example, l.Restart, drawRadius)
	return float64(u[0])
}

// Step moves adv along its gradient and projects it onto ball and box, as the loop's norm says.
func (a *Ascent) Step(adv, x, grad []float32, l *device.Loop) {
	switch l.Norm {
	case device.Linf:
		SignStep(adv, x, grad, l.StepSize, l.Epsilon)
	case device.L1:
		a.L1Step(adv, x, grad, l.StepSize, l.Epsilon, l.Sparsity)
	default:
		L2Step(adv, x, grad, l.StepSize, l.Epsilon)
	}
}

// L1Step moves one example adv by step, in L1, along the signs of the largest entries of its
// gradient, which are the share sparsity of all, and projects it onto the L1 ball of radius eps
// around x and [0,1] (SLIDE; Tramèr and Boneh 2019, section 3.2). Entries that lead out of the box
// count as zero; of equal entries at the limit all move. A gradient that is zero everywhere, or
// not finite, moves nothing.
func (a *Ascent) L1Step(adv, x, grad []float32, step, eps, sparsity float32) {
	x, grad = x[:len(adv)], grad[:len(adv)]
	if squares := SumSquares(grad); squares > 0 && !math.IsInf(squares, 0) {
		a.slide(adv, grad, step, sparsity)
	}
	a.projectL1(adv, x, eps)
}

func (a *Ascent) slide(adv, grad []float32, step, sparsity float32) {
	a.sizes = a.sizes[:0]
	for i, g := range grad {
		a.sizes = append(a.sizes, free(adv[i], g))
	}
	slices.Sort(a.sizes)
	most := min(max(int(math.Round(float64(sparsity)*float64(len(grad)))), 1), len(grad))
	limit := a.sizes[len(grad)-most]
	if limit == 0 {
		limit = math.SmallestNonzeroFloat32
	}
	moved := 0
	for i, g := range grad {
		if free(adv[i], g) >= limit {
			moved++
		}
	}
	for i, g := range grad {
		if free(adv[i], g) >= limit {
			adv[i] += float32(math.Copysign(float64(step)/float64(moved), float64(g)))
		}
	}
}

// free is the size of a gradient's entry, or 0 where the box blocks the way.
func free(v, g float32) float32 {
	switch {
	case g > 0 && v < 1:
		return g
	case g < 0 && v > 0:
		return -g
	}
	return 0
}
