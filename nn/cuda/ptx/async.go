package ptx

// Asynchronous copies from global to shared memory. What a thread copies is read at once but lands only
// when it waits for the group: until then nobody may touch the words.

// flying in the place of an epoch says that a copy to a word is under way.
const flying = 1<<24 - 1

// landing is a word on its way to shared memory.
type landing struct{ word, value uint32 }

func init() {
	instructions["cp.async.ca.shared.global"] = func(c *compiler) operation { return c.copyAsync(4, 8, 16) }
	instructions["cp.async.cg.shared.global"] = func(c *compiler) operation { return c.copyAsync(16) }
	instructions["cp.async.commit_group"] = func(c *compiler) operation {
		line := c.cur.line
		return func(w *warp, mask uint32) {
			w.together(line, mask)
			w.groupEnds = append(w.groupEnds, len(w.landings))
		}
	}
	instructions["cp.async.wait_group"] = func(c *compiler) operation {
		line, left := c.cur.line, int(c.integer(c.arg(0, 1).text))
		return func(w *warp, mask uint32) {
			w.together(line, mask)
			if done := len(w.groupEnds) - left; done > 0 {
				w.land(done)
			}
		}
	}
}

// together rejects a group that only some threads of a warp end or wait for.
func (w *warp) together(line int, mask uint32) {
	if mask != w.live {
		w.fail(line, "a group of copies of the threads %#x of %#x is not supported", mask, w.live)
	}
}

// copyAsync compiles a copy with the number of bytes that are read; the rest is zeros.
func (c *compiler) copyAsync(sizes ...int) operation {
	c.since(80)
	to, from, size := c.arg(0, 4), c.arg(1, 4), int(c.integer(c.arg(2, 4).text))
	known := false
	for _, s := range sizes {
		known = known || s == size
	}
	if !known {
		c.fail("copies of %d bytes are not possible", size)
	}
	spot, read := c.spot(to, size), c.r32(c.arg(3, 4))
	p, base := c.place(from, 4, size/4, "an asynchronous read"), c.r64(arg{text: from.text})
	return func(w *warp, mask uint32) {
		each(mask, func(i int) {
			word, n := spot.word(w, i), w.r[read][i]
			if n != 0 && n != uint32(size) {
				w.fail(p.line, "a copy of %d bytes of %d is not supported", n, size)
			}
			var a *allocation
			var at uint64
			if n > 0 {
				a, at = w.global(p, w.d[base][i]+p.offset)
			}
			for j := range uint32(size / 4) {
				v := uint32(0)
				if a != nil {
					if a.known[at/4+uint64(j)] != full {
						w.unknown(p, a, at)
					}
					v = a.words[at/4+uint64(j)]
				}
				w.sharedWrite(p.line, word+j, w.b.shared[word+j]) // for its checks
				w.b.shadow[word+j] = access{write: flying<<8 | w.id}
				w.landings = append(w.landings, landing{word + j, v})
			}
		})
	}
}

// land ends the oldest groups of copies: this warp has written the words now.
func (w *warp) land(groups int) {
	b, end := w.b, w.groupEnds[groups-1]
	for _, l := range w.landings[:end] {
		b.shared[l.word] = l.value
		b.shadow[l.word].write = b.epoch<<8 | w.id
	}
	w.landings = w.landings[:copy(w.landings, w.landings[end:])]
	w.groupEnds = w.groupEnds[:copy(w.groupEnds, w.groupEnds[groups:])]
	for i := range w.groupEnds {
		w.groupEnds[i] -= end
	}
}

// forget drops the copies that a block leaves under way.
func (w *warp) forget() {
	for _, l := range w.landings {
		w.b.shadow[l.word] = access{}
	}
	w.landings, w.groupEnds = w.landings[:0], w.groupEnds[:0]
}
