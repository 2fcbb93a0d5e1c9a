package kernel

import (
	"fmt"
	"math"
	"testing"

	"rampart/nn/device"
)

// The references are the formulas of PyTorch's documentation, in double precision.

func TestSGD(t *testing.T) {
	eachImplementation(t, testSGD)
}

func testSGD(t *testing.T) {
	for _, o := range []device.SGD{
		{}, {WeightDecay: .01}, {Momentum: .9}, {Momentum: .9, WeightDecay: .01}, {Momentum: .9, WeightDecay: .01, Nesterov: true},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			const n, lr, clip = 19, .1, .5
			r := newRand(1)
			w, v := newGuarded(n), make([]float32, n*o.States())
			copy(w.x, normals(r, n))
			want, momentum := widen(w.x), make([]float64, n)
			for step := range 5 {
				g := normals(r, n)
				SGD(o, w.x, g, v, lr, clip)
				for i := range want {
					d := clip*float64(g[i]) + float64(o.WeightDecay)*want[i]
					if o.Momentum != 0 {
						if step == 0 {
							momentum[i] = d
						} else {
							momentum[i] = float64(o.Momentum)*momentum[i] + d
						}
						if o.Nesterov {
							d += float64(o.Momentum) * momentum[i]
						} else {
							d = momentum[i]
						}
					}
					want[i] -= lr * d
				}
				compareClose(t, w.x, want, 1e-6)
			}
			w.check(t, "w")
		})
	}
}

func TestAdam(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for _, o := range []device.Adam{
			{Beta1: .9, Beta2: .999, Epsilon: 1e-8},
			{Beta1: .8, Beta2: .99, Epsilon: 1e-3, WeightDecay: .1},
			{Beta1: .9, Beta2: .999, Epsilon: 1e-8, WeightDecay: .1, Decoupled: true},
		} {
			for _, n := range []int{1, 7, 8, 37} {
				t.Run(fmt.Sprintf("%+v/%d", o, n), func(t *testing.T) { checkAdam(t, o, n) })
			}
		}
	})
}

func checkAdam(t *testing.T, o device.Adam, n int) {
	const lr, clip = .01, .5
	r := newRand(1)
	w, m, v := newGuarded(n), newGuarded(n), newGuarded(n)
	copy(w.x, normals(r, n))
	clear(m.x)
	clear(v.x)
	want, mean, square := widen(w.x), make([]float64, n), make([]float64, n)
	b1, b2, decay := float64(o.Beta1), float64(o.Beta2), float64(o.WeightDecay)
	for step := 1; step <= 10; step++ {
		g := normals(r, n)
		Adam(o, w.x, g, m.x, v.x, lr, clip, step)
		for i := range want {
			d := clip * float64(g[i])
			if o.Decoupled {
				want[i] *= 1 - lr*decay
			} else {
				d += decay * want[i]
			}
			mean[i] = b1*mean[i] + (1-b1)*d
			square[i] = b2*square[i] + (1-b2)*d*d
			m, v := mean[i]/(1-math.Pow(b1, float64(step))), square[i]/(1-math.Pow(b2, float64(step)))
			want[i] -= lr * m / (math.Sqrt(v) + float64(o.Epsilon))
		}
		compareClose(t, w.x, want, 1e-5)
	}
	for name, g := range map[string]guarded{"w": w, "m": m, "v": v} {
		g.check(t, name)
	}
}

// TestOptimizerImplementations holds the assembly to the bits of the portable loops.
func TestOptimizerImplementations(t *testing.T) {
	defer Use(Current())
	adam := device.Adam{Beta1: .9, Beta2: .999, Epsilon: 1e-8, WeightDecay: .01}
	sgd := device.SGD{Momentum: .9, WeightDecay: .01, Nesterov: true}
	var want []float32
	for _, name := range Implementations() {
		if err := Use(name); err != nil {
			t.Fatal(err)
		}
		r := newRand(1)
		w, m, v := normals(r, 45), make([]float32, 45), make([]float32, 45)
		for step := 1; step < 5; step++ {
			Adam(adam, w, normals(r, 45), m, v, .01, 1, step)
		}
		clear(v)
		for range 5 {
			SGD(sgd, w, normals(r, 45), v, .01, .7)
		}
		if want == nil {
			want = w
		}
		sameBits(t, name, w, want)
	}
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func compareClose(t *testing.T, got []float32, want []float64, tolerance float64) {
	t.Helper()
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= tolerance*(1+math.Abs(w))) {
			t.Fatalf("value %d = %v, want %v", i, got[i], w)
		}
	}
}
