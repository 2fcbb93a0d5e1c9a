package onnx

import "slices"

// layout says how the values of one example lie in memory. Memory is a block with axes of the given
// sizes, outermost first; each axis of the ONNX tensor, its batch left out, is made of some of them,
// outermost first. So an image [N,C,H,W] that lies as H,W,C has sizes H,W,C and axes {2},{0},{1}, and
// flattened the one axis {2,0,1}; reshaping and transposing move nothing. Sizes are above 1.
type layout struct {
	sizes []int
	axes  [][]int
}

// newLayout makes one of parts in memory order; order lists, for each axis, the parts that it has.
func newLayout(parts []int, order ...[]int) layout {
	l, number := layout{}, make([]int, len(parts))
	for i, n := range parts {
		number[i] = -1
		if n > 1 {
			number[i] = len(l.sizes)
			l.sizes = append(l.sizes, n)
		}
	}
	for _, axis := range order {
		var a []int
		for _, p := range axis {
			if number[p] >= 0 {
				a = append(a, number[p])
			}
		}
		l.axes = append(l.axes, a)
	}
	return l
}

// dims are the sizes of the tensor's axes.
func (l layout) dims() []int {
	d := make([]int, len(l.axes))
	for i := range l.axes {
		d[i] = l.size(i)
	}
	return d
}

func (l layout) size(axis int) int {
	n := 1
	for _, a := range l.axes[axis] {
		n *= l.sizes[a]
	}
	return n
}

// sequence lists memory's axes in the order of the tensor's.
func (l layout) sequence() []int { return slices.Concat(l.axes...) }

// plain reports whether the tensor's elements lie in memory in their order.
func (l layout) plain() bool { return slices.IsSorted(l.sequence()) }

// transpose reorders the tensor's axes.
func (l layout) transpose(perm []int) layout {
	out := layout{sizes: l.sizes}
	for _, p := range perm {
		out.axes = append(out.axes, l.axes[p])
	}
	return out
}

// reshape gives the tensor other axes of the same product; false where that would move values.
func (l layout) reshape(dims []int) (layout, bool) {
	sizes, seq := l.merged()
	var cut []int      // sizes in the order of the tensor
	var origin []int   // of each: the axis of memory that it is cut from
	next, rest := 0, 0 // the next of seq, and what is left of the one begun
	var counts []int   // how many of cut each axis has
	for _, d := range dims {
		n := 0
		for d > 1 {
			if rest <= 1 {
				if next == len(seq) {
					return l, false
				}
				rest = sizes[seq[next]]
				next++
			}
			take := min(d, rest)
			if d%take != 0 || rest%take != 0 {
				return l, false
			}
			cut, origin = append(cut, take), append(origin, seq[next-1])
			d, rest, n = d/take, rest/take, n+1
		}
		if d != 1 {
			return l, false
		}
		counts = append(counts, n)
	}
	if next != len(seq) || rest > 1 {
		return l, false
	}
	// Number the pieces by their place in memory: by origin, and within one in the order of cutting.
	order := make([]int, len(cut))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return origin[a] - origin[b] })
	out, number := layout{}, make([]int, len(cut))
	for place, i := range order {
		number[i] = place
		out.sizes = append(out.sizes, cut[i])
	}
	for _, n := range counts {
		out.axes = append(out.axes, slices.Clone(number[:n]))
		number = number[n:]
	}
	return out, true
}

// merged joins memory's axes that are neighbours both there and in the tensor's order.
func (l layout) merged() (sizes, seq []int) {
	seq = l.sequence()
	first := map[int]bool{} // axes that begin a run
	for i, a := range seq {
		if i == 0 || seq[i-1] != a-1 {
			first[a] = true
		}
	}
	number := make([]int, len(l.sizes))
	for a, n := range l.sizes {
		if first[a] {
			sizes = append(sizes, n)
		} else {
			sizes[len(sizes)-1] *= n
		}
		number[a] = len(sizes) - 1
	}
	var runs []int
	for _, a := range seq {
		if first[a] {
			runs = append(runs, number[a])
		}
	}
	return sizes, runs
}

// same reports whether two tensors of one shape have their elements at the same places.
func (l layout) same(o layout) bool {
	s, a := l.merged()
	t, b := o.merged()
	return slices.Equal(l.dims(), o.dims()) && slices.Equal(s, t) && slices.Equal(a, b)
}

// positions gives, for each place in memory, the index of the tensor's element there, in row-major
// order.
func (l layout) positions() []int {
	seq := l.sequence()
	sizes := make([]int, len(seq))
	for i, a := range seq {
		sizes[i] = l.sizes[a]
	}
	weight := make([]int, len(seq)) // of memory's axes, in the tensor
	for i, s := range strides(sizes) {
		weight[seq[i]] = s
	}
	var list []int
	walk(l.sizes, func(index []int) {
		at := 0
		for i, v := range index {
			at += v * weight[i]
		}
		list = append(list, at)
	})
	return list
}
