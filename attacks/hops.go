package attacks

import (
	"math"
	"slices"

	"rampart/nn/device"
	"rampart/nn/kernel"
)

// hops is a HopSkipJump in progress. Slices are by row of the batch. All rows go side by side, each
// with a count of its own decisions; questions are numbered by what they are for, so that neither
// random numbers nor a randomised network's draws depend on the other rows.
type hops struct {
	*HopSkipJump
	o        *oracle
	d        Draw
	targets  []int32   // nil for an untargeted attack
	clean, x []float32 // x is adversarial for the rows at work
	best     []float32 // the nearest image at the boundary; the clean one where there is none
	nearest  []float64
	distance []float64 // of x, once it lies at the boundary
	used     []int
	draws    uint32 // the step of the next draw
	question uint64 // the number of the next question

	asked      []float32 // images of the rows at work
	hit        []bool    // by question
	direction  []float32
	radius     []float64 // of x, in toBoundary
	step       []float64 // in hop
	sums, mean []float64 // of estimate, by pixel
	sum        []float64
}

func newHops(a *HopSkipJump, v Victim, b *Batch, d Draw) *hops {
	o, n := newOracle(v, b, d), len(b.Labels)
	h := &hops{HopSkipJump: a, o: o, d: d, clean: o.clean(), x: o.clean(), best: o.clean(), nearest: make([]float64, n), distance: make([]float64, n), used: make([]int, n),
		draws: drawHops, question: 1, asked: make([]float32, n*o.size), hit: make([]bool, n), direction: make([]float32, n*o.size), radius: make([]float64, n), step: make([]float64, n),
		sums: make([]float64, n*o.size), mean: make([]float64, n*o.size), sum: make([]float64, n)}
	for r := range n {
		h.nearest[r] = math.Inf(1)
	}
	return h
}

// drawHops is the first step that HopSkipJump draws from.
const drawHops = 1 << 23

func (h *hops) row(images []float32, r int) []float32 { return images[r*h.o.size:][:h.o.size] }

// decide asks for the decisions on h.asked, image i being of row rows[i], and sets h.hit. It is the
// only place where the network's answer is seen.
func (h *hops) decide(rows []int) error {
	h.o.questions = h.question
	h.question++
	z, err := h.o.logits(h.asked, rows)
	if err != nil {
		return err
	}
	for i, r := range rows {
		class := device.Argmax(z[i*h.o.classes:][:h.o.classes])
		if h.hit[i] = class != int(h.o.b.Labels[r]); h.targets != nil {
			h.hit[i] = class == int(h.targets[r])
		}
		h.used[r]++
	}
	return nil
}

// afford drops the rows that cannot pay for so many decisions.
func (h *hops) afford(rows []int, decisions int) []int {
	return slices.DeleteFunc(rows, func(r int) bool { return h.used[r]+decisions > h.Queries })
}

// keep enters x of row r, which is adversarial, if it is nearer than those before it.
func (h *hops) keep(r int) {
	x := h.row(h.x, r)
	if d := h.Norm.Distance(x, h.row(h.clean, r)); d < h.nearest[r] {
		h.nearest[r] = d
		copy(h.row(h.best, r), x)
	}
}

// toBoundary bisects between the clean image and x, which becomes the adversarial end: along the
// line in L2, by cutting at a distance in Linf. All rows take the same number of halvings, those
// that the precision asks for.
func (h *hops) toBoundary(rows []int) ([]int, error) {
	size := float64(h.o.size)
	theta := float64(h.Gamma) * math.Pow(size, -1.5)
	if h.Norm == Linf {
		theta = float64(h.Gamma) * math.Pow(size, -2)
	}
	halvings := max(int(math.Ceil(-math.Log2(theta))), 1)
	rows = h.afford(rows, halvings)
	low, high := make([]float64, len(rows)), make([]float64, len(rows))
	for i, r := range rows {
		high[i] = 1
		h.radius[r] = h.Norm.Distance(h.row(h.x, r), h.row(h.clean, r))
	}
	for range halvings {
		for i, r := range rows {
			h.between(h.row(h.asked, i), r, (low[i]+high[i])/2)
		}
		if err := h.decide(rows); err != nil {
			return nil, err
		}
		for i := range rows {
			if mid := (low[i] + high[i]) / 2; h.hit[i] {
				high[i] = mid
			} else {
				low[i] = mid
			}
		}
	}
	for i, r := range rows {
		x := h.row(h.asked, i)
		h.between(x, r, high[i])
		copy(h.row(h.x, r), x)
		h.distance[r] = h.Norm.Distance(x, h.row(h.clean, r))
		h.keep(r)
	}
	return rows, nil
}

