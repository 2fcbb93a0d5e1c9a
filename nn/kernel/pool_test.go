package kernel

import (
	"fmt"
	"testing"

	"rampart/nn/device"
)

var pools = []device.Window{
	window(28, 28, 32, 2, 2, 0), window(14, 14, 64, 2, 2, 0), window(7, 5, 8, 2, 2, 0), window(4, 6, 3, 2, 2, 0), window(1, 1, 8, 1, 1, 0),
	window(7, 7, 5, 3, 2, 1), window(6, 6, 16, 3, 1, 1), window(7, 7, 10, 7, 7, 0), window(5, 4, 2, 2, 3, 1), window(16, 16, 2, 16, 1, 0),
	{H: 5, W: 7, C: 3, KH: 2, KW: 3, Stride: 2, PadBottom: 1, PadRight: 2},
}

// elements calls f for each element of each window that is not padding.
func elements(w device.Window, f func(y, k, x int)) {
	for oy := range w.OutH() {
		for ox := range w.OutW() {
			for k := range w.KH * w.KW {
				iy, ix := oy*w.Stride+k/w.KW-w.PadTop, ox*w.Stride+k%w.KW-w.PadLeft
				if iy >= 0 && iy < w.H && ix >= 0 && ix < w.W {
					for c := range w.C {
						f((oy*w.OutW()+ox)*w.C+c, k, (iy*w.W+ix)*w.C+c)
					}
				}
			}
		}
	}
}

func checkMaxPool(t *testing.T, w device.Window, x []float32, seed uint64) {
	n := w.OutH() * w.OutW() * w.C
	best, arg := make([]float32, n), make([]int, n)
	for i := range arg {
		arg[i] = -1
	}
	elements(w, func(y, k, i int) {
		if v := x[i]; arg[y] < 0 || v > best[y] || v != v {
			best[y], arg[y] = v, k
		}
	})
	y, index := newGuarded(n), make([]uint8, n+2)
	index[n], index[n+1] = 77, 77
	MaxPool(w, y.x, index[:n:n], x)
	sameBits(t, "y", y.x, best)
	y.check(t, "y")
	for i, a := range arg {
		if int(index[i]) != a {
			t.Fatalf("index[%d] = %d, want %d", i, index[i], a)
		}
	}
	if index[n] != 77 || index[n+1] != 77 {
		t.Fatal("wrote beyond the index")
	}
	dy, want := inGuards(normals(newRand(seed), n)), make([]sum64, len(x))
	elements(w, func(y, k, i int) {
		if arg[y] == k {
			want[i].add(dy[y], 1)
		}
	})
	dx := newGuarded(len(x))
	MaxPoolGrad(w, dx.x, dy, index[:n])
	compareSums(t, "dx", dx.x, want)
	dx.check(t, "dx")
}

func TestMaxPool(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for i, w := range pools {
			t.Run(fmt.Sprintf("%+v", w), func(t *testing.T) {
				r := newRand(uint64(i))
				x := inGuards(normals(r, w.H*w.W*w.C))
				checkMaxPool(t, w, x, uint64(i))
				for i := range x {
					x[i] = float32(r.IntN(3)) // many equals
				}
				checkMaxPool(t, w, x, uint64(i))
				copy(x, specials(r, len(x)))
				for i, v := range x {
					if v == 0 {
						x[i] = 0 // of one sign: zeros of either are equal
					}
				}
				checkMaxPool(t, w, x, uint64(i))
			})
		}
	})
}

func FuzzMaxPool(f *testing.F) {
	f.Add(uint8(7), uint8(7), uint8(8), uint8(2), uint8(2), uint64(1))
	f.Fuzz(func(t *testing.T, h, w, c, k, stride uint8, seed uint64) {
		p := window(1+int(h%20), 1+int(w%20), 1+int(c%33), 1+int(k%4), 1+int(stride%3), 0)
		if !validWindow(p) {
			t.Skip()
		}
		x := specials(newRand(seed), p.H*p.W*p.C)
		eachImplementation(t, func(t *testing.T) { checkMaxPool(t, p, x, seed) })
	})
}

func TestAvgPool(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for i, w := range pools {
			t.Run(fmt.Sprintf("%+v", w), func(t *testing.T) {
				r := newRand(uint64(i))
				n := w.OutH() * w.OutW() * w.C
				x, dy := inGuards(normals(r, w.H*w.W*w.C)), inGuards(normals(r, n))
				y, dx := make([]sum64, n), make([]sum64, len(x))
				share := 1 / float32(w.KH*w.KW)
				elements(w, func(o, _, i int) {
					y[o].add(x[i], share)
					dx[i].add(dy[o], share)
				})
				got := newGuarded(n)
				AvgPool(w, got.x, x)
				compareSums(t, "y", got.x, y)
				got.check(t, "y")
				got = newGuarded(len(x))
				AvgPoolGrad(w, got.x, dy)
				compareSums(t, "dx", got.x, dx)
				got.check(t, "dx")
			})
		}
	})
}
