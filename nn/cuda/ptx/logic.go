package ptx

import "unsafe"

// compare32 and compare64 add the six comparisons of a type, by the symbols of PTX; where unordered is
// set, comparisons with NaN are true.
func compare32[T int32 | uint32 | float32](suffix string, unordered bool) {
	for name, o := range order {
		instructions["setp."+name+suffix] = func(c *compiler) operation {
			d, a, b := c.pred(c.arg(0, 3)), c.r32(c.arg(1, 3)), c.r32(c.arg(2, 3))
			return func(w *warp, mask uint32) {
				A, B := (*[lanes]T)(unsafe.Pointer(&w.r[a])), (*[lanes]T)(unsafe.Pointer(&w.r[b]))
				w.p[d] = w.p[d]&^mask | compared(A, B, o, unordered)&mask
			}
		}
	}
}

func compare64[T int64 | uint64 | float64](suffix string, unordered bool) {
	for name, o := range order {
		instructions["setp."+name+suffix] = func(c *compiler) operation {
			d, a, b := c.pred(c.arg(0, 3)), c.r64(c.arg(1, 3)), c.r64(c.arg(2, 3))
			return func(w *warp, mask uint32) {
				A, B := (*[lanes]T)(unsafe.Pointer(&w.d[a])), (*[lanes]T)(unsafe.Pointer(&w.d[b]))
				w.p[d] = w.p[d]&^mask | compared(A, B, o, unordered)&mask
			}
		}
	}
}

// relation says which results of a comparison satisfy a condition.
type relation struct{ less, equal, greater bool }

var order = map[string]relation{
	"eq": {false, true, false}, "ne": {true, false, true}, "lt": {true, false, false},
	"le": {true, true, false}, "gt": {false, false, true}, "ge": {false, true, true},
}

// compared is a bit for each lane whose values are in a relation.
func compared[T int32 | uint32 | float32 | int64 | uint64 | float64](a, b *[lanes]T, o relation, unordered bool) uint32 {
	var less, equal, greater uint32
	for i := range lanes {
		x, y := a[i], b[i]
		var l, e, g uint32
		if x < y {
			l = 1
		}
		if x == y {
			e = 1
		}
		if x > y {
			g = 1
		}
		less, equal, greater = less|l<<i, equal|e<<i, greater|g<<i
	}
	set := uint32(0)
	if o.less {
		set |= less
	}
	if o.equal {
		set |= equal
	}
	if o.greater {
		set |= greater
	}
	if unordered {
		set |= ^(less | equal | greater)
	}
	return set
}

