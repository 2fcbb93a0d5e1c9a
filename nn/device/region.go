package device

// Region is a rectangle of the positions of an example [H,W,C]: lines Top to Bottom, columns Left to
// Right, the last ones not included.
type Region struct{ Top, Left, Bottom, Right int }

// Height is the number of its lines.
func (r Region) Height() int { return r.Bottom - r.Top }

// Width is the number of its columns.
func (r Region) Width() int { return r.Right - r.Left }

// Empty reports whether it holds no position.
func (r Region) Empty() bool { return r.Top >= r.Bottom || r.Left >= r.Right }

// Covers reports whether it holds all of another one.
func (r Region) Covers(o Region) bool {
	return o.Empty() || r.Top <= o.Top && r.Left <= o.Left && r.Bottom >= o.Bottom && r.Right >= o.Right
}

// Union is the least region that holds both.
func (r Region) Union(o Region) Region {
	switch {
	case r.Empty():
		return o
	case o.Empty():
		return r
	}
	return Region{min(r.Top, o.Top), min(r.Left, o.Left), max(r.Bottom, o.Bottom), max(r.Right, o.Right)}
}

// Aligned is the least region that holds it, whose sides lie at multiples of grid or at the end of an
// image of height x width.
func (r Region) Aligned(grid, height, width int) Region {
	up := func(v, most int) int { return min((v+grid-1)/grid*grid, most) }
	return Region{r.Top / grid * grid, r.Left / grid * grid, up(r.Bottom, height), up(r.Right, width)}
}

// Reach is the region of the outputs that see any of a region of the inputs.
func (w Window) Reach(in Region) Region {
	if in.Empty() {
		return Region{}
	}
	top, bottom := reach(in.Top+w.PadTop, in.Bottom+w.PadTop, w.KH, w.Stride, w.OutH())
	left, right := reach(in.Left+w.PadLeft, in.Right+w.PadLeft, w.KW, w.Stride, w.OutW())
	return Region{top, left, bottom, right}
}

// reach is Reach along one axis, from and to being counted from the padding on.
func reach(from, to, kernel, stride, length int) (first, end int) {
	if from >= kernel {
		first = (from-kernel)/stride + 1
	}
	return first, min((to-1)/stride+1, length)
}

// Part is the geometry of a region of the outputs: the inputs that it sees, and the window whose image
// is these alone, padded where they lie at the border.
func (w Window) Part(out Region) (in Region, part Window) {
	part = w
	in.Top, in.Bottom, part.PadTop, part.PadBottom = seen(out.Top, out.Bottom, w.KH, w.Stride, w.PadTop, w.H)
	in.Left, in.Right, part.PadLeft, part.PadRight = seen(out.Left, out.Right, w.KW, w.Stride, w.PadLeft, w.W)
	part.H, part.W = in.Height(), in.Width()
	return in, part
}

// seen is Part along one axis.
func seen(first, end, kernel, stride, pad, length int) (from, to, before, after int) {
	from, to = first*stride-pad, (end-1)*stride-pad+kernel
	before, after = max(0, -from), max(0, to-length)
	return from + before, to - after, before, after
}
