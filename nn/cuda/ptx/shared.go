package ptx

import (
	"math/bits"
	"strings"
)

// access remembers who touched a word of shared memory: epoch<<8 | warp, where warp 255 of a read is
// several.
type access struct{ write, read uint32 }

const severalWarps = 255

// sharedRead checks a read of a word of shared memory and remembers it.
func (w *warp) sharedRead(line int, word uint32) uint32 {
	b := w.b
	s := &b.shadow[word]
	if s.write>>8 == flying {
		w.fail(line, "a read of the shared word %d, which a copy of warp %d is on its way to", word, s.write&255)
	}
	if s.write>>8 == b.epoch && s.write&255 != w.id {
		w.fail(line, "a race: warp %d wrote the shared word %d that this reads, with no barrier between", s.write&255, word)
	}
	if s.write>>8 < b.birth {
		w.fail(line, "a read of the shared word %d, which nothing has written", word)
	}
	if me := b.epoch<<8 | w.id; s.read != me {
		if s.read>>8 == b.epoch {
			s.read = b.epoch<<8 | severalWarps
		} else {
			s.read = me
		}
	}
	return b.shared[word]
}

// sharedWrite checks a write and does it.
func (w *warp) sharedWrite(line int, word, v uint32) {
	b := w.b
	s := &b.shadow[word]
	if s.write>>8 == flying {
		w.fail(line, "a write to the shared word %d, which a copy of warp %d is on its way to", word, s.write&255)
	}
	if s.write>>8 == b.epoch && s.write&255 != w.id {
		w.fail(line, "a race: warp %d wrote the shared word %d that this writes, with no barrier between", s.write&255, word)
	}
	if s.read>>8 == b.epoch && s.read&255 != w.id {
		w.fail(line, "a race: another warp read the shared word %d that this writes, with no barrier between", word)
	}
	s.write = b.epoch<<8 | w.id
	b.shared[word] = v
}

// spot is the address of an access to shared memory: a variable or a number, or a register of 32 or
// 64 bits, and an offset.
type spot struct {
	line, bytes int
	size        uint64 // of all shared memory
	top         int64  // the last address that fits
	offset      uint64
	r, d        int // register, -1 for none
}

func (c *compiler) spot(a arg, bytes int) *spot {
	s := &spot{line: c.cur.line, bytes: bytes, size: uint64(c.k.sharedSize), offset: uint64(a.offset), r: -1, d: -1}
	s.top = int64(s.size) - int64(bytes)
	switch name := (arg{text: a.text}); {
	case !strings.HasPrefix(a.text, "%"):
		base, ok := c.symbols[a.text]
		if !ok {
			base = c.integer(a.text)
		}
		s.offset += base
	case c.regs[a.text].size == 8:
		s.d = c.r64(name)
	default:
		s.r = c.r32(name)
	}
	return s
}

// word returns the index of the first word that a thread accesses.
func (s *spot) word(w *warp, i int) uint32 {
	at := s.offset
	if s.r >= 0 {
		at = uint64(w.r[s.r][i] + uint32(s.offset))
		if at&uint64(s.bytes-1) == 0 && int64(at) <= s.top {
			return uint32(at / 4)
		}
	} else if s.d >= 0 {
		at += w.d[s.d][i]
	}
	if at%uint64(s.bytes) != 0 {
		w.fail(s.line, "an access of %d bytes at %#x of shared memory is misaligned", s.bytes, at)
	}
	if at+uint64(s.bytes) > s.size || int64(at) < 0 {
		w.fail(s.line, "an access of %d bytes at %d of shared memory, of which there are %d", s.bytes, int64(at), s.size)
	}
	return uint32(at / 4)
}

func (c *compiler) loadShared(size, count int) operation {
	to, from := c.arg(0, 2), c.arg(1, 2)
	spot, slots := c.spot(from, size*count), c.values(to, size, count)
	if size == 8 {
		return func(w *warp, mask uint32) {
			each(mask, func(i int) {
				word := spot.word(w, i)
				for _, slot := range slots {
					low := w.sharedRead(spot.line, word)
					w.d[slot][i] = uint64(w.sharedRead(spot.line, word+1))<<32 | uint64(low)
					word += 2
				}
			})
		}
	}
	return func(w *warp, mask uint32) {
		b := w.b
		// What this warp, or several, has read since the barrier has been checked already. Lanes that
		// follow each other often read the same words.
		me, several := b.epoch<<8|w.id, b.epoch<<8|severalWarps
		var last uint32
		var values [4]uint32
		for m := mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & (lanes - 1)
			word := spot.word(w, i)
			if word != last || m == mask {
				last = word
				known, stored := b.shadow[word:], b.shared[word:]
				for j := range slots {
					if read := known[j].read; read != me && read != several {
						w.sharedRead(spot.line, word+uint32(j))
					}
					values[j&3] = stored[j]
				}
			}
			for j, slot := range slots {
				w.r[slot][i] = values[j&3]
			}
		}
	}
}

func (c *compiler) storeShared(size, count int) operation {
	to, from := c.arg(0, 2), c.arg(1, 2)
	spot, slots := c.spot(to, size*count), c.values(from, size, count)
	return func(w *warp, mask uint32) {
		each(mask, func(i int) {
			word := spot.word(w, i)
			for _, slot := range slots {
				if size == 8 {
					w.sharedWrite(spot.line, word, uint32(w.d[slot][i]))
					w.sharedWrite(spot.line, word+1, uint32(w.d[slot][i]>>32))
					word += 2
					continue
				}
				w.sharedWrite(spot.line, word, w.r[slot][i])
				word++
			}
		})
	}
}