func init() {
	compare32[int32](".s32", false)
	compare32[uint32](".u32", false)
	compare32[uint32](".b32", false)
	compare32[float32](".f32", false)
	compare32[float32]("u.f32", true)
	compare64[int64](".s64", false)
	compare64[uint64](".u64", false)
	compare64[uint64](".b64", false)
	compare64[float64](".f64", false)
	compare64[float64]("u.f64", true)
	instructions["setp.nan.f32"] = func(c *compiler) operation {
		d, a, b := c.pred(c.arg(0, 3)), c.r32(c.arg(1, 3)), c.r32(c.arg(2, 3))
		return func(w *warp, mask uint32) {
			A, B := (*[lanes]float32)(unsafe.Pointer(&w.r[a])), (*[lanes]float32)(unsafe.Pointer(&w.r[b]))
			w.p[d] = w.p[d]&^mask | compared(A, B, relation{}, true)&mask
		}
	}

	for name, f := range map[string]func(a, b uint32) uint32{
		"and.pred": func(a, b uint32) uint32 { return a & b },
		"or.pred":  func(a, b uint32) uint32 { return a | b },
		"xor.pred": func(a, b uint32) uint32 { return a ^ b },
	} {
		instructions[name] = func(c *compiler) operation {
			d, a, b := c.pred(c.arg(0, 3)), c.pred(c.arg(1, 3)), c.pred(c.arg(2, 3))
			return func(w *warp, mask uint32) { w.p[d] = w.p[d]&^mask | f(w.p[a], w.p[b])&mask }
		}
	}
	instructions["not.pred"] = func(c *compiler) operation {
		d, a := c.pred(c.arg(0, 2)), c.pred(c.arg(1, 2))
		return func(w *warp, mask uint32) { w.p[d] = w.p[d]&^mask | ^w.p[a]&mask }
	}
	instructions["mov.pred"] = func(c *compiler) operation {
		d, from := c.pred(c.arg(0, 2)), c.arg(1, 2)
		switch from.text {
		case "0", "-1", "1":
			value := uint32(0)
			if from.text != "0" {
				value = full
			}
			return func(w *warp, mask uint32) { w.p[d] = w.p[d]&^mask | value&mask }
		}
		a := c.pred(from)
		return func(w *warp, mask uint32) { w.p[d] = w.p[d]&^mask | w.p[a]&mask }
	}
	// Registers of 16 bits are the lower halves of others.
	for _, name := range []string{"selp.b32", "selp.f32", "selp.u32", "selp.s32", "selp.b16", "selp.u16"} {
		instructions[name] = func(c *compiler) operation {
			d, a, b, p := c.r32(c.arg(0, 4)), c.r32(c.arg(1, 4)), c.r32(c.arg(2, 4)), c.pred(c.arg(3, 4))
			return func(w *warp, mask uint32) {
				D, A, B, set := &w.r[d], &w.r[a], &w.r[b], w.p[p]
				each(mask, func(i int) {
					if set>>i&1 != 0 {
						D[i] = A[i]
					} else {
						D[i] = B[i]
					}
				})
			}
		}
	}
	for _, name := range []string{"selp.b64", "selp.f64", "selp.u64", "selp.s64"} {
		instructions[name] = func(c *compiler) operation {
			d, a, b, p := c.r64(c.arg(0, 4)), c.r64(c.arg(1, 4)), c.r64(c.arg(2, 4)), c.pred(c.arg(3, 4))
			return func(w *warp, mask uint32) {
				D, A, B, set := &w.d[d], &w.d[a], &w.d[b], w.p[p]
				each(mask, func(i int) {
					if set>>i&1 != 0 {
						D[i] = A[i]
					} else {
						D[i] = B[i]
					}
				})
			}
		}
	}
	instructions["bfi.b32"] = func(c *compiler) operation { // d is b with the low bits of a put in
		d, a, b, from, count := c.r32(c.arg(0, 5)), c.r32(c.arg(1, 5)), c.r32(c.arg(2, 5)), c.r32(c.arg(3, 5)), c.r32(c.arg(4, 5))
		return func(w *warp, mask uint32) {
			each(mask, func(i int) {
				at, field := w.r[from][i]&255, uint32(uint64(1)<<(w.r[count][i]&255)-1)
				w.r[d][i] = w.r[b][i]&^(field<<at) | w.r[a][i]&field<<at
			})
		}
	}
	shuffle("bfly", func(lane, by int) int { return lane ^ by })
	shuffle("idx", func(_, by int) int { return by })
}

// shuffle lets threads of a warp read each other's registers: each from the lane that source gives.
func shuffle(kind string, source func(lane, by int) int) {
	instructions["shfl.sync."+kind+".b32"] = func(c *compiler) operation {
		to := c.arg(0, 5)
		d, a, b, clamp, member := c.r32(to), c.r32(c.arg(1, 5)), c.r32(c.arg(2, 5)), c.r32(c.arg(3, 5)), c.r32(c.arg(4, 5))
		p, line := -1, c.cur.line
		if to.also != "" {
			p = c.pred(arg{text: to.also})
		}
		return func(w *warp, mask uint32) {
			from := w.r[a]
			each(mask, func(i int) {
				if w.r[member][i]&w.live != mask {
					w.fail(line, "a shuffle of the threads %#x is reached by %#x of %#x", w.r[member][i], mask, w.live)
				}
				if w.r[clamp][i] != 31 {
					w.fail(line, "a shuffle with clamp %#x is not supported", w.r[clamp][i])
				}
				j := source(i, int(w.r[b][i])) & 31
				if mask>>j&1 == 0 {
					w.fail(line, "a shuffle reads thread %d, which is not there", j)
				}
				w.r[d][i] = from[j]
			})
			if p >= 0 {
				w.p[p] |= mask
			}
		}
	}
}
