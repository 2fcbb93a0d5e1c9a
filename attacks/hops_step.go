package attacks

import (
	"math"
	"slices"
)

// mostHalvings bounds the search for a step that stays adversarial: past it the step is rounding.
const mostHalvings = 40

// hop moves x along the direction, by a step that is halved until it is adversarial (section III.D).
func (h *hops) hop(rows []int, t int) ([]int, error) {
	for _, r := range rows {
		h.step[r] = h.distance[r] / math.Sqrt(float64(t))
	}
	var done []int
	left, first := slices.Clone(rows), h.question
	for try := 0; try < mostHalvings && len(left) > 0; try++ {
		left = h.afford(left, 1)
		for i, r := range left {
			h.along(h.row(h.asked, i), h.row(h.x, r), r, h.step[r])
			h.step[r] /= 2
		}
		if err := h.decide(left); err != nil {
			return nil, err
		}
		left = h.missed(left, &done)
	}
	h.question = first + mostHalvings
	// Where no step is adversarial x stays: other probes may do better.
	done = append(done, left...)
	slices.Sort(done)
	return done, nil
}

// gridSize is the number of steps that grid tries, from a ten-thousandth of the distance to all of it.
const gridSize = 20

// grid moves x along the direction by each of several steps, back to the boundary from where it is
// adversarial, and stays at the nearest place. (foolbox and the authors' code have this search.)
func (h *hops) grid(rows []int) ([]int, error) {
	from, far := slices.Clone(h.x), slices.Clone(h.distance)
	best, least := slices.Clone(h.x), slices.Repeat([]float64{math.Inf(1)}, len(far))
	for k := range gridSize {
		share := math.Pow(10, -4+4*float64(k)/(gridSize-1))
		left := h.afford(slices.Clone(rows), 1)
		for i, r := range left {
			h.along(h.row(h.asked, i), h.row(from, r), r, share*far[r])
		}
		if err := h.decide(left); err != nil {
			return nil, err
		}
		var hits []int
		h.missed(left, &hits)
		hits, err := h.toBoundary(hits)
		if err != nil {
			return nil, err
		}
		for _, r := range hits {
			if h.distance[r] < least[r] {
				least[r] = h.distance[r]
				copy(h.row(best, r), h.row(h.x, r))
			}
		}
	}
	for _, r := range rows {
		copy(h.row(h.x, r), h.row(best, r)) // as it was where no step is adversarial
		if h.distance[r] = least[r]; math.IsInf(least[r], 1) {
			h.distance[r] = far[r]
		}
	}
	return rows, nil
}

// along sets image to the point of the box that lies a step from x along row r's direction.
func (h *hops) along(image, x []float32, r int, step float64) {
	direction := h.row(h.direction, r)
	for j, v := range x {
		image[j] = float32(min(max(float64(v)+step*float64(direction[j]), 0), 1))
	}
}
