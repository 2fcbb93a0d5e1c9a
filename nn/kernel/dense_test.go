package kernel

import (
	"fmt"
	"math"
	"testing"
)

func checkDense(t *testing.T, d Dense, rows int, seed uint64) {
	r := newRand(seed)
	x, w := inGuards(normals(r, rows*d.In)), inGuards(normals(r, d.In*d.Out))
	bias, dy := inGuards(normals(r, d.Out)), inGuards(normals(r, rows*d.Out))
	y, dx, dw := make([]sum64, rows*d.Out), make([]sum64, rows*d.In), make([]sum64, len(w))
	for r := range rows {
		for o := range d.Out {
			y[r*d.Out+o].add(bias[o], 1)
			for i := range d.In {
				y[r*d.Out+o].add(x[r*d.In+i], w[i*d.Out+o])
				dx[r*d.In+i].add(dy[r*d.Out+o], w[i*d.Out+o])
				dw[i*d.Out+o].add(x[r*d.In+i], dy[r*d.Out+o])
			}
		}
	}
	packed, transposed := newGuarded(d.PackedForward()), newGuarded(d.PackedInputGrad())
	d.PackForward(packed.x, w)
	d.PackInputGrad(transposed.x, w)
	packed.check(t, "packed")
	transposed.check(t, "transposed")

	scratch := newGuarded(d.Scratch(rows))
	got := newGuarded(len(y))
	d.Forward(got.x, x, packed.x, bias, rows, false, scratch.x)
	compareSums(t, "y", got.x, y)
	plain := append([]float32(nil), got.x...)
	d.Forward(got.x, x, packed.x, bias, rows, true, scratch.x)
	ReLU(plain, plain)
	sameBits(t, "relu(y)", got.x, plain)
	got.check(t, "y")

	got = newGuarded(len(dx))
	d.InputGrad(got.x, dy, transposed.x, rows, scratch.x)
	compareSums(t, "dx", got.x, dx)
	got.check(t, "dx")

	got = newGuarded(len(dw))
	shared := newGuarded(d.WeightGradShared(rows))
	denseWeightGrad(d, got.x, x, dy, rows, shared.x, scratch.x)
	shared.check(t, "shared")
	compareSums(t, "dw", got.x, dw)
	got.check(t, "dw")
	scratch.check(t, "scratch")
}

func TestDense(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for i, c := range []struct{ in, out, rows int }{
			{100, 10, 25}, {784, 100, 13}, {1, 1, 1}, {385, 17, 7}, {33, 48, 65}, {769, 16, 6}, {50, 33, 129}, {5, 5, 0},
		} {
			t.Run(fmt.Sprint(c), func(t *testing.T) { checkDense(t, Dense{c.in, c.out}, c.rows, uint64(i)) })
		}
	})
}

func FuzzDense(f *testing.F) {
	f.Add(uint16(385), uint8(17), uint8(7))
	f.Fuzz(func(t *testing.T, in uint16, out, rows uint8) {
		eachImplementation(t, func(t *testing.T) {
			checkDense(t, Dense{1 + int(in%1000), 1 + int(out)}, int(rows%140), uint64(in))
		})
	})
}

// TestDenseRows computes each row in blocks of every size: its bits must not change.
func TestDenseRows(t *testing.T) {
	const rows = 27
	eachImplementation(t, func(t *testing.T) {
		for _, d := range []Dense{{401, 37}, {64, 10}} {
			r := newRand(3)
			x, dy, bias := normals(r, rows*d.In), normals(r, rows*d.Out), normals(r, d.Out)
			w := normals(r, d.In*d.Out)
			packed, transposed := make([]float32, d.PackedForward()), make([]float32, d.PackedInputGrad())
			d.PackForward(packed, w)
			d.PackInputGrad(transposed, w)
			y, dx := make([]float32, rows*d.Out), make([]float32, rows*d.In)
			d.Forward(y, x, packed, bias, rows, true, nil)
			d.InputGrad(dx, dy, transposed, rows, nil)
			for n := 1; n < rows; n++ {
				y2, dx2 := make([]float32, len(y)), make([]float32, len(dx))
				for i := 0; i < rows; i += n {
					m := min(n, rows-i)
					d.Forward(y2[i*d.Out:], x[i*d.In:], packed, bias, m, true, nil)
					d.InputGrad(dx2[i*d.In:], dy[i*d.Out:], transposed, m, nil)
				}
				sameBits(t, "y", y2, y)
				sameBits(t, "dx", dx2, dx)
			}
		}
	})
}

// TestConvPositions shifts an image by whole strides: the same window must give the same bits
// wherever its pixel falls in a tile.
func TestConvPositions(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for _, c := range []Conv{{window(1, 40, 3, 1, 1, 0), 5}, {window(1, 41, 33, 1, 1, 0), 20}, {window(1, 37, 2, 1, 1, 0), 16}} {
			k := newConvCase(c, 1, 5)
			k.pack(t)
			for i := range k.x {
				k.x[i] = k.x[i%c.C]
			}
			for i := range k.dy {
				k.dy[i] = k.dy[i%c.Out]
			}
			y, dx, scratch := make([]float32, len(k.dy)), make([]float32, len(k.x)), make([]float32, c.Scratch())
			c.Forward(y, k.x, k.packed, k.bias, 1, false, scratch)
			c.InputGrad(dx, k.dy, k.flipped, 1, scratch)
			for p := range c.W {
				sameBits(t, "y", y[p*c.Out:][:c.Out], y[:c.Out])
				sameBits(t, "dx", dx[p*c.C:][:c.C], dx[:c.C])
			}
		}
	})
}

func TestDenseNaN(t *testing.T) {
	d := Dense{20, 18}
	eachImplementation(t, func(t *testing.T) {
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(-1))} {
			w := make([]float32, d.In*d.Out) // zero times NaN is NaN
			x, dy := make([]float32, 7*d.In), make([]float32, 7*d.Out)
			x[3*d.In+4], dy[5*d.Out+17] = bad, bad
			packed, transposed := make([]float32, d.PackedForward()), make([]float32, d.PackedInputGrad())
			d.PackForward(packed, w)
			d.PackInputGrad(transposed, w)
			y, dx := make([]float32, len(dy)), make([]float32, len(x))
			for _, relu := range []bool{false, true} {
				d.Forward(y, x, packed, nil, 7, relu, nil)
				for i, v := range y {
					if (v != v) != (i/d.Out == 3) {
						t.Fatalf("y[%d] = %v", i, v)
					}
				}
			}
			d.InputGrad(dx, dy, transposed, 7, nil)
			for i, v := range dx {
				if (v != v) != (i/d.In == 5) {
					t.Fatalf("dx[%d] = %v", i, v)
				}
			}
		}
	})
}
