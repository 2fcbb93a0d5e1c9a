package ptx

// The instructions that kernels spend their time with, each with a loop of its own.

func init() {
	for _, op := range []string{"fma.rn.f32"} {
		instructions[op] = func(c *compiler) operation {
			d, a, b, e := c.r32(c.arg(0, 4)), c.r32(c.arg(1, 4)), c.r32(c.arg(2, 4)), c.r32(c.arg(3, 4))
			return func(w *warp, mask uint32) {
				D, A, B, E := &w.r[d], &w.r[a], &w.r[b], &w.r[e]
				if mask == full {
					for i := range D {
						D[i] = b32(fma32(f32(A[i]), f32(B[i]), f32(E[i])))
					}
					return
				}
				each(mask, func(i int) { D[i] = b32(fma32(f32(A[i]), f32(B[i]), f32(E[i]))) })
			}
		}
	}
	for _, op := range []string{"add.s32", "add.u32"} {
		instructions[op] = func(c *compiler) operation {
			d, a, b := c.three32()
			return func(w *warp, mask uint32) {
				D, A, B := &w.r[d], &w.r[a], &w.r[b]
				if mask == full {
					for i := range D {
						D[i] = A[i] + B[i]
					}
					return
				}
				each(mask, func(i int) { D[i] = A[i] + B[i] })
			}
		}
	}
	for _, op := range []string{"add.s64", "add.u64"} {
		instructions[op] = func(c *compiler) operation {
			d, a, b := c.r64(c.arg(0, 3)), c.r64(c.arg(1, 3)), c.r64(c.arg(2, 3))
			return func(w *warp, mask uint32) {
				D, A, B := &w.d[d], &w.d[a], &w.d[b]
				if mask == full {
					for i := range D {
						D[i] = A[i] + B[i]
					}
					return
				}
				each(mask, func(i int) { D[i] = A[i] + B[i] })
			}
		}
	}
	for _, op := range []string{"mad.lo.s32", "mad.lo.u32"} {
		instructions[op] = func(c *compiler) operation {
			d, a, b, e := c.r32(c.arg(0, 4)), c.r32(c.arg(1, 4)), c.r32(c.arg(2, 4)), c.r32(c.arg(3, 4))
			return func(w *warp, mask uint32) {
				D, A, B, E := &w.r[d], &w.r[a], &w.r[b], &w.r[e]
				each(mask, func(i int) { D[i] = A[i]*B[i] + E[i] })
			}
		}
	}
	for _, op := range []string{"mov.u32", "mov.s32", "mov.f32", "mov.b32"} {
		instructions[op] = func(c *compiler) operation {
			d, a := c.r32(c.arg(0, 2)), c.r32(c.arg(1, 2))
			return func(w *warp, mask uint32) {
				D, A := &w.r[d], &w.r[a]
				if mask == full {
					*D = *A
					return
				}
				each(mask, func(i int) { D[i] = A[i] })
			}
		}
	}
	for _, op := range []string{"mov.u64", "mov.s64", "mov.f64", "cvta.to.global.u64", "cvta.to.shared.u64", "cvta.global.u64"} {
		instructions[op] = move64
	}
	instructions["mov.b64"] = func(c *compiler) operation {
		to, from := c.arg(0, 2), c.arg(1, 2)
		switch {
		case len(to.list) == 2:
			low, high, a := c.r32(to.list[0]), c.r32(to.list[1]), c.r64(from)
			return func(w *warp, mask uint32) {
				L, H, A := &w.r[low], &w.r[high], &w.d[a]
				each(mask, func(i int) { L[i], H[i] = uint32(A[i]), uint32(A[i]>>32) })
			}
		case len(from.list) == 2:
			d, low, high := c.r64(to), c.r32(from.list[0]), c.r32(from.list[1])
			return func(w *warp, mask uint32) {
				D, L, H := &w.d[d], &w.r[low], &w.r[high]
				each(mask, func(i int) { D[i] = uint64(H[i])<<32 | uint64(L[i]) })
			}
		}
		return move64(c)
	}
}

func move64(c *compiler) operation {
	d, a := c.r64(c.arg(0, 2)), c.r64(c.arg(1, 2))
	return func(w *warp, mask uint32) {
		D, A := &w.d[d], &w.d[a]
		if mask == full {
			*D = *A
			return
		}
		each(mask, func(i int) { D[i] = A[i] })
	}
}

func (c *compiler) three32() (d, a, b int) {
	return c.r32(c.arg(0, 3)), c.r32(c.arg(1, 3)), c.r32(c.arg(2, 3))
}

// fma32 rounds the exact product and sum to double precision, then to single.
func fma32(a, b, c float32) float32 { return float32(float64(a)*float64(b) + float64(c)) }
