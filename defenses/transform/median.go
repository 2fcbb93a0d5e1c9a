package transform

import (
	"fmt"
	"slices"

	"rampart/nn/registry"
)

// Median takes the median of a square window in each channel (Xu et al. 2018, section 3.2), mirrored
// at the borders. As in scipy, which the authors use, the middle of an even window lies below and to the
// right of its centre, and the upper of two medians is taken.
type Median struct {
	Placed
	anyShape
	fixed
	monotone
	exact
	// Size is the window's side.
	Size int `toml:"size"`
}

// Validate implements Transform.
func (t *Median) Validate() error {
	if t.Size < 2 || t.Size > 31 {
		return registry.Errorf("size", "%d must lie between 2 and 31", t.Size)
	}
	return t.Placed.Validate()
}

// Label implements Transform.
func (t *Median) Label() string { return fmt.Sprintf("median filter (%dx%d)", t.Size, t.Size) }

// Forward implements Transform.
func (t *Median) Forward(v *View) {
	from := slices.Clone(v.X)
	t.each(v, from, func(to, source int) { v.X[to] = from[source] })
}

// Backward implements Transform: the gradient of a median is that of the pixel it is.
func (t *Median) Backward(dx []float32, v *View) {
	from := slices.Clone(dx)
	clear(dx)
	t.each(v, v.X, func(to, source int) { dx[source] += from[to] })
}

// each calls f for each value with the place of its median.
func (t *Median) each(v *View, x []float32, f func(to, source int)) {
	window := make([]int, t.Size*t.Size)
	in, first := v.In, -(t.Size / 2)
	for row := range in.H {
		for column := range in.W {
			for c := range in.C {
				for k := range window {
					y, x := mirror(row+first+k/t.Size, in.H), mirror(column+first+k%t.Size, in.W)
					window[k] = (y*in.W+x)*in.C + c
				}
				// Of equals the first in the window comes first, so that Backward finds what Forward took.
				slices.SortStableFunc(window, func(a, b int) int {
					switch {
					case x[a] < x[b]:
						return -1
					case x[a] > x[b]:
						return 1
					}
					return 0
				})
				f((row*in.W+column)*in.C+c, window[len(window)/2])
			}
		}
	}
}

func init() {
	registry.Register("median", func() Transform { return &Median{Placed: deployed, Size: 2} })
}
