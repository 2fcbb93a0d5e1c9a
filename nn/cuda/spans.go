package cuda

// span is a range of values of a tensor, or of rows: from is in it, to is not.
type span struct{ from, to int }

func (s span) times(size int) span { return span{s.from * size, s.to * size} }

// spans are ranges in ascending order that neither meet nor overlap.
type spans []span

// whole is all of n values.
func whole(n int) spans { return spans{{0, n}} }

// without is s less a range.
func (s spans) without(cut span) (rest spans) {
	if cut.from >= cut.to {
		return s
	}
	for _, v := range s {
		if before := (span{v.from, min(v.to, cut.from)}); before.from < before.to {
			rest = append(rest, before)
		}
		if after := (span{max(v.from, cut.to), v.to}); after.from < after.to {
			rest = append(rest, after)
		}
	}
	return rest
}

// with is s and a range.
func (s spans) with(more span) (all spans) {
	if more.from >= more.to {
		return s
	}
	for _, v := range s {
		if v.from <= more.to && more.from <= v.to {
			more = span{min(v.from, more.from), max(v.to, more.to)}
		}
	}
	done := false
	for _, v := range s {
		if v.to >= more.from && !done {
			all, done = append(all, more), true
		}
		if v.to < more.from || v.from > more.to {
			all = append(all, v)
		}
	}
	if !done {
		all = append(all, more)
	}
	return all
}

// within is what of s lies in a range.
func (s spans) within(w span) (part spans) {
	for _, v := range s {
		if v.from, v.to = max(v.from, w.from), min(v.to, w.to); v.from < v.to {
			part = append(part, v)
		}
	}
	return part
}
