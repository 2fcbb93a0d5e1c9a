package device

import "slices"

// Lifetime is a buffer in an arena: its number, its size in values, and the first and the last step
// that touch it.
type Lifetime struct{ Buffer, Size, From, To int }

// Arrange gives buffers that live at the same time different places, in offsets by buffer number,
// and returns the memory needed: first fit, the largest first. Places are multiples of 16 values.
func Arrange(list []Lifetime, offsets []int) (total int) {
	slices.SortStableFunc(list, func(a, b Lifetime) int { return b.Size - a.Size })
	var placed []Lifetime
	for _, iv := range list {
		// Cache lines are not shared between buffers.
		size := (iv.Size + 15) &^ 15
		at := 0
		for moved := true; moved; {
			moved = false
			for _, o := range placed {
				start, end := offsets[o.Buffer], offsets[o.Buffer]+(o.Size+15)&^15
				if iv.From <= o.To && o.From <= iv.To && at < end && start < at+size {
					at, moved = end, true
				}
			}
		}
		offsets[iv.Buffer] = at
		placed = append(placed, iv)
		total = max(total, at+size)
	}
	return total
}
