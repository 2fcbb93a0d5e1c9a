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
//
// scratch has twice the length of d. The loops choose by bits: which way an entry moves is as good as
// random, and branches would be mispredicted.
func (n Norm) toPlane(d, point, w []float32, value float64, scratch []float32) float64 {
	turn := uint32(0) // the sign bit
	if value < 0 {
		turn, value = signBit, -value
	}
	size, free := scratch[:len(d)], scratch[len(d):2*len(d)] // of the entries that can gain, side by side
	k, all, most := 0, 0.0, uint32(0)
	room := d // each entry's room, and then its way
	for i, v := range w {
		bits := math.Float32bits(v) ^ turn
		up := uint32(int32(bits)>>31) & nonZero(bits) // all ones where the entry moves up, w being negative
		down := nonZero(bits) &^ up
		r := math.Float32bits(point[i])&down | math.Float32bits(1-point[i])&up
		weight := math.Float32frombits(bits &^ signBit)
		room[i], free[k], size[k] = math.Float32frombits(r), math.Float32frombits(r), weight
		k += int(nonZero(r) & 1)
		all += float64(float64(weight) * float64(room[i]))
		most = max(most, r&^signBit) // in the order of the numbers, which are not negative
	}
	length := float64(math.Float32frombits(most))
	if all > value {
		switch n {
		case L1:
			largestFirst(room, w, value)
		case L2:
			step := common(size[:k], free[:k], value, true)
			for i, v := range w {
				room[i] = float32(min(step*math.Abs(float64(v)), float64(room[i])))
			}
		default:
			step := float32(common(size[:k], free[:k], value, false))
			length = min(length, float64(step))
			for i, r := range room {
				room[i] = math.Float32frombits(min(math.Float32bits(step), math.Float32bits(r)))
			}
		}
	}
	for i, v := range w {
		down := ^(math.Float32bits(v) ^ turn) & signBit
		d[i] = math.Float32frombits(math.Float32bits(d[i]) ^ down)
	}
	if n == Linf {
		return length
	}
	return n.length(d)
}

const signBit = 1 << 31

// nonZero is all ones for the bits of a number that is not 0 or -0.
func nonZero(bits uint32) uint32 {
	bits <<= 1
	return uint32(int32(bits|-bits) >> 31)
}

// common finds the common length, or multiple of |w|, that gains value, which is less than all rooms
// together do. It grows as entries are found to reach their wall: at most as often as there are
// entries, in practice a few times. size is |w| of each entry; it is multiplied if weighted.
func common(size, room []float32, value float64, weighted bool) (length float64) {
	room = room[:len(size)]
	for walls := -1; ; {
		rest, free, count := value, 0.0, 0
		for i, v := range size {
			weight, r := float64(v), float64(room[i])
			way := 1.0 // for length 1
			if weighted {
				way = weight
			}
			moves := uint64(int64(math.Float64bits(float64(length*way)-r)) >> 63) // all ones before the wall
			rest -= math.Float64frombits(math.Float64bits(float64(weight*r)) &^ moves)
			free += math.Float64frombits(math.Float64bits(float64(weight*way)) & moves)
			count += 1 - int(moves&1)
		}
		if count == walls || !(free > 0) {
			return length
		}
		walls, length = count, max(rest/free, length)
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
