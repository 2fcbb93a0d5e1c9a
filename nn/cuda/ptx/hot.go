package ptx

import "math/bits"

// The instructions that kernels spend their time with, as loops over all lanes of a warp: what
// threads that do not take part would get is thrown away.

type (
	vector32 = *[lanes]uint32
	vector64 = *[lanes]uint64
)

// hot32 adds an instruction on 32-bit registers with three operands or two: a third is a again.
func hot32(f func(d, a, b vector32), names ...string) {
	for _, name := range names {
		instructions[name] = func(c *compiler) operation {
			d, a, b := c.three32()
			return func(w *warp, mask uint32) {
				if mask == full {
					f(&w.r[d], &w.r[a], &w.r[b])
					return
				}
				var all [lanes]uint32
				f(&all, &w.r[a], &w.r[b])
				blend(&w.r[d], &all, mask)
			}
		}
	}
}

// hotFused adds an instruction with four 32-bit operands.
func hotFused(f func(d, a, b, c vector32), names ...string) {
	for _, name := range names {
		instructions[name] = func(c *compiler) operation {
			d, a, b, e := c.r32(c.arg(0, 4)), c.r32(c.arg(1, 4)), c.r32(c.arg(2, 4)), c.r32(c.arg(3, 4))
			return func(w *warp, mask uint32) {
				if mask == full {
					f(&w.r[d], &w.r[a], &w.r[b], &w.r[e])
					return
				}
				var all [lanes]uint32
				f(&all, &w.r[a], &w.r[b], &w.r[e])
				blend(&w.r[d], &all, mask)
			}
		}
	}
}

// hot64 adds an instruction on 64-bit registers.
func hot64(f func(d, a, b vector64), names ...string) {
	for _, name := range names {
		instructions[name] = func(c *compiler) operation {
			d, a, b := c.r64(c.arg(0, 3)), c.r64(c.arg(1, 3)), c.r64(c.arg(2, 3))
			return func(w *warp, mask uint32) {
				if mask == full {
					f(&w.d[d], &w.d[a], &w.d[b])
					return
				}
				var all [lanes]uint64
				f(&all, &w.d[a], &w.d[b])
				blend(&w.d[d], &all, mask)
			}
		}
	}
}

// hotWide adds an instruction with a 64-bit result of 32-bit operands: two, or the same twice.
func hotWide(operands int, f func(d vector64, a, b vector32), names ...string) {
	for _, name := range names {
		instructions[name] = func(c *compiler) operation {
			d, a, b := c.r64(c.arg(0, operands)), c.r32(c.arg(1, operands)), c.r32(c.arg(operands-1, operands))
			return func(w *warp, mask uint32) {
				if mask == full {
					f(&w.d[d], &w.r[a], &w.r[b])
					return
				}
				var all [lanes]uint64
				f(&all, &w.r[a], &w.r[b])
				blend(&w.d[d], &all, mask)
			}
		}
	}
}

// blend copies the lanes of a mask.
func blend[T uint32 | uint64](to, from *[lanes]T, mask uint32) {
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask) & (lanes - 1)
		to[i] = from[i]
	}
}

func init() {
	hotFused(func(d, a, b, c vector32) {
		for i := range d {
			d[i] = b32(fma32(f32(a[i]), f32(b[i]), f32(c[i])))
		}
	}, "fma.rn.f32")
	hotFused(func(d, a, b, c vector32) {
		for i := range d {
			d[i] = a[i]*b[i] + c[i]
		}
	}, "mad.lo.s32", "mad.lo.u32")
	hot32(func(d, a, b vector32) {
		for i := range d {
			d[i] = a[i] + b[i]
		}
	}, "add.s32", "add.u32")
	hot32(func(d, a, b vector32) {
		for i := range d {
			d[i] = a[i] - b[i]
		}
	}, "sub.s32", "sub.u32")
	hot32(func(d, a, b vector32) {
		for i := range d {
			d[i] = a[i] * b[i]
		}
	}, "mul.lo.s32", "mul.lo.u32")
	hot32(func(d, a, b vector32) {
		for i := range d {
			d[i] = b32(f32(a[i]) + f32(b[i]))
		}
	}, "add.f32", "add.rn.f32")
	hot64(func(d, a, b vector64) {
		for i := range d {
			d[i] = a[i] + b[i]
		}
	}, "add.s64", "add.u64")
	hot64(func(d, a, b vector64) {
		for i := range d {
			d[i] = a[i] * b[i]
		}
	}, "mul.lo.s64", "mul.lo.u64")
	hotWide(3, func(d vector64, a, b vector32) {
		for i := range d {
			d[i] = uint64(int64(int32(a[i])) * int64(int32(b[i])))
		}
	}, "mul.wide.s32")
	hotWide(3, func(d vector64, a, b vector32) {
		for i := range d {
			d[i] = uint64(a[i]) * uint64(b[i])
		}
	}, "mul.wide.u32")
	hotWide(2, func(d vector64, a, _ vector32) {
		for i := range d {
			d[i] = uint64(int64(int32(a[i])))
		}
	}, "cvt.s64.s32")
	hotWide(2, func(d vector64, a, _ vector32) {
		for i := range d {
			d[i] = uint64(a[i])
		}
	}, "cvt.u64.u32")
}

func (c *compiler) three32() (d, a, b int) {
	return c.r32(c.arg(0, 3)), c.r32(c.arg(1, 3)), c.r32(c.arg(2, 3))
}

// fma32 rounds the exact product and sum to double precision, then to single.
func fma32(a, b, c float32) float32 { return float32(float64(a)*float64(b) + float64(c)) }
