package data

import (
	"math"
	"slices"
	"testing"

	"rampart/nn/rng"
)

// TestAffineGolden compares with torchvision (testdata/affine.py).
func TestAffineGolden(t *testing.T) {
	var golden struct {
		H, W  int
		Cases []struct {
			Angle, Right, Down, Scale, ShearX, ShearY, Fill float64
			C                                               int
			Interpolation                                   string
			In, Out                                         []float32
		}
	}
	readGolden(t, "testdata/affine.json", &golden)
	const degree = math.Pi / 180
	for _, c := range golden.Cases {
		v := &View{H: golden.H, W: golden.W, C: c.C, X: slices.Clone(c.In), Scratch: make([]float32, len(c.In))}
		a := &Affine{Interpolation: c.Interpolation, Fill: c.Fill}
		a.warp(v, inverse(c.Angle*degree, c.ShearX*degree, c.ShearY*degree, c.Scale), c.Right, c.Down)
		for i, x := range v.X {
			if math.Abs(float64(x-c.Out[i])) > 5e-6 {
				t.Errorf("%v: value %d is %v, torchvision has %v", c.Interpolation, i, x, c.Out[i])
				break
			}
		}
	}
	if len(golden.Cases) != 21 {
		t.Errorf("%d cases", len(golden.Cases))
	}
}

// TestAffineRanges: a lit pixel ends everywhere within what the options allow, and nowhere else.
func TestAffineRanges(t *testing.T) {
	const h, w = 21, 31
	for _, c := range []struct {
		name                     string
		a                        Affine
		x, y                     int // lit, from the centre
		left, right, top, bottom int // of all places that it ends at, from the centre
	}{
		{"translate", Affine{Translate: 0.1, Scale: []float64{1, 1}}, 0, 0, -3, 3, -2, 2},
		{"degrees", Affine{Degrees: 90, Scale: []float64{1, 1}}, 0, -8, -8, 8, -8, 0},
		{"scale", Affine{Scale: []float64{1, 1.5}}, 6, 0, 6, 9, 0, 0},
		{"shear", Affine{Shear: 45, Scale: []float64{1, 1}}, 0, 5, -5, 5, 0, 10}, // 5 (1 - tan tan) down
	} {
		c.a.Interpolation = "nearest"
		left, right, top, bottom := w, -w, h, -h
		for i := range uint32(2000) {
			v := &View{H: h, W: w, C: 1, X: make([]float32, h*w), Scratch: make([]float32, h*w), Draw: rng.New(1, "test").Sequence(i, 1, 0)}
			v.X[(c.y+h/2)*w+c.x+w/2] = 1
			c.a.Apply(v)
			for at, p := range v.X {
				if p == 1 {
					x, y := at%w-w/2, at/w-h/2
					left, right, top, bottom = min(left, x), max(right, x), min(top, y), max(bottom, y)
				}
			}
		}
		if got, want := [4]int{left, right, top, bottom}, [4]int{c.left, c.right, c.top, c.bottom}; got != want {
			t.Errorf("%s: ends within %v, want %v", c.name, got, want)
		}
	}
}
