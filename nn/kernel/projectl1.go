package kernel

import (
	"cmp"
	"math"
	"slices"
)

// ProjectL1 moves an image adv to the nearest point, in L2, of the L1 ball of radius eps around x
// inside [0,1] (Croce and Hein 2021, section 3.1): each difference shrinks by the same amount and
// is cut where its pixel meets the box.
func ProjectL1(adv, x []float32, eps float32) { new(Ascent).projectL1(adv, x, eps) }

// breakpoint is where, as the shrinkage grows, the norm's slope changes: a pixel leaves the box's
// wall or comes to rest at x. Between these points the norm is linear.
type breakpoint struct{ at, slope float64 }

func (a *Ascent) projectL1(adv, x []float32, eps float32) {
	x = x[:len(adv)]
	points := a.points[:0]
	norm := 0.0
	for i, v := range adv {
		length, room := lengthAndRoom(v, x[i])
		norm += min(length, room)
		if room > 0 && length > 0 {
			points = append(points, breakpoint{max(length-room, 0), 1}, breakpoint{length, -1})
		}
	}
	a.points = points
	shrink := 0.0
	if norm > float64(eps) {
		slices.SortFunc(points, func(a, b breakpoint) int { return cmp.Compare(a.at, b.at) })
		slope := 0.0
		for _, p := range points {
			if next := norm - slope*(p.at-shrink); next <= float64(eps) {
				break
			} else {
				norm, shrink = next, p.at
			}
			slope += p.slope
		}
		if slope > 0 {
			shrink += (norm - float64(eps)) / slope
		}
	}
	for i, v := range adv {
		length, room := lengthAndRoom(v, x[i])
		move := min(max(length-shrink, 0), room)
		adv[i] = clamp(float32(float64(x[i])+math.Copysign(move, float64(v)-float64(x[i]))), 0, 1)
	}
}

// lengthAndRoom are the distance of v from x, and of the box's wall on that side.
func lengthAndRoom(v, x float32) (length, room float64) {
	if v < x {
		return float64(x) - float64(v), float64(x)
	}
	return float64(v) - float64(x), 1 - float64(x)
}
