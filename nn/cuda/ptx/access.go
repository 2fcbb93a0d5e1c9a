package ptx

import "math/bits"

// Loads and stores: ld.global.nc.v2.f64 and its like are put together from their parts.
func init() {
	types := map[string]int{"u8": 1, "b8": 1, "u32": 4, "s32": 4, "f32": 4, "b32": 4, "u64": 8, "s64": 8, "f64": 8, "b64": 8}
	for name, size := range types {
		instructions["ld.param."+name] = func(c *compiler) operation { return c.param(size) }
		for vector, count := range map[string]int{"": 1, "v2.": 2, "v4.": 4} {
			if count*size > 16 || size == 1 && count > 1 {
				continue
			}
			for _, space := range []string{"global.", "global.nc."} {
				instructions["ld."+space+vector+name] = func(c *compiler) operation { return c.load(size, count, name[0] == 's') }
			}
			instructions["st.global."+vector+name] = func(c *compiler) operation { return c.store(size, count) }
			if size > 1 {
				instructions["ld.shared."+vector+name] = func(c *compiler) operation { return c.loadShared(size, count) }
				instructions["st.shared."+vector+name] = func(c *compiler) operation { return c.storeShared(size, count) }
			}
		}
	}
}

// values returns the registers of a scalar or vector operand: in r for up to 4 bytes, in d for 8.
func (c *compiler) values(a arg, size, count int) []int {
	list := a.list
	if len(list) == 0 {
		list = []arg{a}
	}
	if len(list) != count {
		c.fail("%d registers where %d are due", len(list), count)
	}
	var slots []int
	for _, one := range list {
		if size == 8 {
			slots = append(slots, c.r64(one))
		} else {
			slots = append(slots, c.r32(one))
		}
	}
	return slots
}

func (c *compiler) param(size int) operation {
	to, from := c.arg(0, 2), c.arg(1, 2)
	at, ok := c.symbols[from.text]
	if !ok {
		c.fail("unknown parameter %q", from.text)
	}
	at += uint64(from.offset)
	d := c.values(to, size, 1)[0]
	return func(w *warp, mask uint32) {
		var v uint64
		for i := range size {
			v |= uint64(w.b.params[at+uint64(i)]) << (8 * i)
		}
		each(mask, func(i int) {
			if size == 8 {
				w.d[d][i] = v
			} else {
				w.r[d][i] = uint32(v)
			}
		})
	}
}

func (c *compiler) place(a arg, size, count int, what string) *place {
	p := &place{id: len(c.m.places), line: c.cur.line, size: size, count: count, offset: uint64(a.offset), what: what}
	c.m.places = append(c.m.places, p)
	return p
}

func (c *compiler) load(size, count int, signed bool) operation {
	to, from := c.arg(0, 2), c.arg(1, 2)
	if c.regs[to.text].size == 8 && size == 4 {
		return c.loadWide(to, from, signed)
	}
	p, base, slots := c.place(from, size, count, "a read"), c.r64(arg{text: from.text}), c.values(to, size, count)
	if size == 4 && count == 1 {
		d := slots[0]
		return func(w *warp, mask uint32) {
			D, B, a := &w.r[d], &w.d[base], w.b.hints[p.id]
			for m := mask; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m) & (lanes - 1)
				at := B[i] + p.offset
				if a == nil || at%4 != 0 || at-a.base > a.top {
					a, _ = w.global(p, at)
				}
				word := (at - a.base) / 4
				if a.known[word] != full {
					w.unknown(p, a, at-a.base)
				}
				D[i] = a.words[word]
			}
		}
	}
	return func(w *warp, mask uint32) {
		each(mask, func(i int) {
			a, at := w.global(p, w.d[base][i]+p.offset)
			for _, slot := range slots {
				var v uint64
				for b := range uint64(size) {
					if a.written[at+b] == 0 {
						w.unknown(p, a, at)
					}
					v |= uint64(a.bytes[at+b]) << (8 * b)
				}
				if size == 8 {
					w.d[slot][i] = v
				} else {
					w.r[slot][i] = uint32(v)
				}
				at += uint64(size)
			}
		})
	}
}

// loadWide extends four bytes to a 64-bit register.
func (c *compiler) loadWide(to, from arg, signed bool) operation {
	p, base, d := c.place(from, 4, 1, "a read"), c.r64(arg{text: from.text}), c.r64(to)
	return func(w *warp, mask uint32) {
		each(mask, func(i int) {
			a, at := w.global(p, w.d[base][i]+p.offset)
			if a.known[at/4] != full {
				w.unknown(p, a, at)
			}
			w.d[d][i] = uint64(a.words[at/4])
			if signed {
				w.d[d][i] = uint64(int64(int32(a.words[at/4])))
			}
		})
	}
}

func (c *compiler) store(size, count int) operation {
	to, from := c.arg(0, 2), c.arg(1, 2)
	p, base, slots := c.place(to, size, count, "a write"), c.r64(arg{text: to.text}), c.values(from, size, count)
	if size == 4 && count == 1 {
		s := slots[0]
		return func(w *warp, mask uint32) {
			S, B := &w.r[s], &w.d[base]
			each(mask, func(i int) {
				a, at := w.global(p, B[i]+p.offset)
				a.words[at/4], a.known[at/4] = S[i], full
			})
		}
	}
	return func(w *warp, mask uint32) {
		each(mask, func(i int) {
			a, at := w.global(p, w.d[base][i]+p.offset)
			for _, slot := range slots {
				v := uint64(0)
				if size == 8 {
					v = w.d[slot][i]
				} else {
					v = uint64(w.r[slot][i])
				}
				for b := range uint64(size) {
					a.bytes[at+b], a.written[at+b] = byte(v>>(8*b)), 255
				}
				at += uint64(size)
			}
		})
	}
}