// between sets image to the point between clean and x of row r, at a share of the way.
func (h *hops) between(image []float32, r int, share float64) {
	x, clean := h.row(h.x, r), h.row(h.clean, r)
	if share == 1 {
		copy(image, x)
		return
	}
	for j, v := range x {
		c, d := float64(clean[j]), float64(v)-float64(clean[j])
		if h.Norm == Linf {
			most := share * h.radius[r]
			d = min(max(d, -most), most)
		} else {
			d *= share
		}
		image[j] = float32(c + d)
	}
}

// estimate sets the direction of each row to that in which probes around x are adversarial more
// often than on average (section III.C; the mean is the baseline that lowers the variance).
func (h *hops) estimate(rows []int, t, probes int) ([]int, error) {
	size := h.o.size
	clear(h.sums)
	clear(h.mean)
	clear(h.sum)
	first := h.draws
	for p := range probes {
		eachRow(len(rows), func(i int) { h.probe(h.row(h.asked, i), rows[i], t, first+uint32(p)) })
		if err := h.decide(rows); err != nil {
			return nil, err
		}
		eachRow(len(rows), func(i int) {
			r, sign := rows[i], -1.0
			if h.hit[i] {
				sign = 1
			}
			h.sum[r] += sign
			x := h.row(h.x, r)
			for j, v := range h.row(h.asked, i) {
				u := float64(v) - float64(x[j]) // what the box has left of the probe
				h.sums[r*size+j] += sign * u
				h.mean[r*size+j] += u
			}
		})
	}
	h.draws += uint32(probes)
	for _, r := range rows {
		baseline := h.sum[r] / float64(probes)
		if math.Abs(baseline) == 1 {
			baseline = 0
		}
		length := 0.0
		for j := r * size; j < (r+1)*size; j++ {
			h.sums[j] -= baseline * h.mean[j]
			length += h.sums[j] * h.sums[j]
		}
		length = math.Sqrt(length)
		for j := r * size; j < (r+1)*size; j++ {
			switch g := h.sums[j]; {
			case h.Norm == L2 && length > 0:
				h.direction[j] = float32(g / length)
			case g == 0 || h.Norm == L2:
				h.direction[j] = 0
			default:
				h.direction[j] = float32(math.Copysign(1, g))
			}
		}
	}
	return rows, nil
}

// probe sets image to a random point at distance delta from x of row r, cut to the box: a tenth in
// the first round, then in proportion to the bisection's error (section III.C).
func (h *hops) probe(image []float32, r, t int, draw uint32) {
	delta := 0.1
	if t > 1 { // sqrt(d) theta in L2, d theta in Linf
		delta = float64(h.Gamma) / float64(h.o.size) * h.distance[r]
	}
	if h.Norm == L2 {
		h.d.Stream.Normal(image, 0, 1, h.o.b.Index[r], h.d.Restart, draw)
	} else {
		h.d.Stream.Uniform(image, -1, 1, h.o.b.Index[r], h.d.Restart, draw)
	}
	length := math.Sqrt(kernel.SumSquares(image))
	for j, v := range h.row(h.x, r) {
		image[j] = float32(min(max(float64(v)+delta*float64(image[j])/length, 0), 1))
	}
}
