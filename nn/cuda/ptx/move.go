package ptx

func init() {
	for _, op := range []string{"mov.u32", "mov.s32", "mov.f32", "mov.b32"} {
		instructions[op] = func(c *compiler) operation {
			d, a := c.r32(c.arg(0, 2)), c.r32(c.arg(1, 2))
			return func(w *warp, mask uint32) {
				if mask == full {
					w.r[d] = w.r[a]
					return
				}
				blend(&w.r[d], &w.r[a], mask)
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
		if mask == full {
			w.d[d] = w.d[a]
			return
		}
		blend(&w.d[d], &w.d[a], mask)
	}
}
