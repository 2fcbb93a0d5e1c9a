package attacks

import (
	"cmp"
	"slices"

	"rampart/data"
)

// start finds an adversarial image for each row. It returns the rows that have one; those that are
// adversarial as they are need none.
func (h *hops) start() ([]int, error) {
	left := count(len(h.used))
	copy(h.asked, h.clean)
	if err := h.decide(left); err != nil {
		return nil, err
	}
	left = h.missed(left, nil)
	propose := h.random
	if h.targets != nil {
		propose = h.targetImages(left)
	}
	var found []int
	for try := 0; try < h.Starts && len(left) > 0; try++ {
		left = slices.DeleteFunc(h.afford(left, 1), func(r int) bool { return !propose(h.row(h.x, r), r, try) })
		for i, r := range left {
			copy(h.row(h.asked, i), h.row(h.x, r))
		}
		if err := h.decide(left); err != nil {
			return nil, err
		}
		left = h.missed(left, &found)
	}
	h.draws, h.question = drawHops+2*uint32(h.Starts), uint64(h.Starts)+1 // however many tries the batch took
	slices.Sort(found)
	return found, nil
}

// random sets x to uniform noise, every other time to a blend of it with row r's clean image.
func (h *hops) random(x []float32, r, try int) bool {
	draw := drawHops + 2*uint32(try)
	h.d.Stream.Uniform(x, 0, 1, h.o.b.Index[r], h.d.Restart, draw)
	if try%2 == 1 {
		blend := h.d.Stream.Sequence(h.o.b.Index[r], h.d.Restart, draw+1)
		share := blend.Float64()
		for j, clean := range h.row(h.clean, r) {
			x[j] = float32(float64(clean) + share*(float64(x[j])-float64(clean)))
		}
	}
	return true
}

// targetImages sets x to the data set's images of row r's target, one after the other from a drawn one
// on. Their order is that of their numbers, whatever that of the data set.
func (h *hops) targetImages(rows []int) func(x []float32, r, try int) bool {
	of := map[int32][]int{}
	for _, r := range rows {
		if target := h.targets[r]; of[target] == nil {
			of[target] = imagesOfClass(h.o.b.Data, target)
		}
	}
	return func(x []float32, r, try int) bool {
		list := of[h.targets[r]]
		if try >= len(list) {
			return false
		}
		first := h.d.Stream.Sequence(h.o.b.Index[r], h.d.Restart, drawHops)
		h.o.b.Data.Image(list[(int(first.Uint32n(uint32(len(list))))+try)%len(list)], x)
		return true
	}
}

// imagesOfClass are the positions of a class's images in a data set, by their numbers.
func imagesOfClass(d *data.Dataset, class int32) (list []int) {
	for i := range d.Len() {
		if d.Label(i) == class {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b int) int { return cmp.Compare(d.Index(a), d.Index(b)) })
	return list
}

// missed returns the rows whose image is not adversarial, and adds the others to found with their
// image, where found is not nil.
func (h *hops) missed(rows []int, found *[]int) []int {
	var left []int
	for i, r := range rows {
		switch {
		case !h.hit[i]:
			left = append(left, r)
		case found != nil:
			copy(h.row(h.x, r), h.row(h.asked, i))
			h.keep(r)
			*found = append(*found, r)
		}
	}
	return left
}
