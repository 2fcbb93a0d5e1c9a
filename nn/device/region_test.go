package device

import "testing"

// TestRegions compares Reach and Part with every output of every region of small images.
func TestRegions(t *testing.T) {
	windows := []Window{
		{H: 5, W: 6, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1},
		{H: 6, W: 5, KH: 2, KW: 2, Stride: 2},
		{H: 7, W: 7, KH: 1, KW: 1, Stride: 3},
		{H: 7, W: 6, KH: 4, KW: 3, Stride: 2, PadTop: 1, PadBottom: 2, PadRight: 1},
		{H: 5, W: 5, KH: 5, KW: 5, Stride: 1},
	}
	for _, w := range windows {
		var every []Region // those of a whole number of positions
		for top := range w.H {
			for left := range w.W {
				for bottom := top + 1; bottom <= w.H; bottom++ {
					for right := left + 1; right <= w.W; right++ {
						every = append(every, Region{top, left, bottom, right})
					}
				}
			}
		}
		for _, in := range every {
			var want Region
			for y := range w.OutH() {
				for x := range w.OutW() {
					one := Region{y, x, y + 1, x + 1}
					seen, part := w.Part(one)
					if part.OutH() != 1 || part.OutW() != 1 || seen.Height() != part.H || seen.Width() != part.W {
						t.Fatalf("%+v: output %d, %d has a part %+v of inputs %v", w, y, x, part, seen)
					}
					top, left := y*w.Stride-w.PadTop, x*w.Stride-w.PadLeft
					if whole := (Region{max(top, 0), max(left, 0), min(top+w.KH, w.H), min(left+w.KW, w.W)}); seen != whole {
						t.Fatalf("%+v: output %d, %d sees %v, want %v", w, y, x, seen, whole)
					}
					meets := Region{max(seen.Top, in.Top), max(seen.Left, in.Left), min(seen.Bottom, in.Bottom), min(seen.Right, in.Right)}
					if !meets.Empty() {
						want = want.Union(one)
					}
				}
			}
			got := w.Reach(in)
			if got != want && !(got.Empty() && want.Empty()) {
				t.Fatalf("%+v: %v reaches %v, want %v", w, in, got, want)
			}
			if got.Empty() {
				continue
			}
			if seen, part := w.Part(got); part.OutH() != got.Height() || part.OutW() != got.Width() || !w.Reach(seen).Covers(got) {
				t.Fatalf("%+v: outputs %v see %v as %+v", w, got, seen, part)
			}
		}
	}
}

func TestRegionAligned(t *testing.T) {
	for _, c := range []struct {
		r    Region
		grid int
		want Region
	}{
		{Region{1, 4, 3, 5}, 4, Region{0, 4, 4, 8}},
		{Region{5, 0, 9, 10}, 4, Region{4, 0, 9, 10}},
		{Region{2, 3, 4, 9}, 1, Region{2, 3, 4, 9}},
	} {
		if got := c.r.Aligned(c.grid, 9, 10); got != c.want {
			t.Errorf("%v at %d is %v, want %v", c.r, c.grid, got, c.want)
		}
	}
}
