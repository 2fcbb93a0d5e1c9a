package ptx

import "math"

// The instructions of tensor cores: D[16,8] = A[16,K] B[K,8] + C[16,8] by a whole warp, each thread
// holding fragments as the PTX ISA lays them out (Matrix Fragments for mma.m16n8k8 with .tf32, and for
// mma.m16n8k16 with .bf16). Sums are rounded once; hardware rounds somehow in between.

// fragments is the layout of an instruction: where a thread's values lie, those of one register after
// those of the one before. group is lane/4, in is lane%4.
type fragments struct {
	k, perRegister int
	a              func(group, in, i int) (row, k int)
	b              func(group, in, i int) (k, column int)
}

// accumulator is the place of a thread's four values of C and D.
func accumulator(group, in, i int) (row, column int) { return group + i/2*8, 2*in + i%2 }

var tf32 = fragments{k: 8, perRegister: 1,
	a: func(group, in, i int) (row, k int) { return group + i%2*8, in + i/2*4 },
	b: func(group, in, i int) (k, column int) { return in + i*4, group }}

var bf16 = fragments{k: 16, perRegister: 2,
	a: func(group, in, i int) (row, k int) { return group + i/2%2*8, 2*in + i%2 + i/4*8 },
	b: func(group, in, i int) (k, column int) { return 2*in + i%2 + i/2*8, group }}

func init() {
	instructions["mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"] = func(c *compiler) operation {
		line := c.cur.line
		return c.multiply(&tf32, func(w *warp, bits uint32, _ int) float32 {
			if bits&(1<<13-1) != 0 {
				w.fail(line, "%v is no TF32: it has not been rounded", f32(bits))
			}
			return f32(bits)
		})
	}
	instructions["mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"] = func(c *compiler) operation {
		return c.multiply(&bf16, func(_ *warp, bits uint32, half int) float32 { return f32(bits >> (16 * half) << 16) })
	}
	// To the nearest, ties away from zero: 10 bits of the mantissa stay.
	unary32(func(a uint32) uint32 {
		if f32(a) != f32(a) {
			return 0x7fffe000
		}
		if a>>23&255 == 255 {
			return a
		}
		return (a + 1<<12) &^ (1<<13 - 1)
	}, "cvt.rna.tf32.f32")
	binary32(func(high, low uint32) uint32 { return nearestBF16(high)<<16 | nearestBF16(low) }, "cvt.rn.bf16x2.f32")
}

// nearestBF16 keeps 7 bits of the mantissa, to the nearest, ties to even.
func nearestBF16(a uint32) uint32 {
	if v := f32(a); v != v {
		return 0x7fff
	} else if math.IsInf(float64(v), 0) {
		return a >> 16
	}
	return (a + 1<<15 - 1 + a>>16&1) >> 16
}

// multiply compiles an mma; value reads an operand's value from its register.
func (c *compiler) multiply(f *fragments, value func(w *warp, bits uint32, half int) float32) operation {
	c.since(80)
	d, line := c.values(c.arg(0, 4), 4, 4), c.cur.line
	a, b, e := c.values(c.arg(1, 4), 4, 4), c.values(c.arg(2, 4), 4, 2), c.values(c.arg(3, 4), 4, 4)
	return func(w *warp, mask uint32) {
		if mask != full {
			w.fail(line, "a product of matrices by the threads %#x alone", mask)
		}
		var A [16][16]float64 // [row][k]
		var B [8][16]float64  // [column][k]
		for lane := range lanes {
			group, in := lane/4, lane%4
			for i := range 4 * f.perRegister {
				row, k := f.a(group, in, i)
				A[row][k] = float64(value(w, w.r[a[i/f.perRegister]][lane], i%f.perRegister))
			}
			for i := range 2 * f.perRegister {
				k, column := f.b(group, in, i)
				B[column][k] = float64(value(w, w.r[b[i/f.perRegister]][lane], i%f.perRegister))
			}
		}
		for lane := range lanes {
			for i := range 4 {
				row, column := accumulator(lane/4, lane%4, i)
				x, y := A[row][:f.k], B[column][:f.k]
				sum := 0.0
				for k, v := range x {
					sum += v * y[k]
				}
				w.r[d[i]][lane] = b32(float32(float64(f32(w.r[e[i]][lane])) + sum))
			}
		}
	}
}
