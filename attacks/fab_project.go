package attacks

import (
	"math"
)

// dual is the dual norm of a gradient: L1 for Linf, L2 for L2, Linf for L1.
func (n Norm) dual(g []float32) float64 {
	sum := 0.0
	for _, v := range g {
		d := math.Abs(float64(v))
		switch n {
		case Linf:
			sum += d
		case L2:
			sum += float64(d * d)
		default:
			sum = max(sum, d)
		}
	}
	if n == L2 {
		return math.Sqrt(sum)
	}
	return sum
}

// toPlane finds the shortest way d, in the norm, from a point of the box [0,1] to the hyperplane
// value + w d = 0 that stays inside the box, and returns its length. Where the plane does not meet
// the box, d leads as near to it as the box allows (Croce and Hein 2020b, equations 3 and 4).
//
// An entry's room is the distance of the box's wall on the side that brings the value towards 0,
// its gain there |w| times the room. In Linf all entries move by the same length, in L2 by the same
// multiple of |w|, each as far as its room allows; in L1 those of the largest |w| move alone.
func (n Norm) toPlane(d, point, w []float32, value float64) float64 {
	turn := float32(1)
	if value < 0 {
		turn, value = -1, -value
	}
	room := d // each entry's room, and then its way
	all := 0.0
	for i, v := range w {
		switch v *= turn; {
		case v > 0:
			room[i] = point[i]
			all += float64(v) * float64(room[i])
		case v < 0:
			room[i] = 1 - point[i]
			all -= float64(v) * float64(room[i])
		default:
			room[i] = 0
		}
	}
	if all > value {
		switch n {
		case L1:
			largestFirst(room, w, value)
		default:
			n.together(room, w, value)
		}
	}
	for i, v := range w {
		if v*turn > 0 {
			d[i] = -d[i]
		}
	}
	return n.length(d)
}

// together cuts rooms to what a common length, or multiple of |w|, takes to gain value, which is
// less than all of them. The length grows as entries are found to reach their wall: at most as
// often as there are entries, in practice a few times.
func (n Norm) together(room, w []float32, value float64) {
	weight := func(v float32) float64 { // the way of an entry for length 1
		if n == L2 {
			return math.Abs(float64(v))
		}
		return 1
	}
	length := 0.0
	for walls := -1; ; {
		rest, free, count := value, 0.0, 0
		for i, v := range w {
			if size := math.Abs(float64(v)); length*weight(v) >= float64(room[i]) {
				rest -= size * float64(room[i])
				count++
			} else {
				free += size * weight(v)
			}
		}
		if count == walls || !(free > 0) {
			break
		}
		walls, length = count, max(rest/free, length)
	}
	for i, v := range w {
		room[i] = float32(min(length*weight(v), float64(room[i])))
	}
}

// largestFirst cuts rooms to what gains value by the entries of the largest |w|: the entries are
// parted by a pivot, as in Hoare's selection, and the part in which the value is reached is parted on.
func largestFirst(room, w []float32, value float64) {
	order := make([]int32, 0, len(w))
	for i, v := range w {
		if v != 0 && room[i] > 0 {
			order = append(order, int32(i))
		}
	}
	size := func(i int32) float32 { return float32(math.Abs(float64(w[i]))) }
	for len(order) > 0 {
		pivot := size(order[len(order)/2])
		above, at := 0, 0 // order[:above] have larger weights, order[above:at] the pivot's
		gain, gainAt := 0.0, 0.0
		for j, i := range order {
			switch s := size(i); {
			case s > pivot:
				order[j] = order[at]
				order[at] = order[above]
				order[above] = i
				above, at = above+1, at+1
				gain += float64(s) * float64(room[i])
			case s == pivot:
				order[j] = order[at]
				order[at] = i
				at++
				gainAt += float64(s) * float64(room[i])
			}
		}
		switch {
		case gain >= value: // reached among the larger ones
			for _, i := range order[above:] {
				room[i] = 0
			}
			order = order[:above]
		case gain+gainAt >= value: // reached at the pivot
			value -= gain
			for _, i := range order[above:at] {
				most := float64(pivot) * float64(room[i])
				room[i] = float32(min(most, value) / float64(pivot))
				value -= min(most, value)
			}
			for _, i := range order[at:] {
				room[i] = 0
			}
			return
		default:
			value -= gain + gainAt
			order = order[at:]
		}
	}
}

// length is the norm of a row.
func (n Norm) length(v []float32) float64 {
	switch n {
	case Linf:
		return L1.dual(v)
	case L2:
		return L2.dual(v)
	}
	return Linf.dual(v)
}
