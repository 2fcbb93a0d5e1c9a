package attacks

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"rampart/configs"
	"rampart/nn/device"
	"rampart/nn/kernel"
	"rampart/nn/registry"
)

// DeepFool takes the network for a linear one at each step and goes to its nearest boundary, a
// little beyond in the end (Moosavi-Dezfooli et al. 2016, algorithm 2 and section 3.3), in L2 or
// Linf. It looks for the nearest adversarial example; eps only says which count as a success.
type DeepFool struct {
	Bound
	Steps     int            `toml:"steps"`
	Overshoot configs.Number `toml:"overshoot"`
	// Candidates is how many classes, the likeliest on the clean image and the label, have their
	// boundaries looked at.
	Candidates int `toml:"candidates"`
}

// Validate implements Attack.
func (a *DeepFool) Validate() error {
	if err := a.Bound.Validate(); err != nil {
		return err
	}
	switch {
	case a.Norm == L1:
		return registry.Errorf("norm", "DeepFool knows %q and %q", string(Linf), string(L2))
	case a.Steps < 1:
		return registry.Errorf("steps", "%d must be at least 1", a.Steps)
	case !(a.Overshoot >= 0):
		return registry.Errorf("overshoot", "%v must not be negative", float64(a.Overshoot))
	case a.Candidates < 2:
		return registry.Errorf("candidates", "%d must be at least 2: the label and one other", a.Candidates)
	}
	return nil
}

// Label implements Attack.
func (a *DeepFool) Label() string { return fmt.Sprintf("DeepFool-%d", a.Steps) }

// Restarts implements Attack.
func (a *DeepFool) Restarts() int { return 1 }

// Gradients implements Attack.
func (a *DeepFool) Gradients() int { return a.Steps * (a.Candidates - 1) }

// Minimal implements Minimal.
func (a *DeepFool) Minimal() bool { return true }

// At implements Attack. The search does not depend on epsilon.
func (a *DeepFool) At(epsilon float64) Attack {
	c := *a
	c.Epsilon = configs.Number(epsilon)
	return &c
}

// Perturb implements Attack.
func (a *DeepFool) Perturb(v Victim, b *Batch, adv device.Tensor, d Draw) (device.Counts, error) {
	o := newOracle(v, b, d)
	n, k := len(b.Labels), v.Classes()
	f := &fooling{DeepFool: a, o: o, clean: o.clean(), x: o.clean(), moved: make([]float64, n*o.size), asked: make([]float32, n*o.size),
		soft: make([]float32, n*k), nearest: make([]float64, n), normal: make([]float32, n*o.size)}
	z, err := o.logits(f.clean, count(n))
	if err != nil {
		return o.counts, err
	}
	f.rank(z)
	rows := f.fooled(count(n), z)
	for step := 0; step < a.Steps && len(rows) > 0; step++ {
		if step > 0 {
			f.gather(rows)
			if z, err = o.logits(f.asked, rows); err != nil {
				return o.counts, err
			}
			if rows = f.fooled(rows, z); len(rows) == 0 {
				break
			}
		}
		if err := f.nearestBoundary(rows); err != nil {
			return o.counts, err
		}
		for _, r := range rows {
			f.move(r)
		}
	}
	adv.Upload(f.x, 0)
	return o.counts, nil
}

// fooling is an attack in progress. Slices are by row of the batch.
type fooling struct {
	*DeepFool
	o        *oracle
	clean, x []float32
	moved    []float64 // the sum of all steps
	rivals   [][]int   // the classes whose boundaries are looked at

	// of the rows at work
	asked, soft []float32
	// of the nearest boundary: its distance, and the gradient of the logits' difference
	nearest []float64
	normal  []float32
}

// rank lists each example's rivals, the likeliest first.
func (f *fooling) rank(z []float32) {
	k := f.o.classes
	for r, y := range f.o.b.Labels {
		row, rivals := z[r*k:][:k], make([]int, 0, k-1)
		for j := range k {
			if j != int(y) {
				rivals = append(rivals, j)
			}
		}
		slices.SortStableFunc(rivals, func(a, b int) int { return cmp.Compare(row[b], row[a]) })
		f.rivals = append(f.rivals, rivals[:min(f.Candidates-1, len(rivals))])
	}
}

// fooled drops the rows that are misclassified.
func (f *fooling) fooled(rows []int, z []float32) []int {
	var left []int
	for i, r := range rows {
		if device.Argmax(z[i*f.o.classes:][:f.o.classes]) == int(f.o.b.Labels[r]) {
			left = append(left, r)
		}
	}
	return left
}

func (f *fooling) gather(rows []int) {
	for i, r := range rows {
		copy(f.asked[i*f.o.size:], f.x[r*f.o.size:][:f.o.size])
	}
}

// nearestBoundary finds, for each row, the rival whose linearised boundary is the nearest.
func (f *fooling) nearestBoundary(rows []int) error {
	k, size := f.o.classes, f.o.size
	for _, r := range rows {
		f.nearest[r] = math.Inf(1)
	}
	f.gather(rows)
	for c := range f.rivals[rows[0]] { // all have as many
		clear(f.soft)
		for i, r := range rows {
			f.soft[i*k+f.rivals[r][c]], f.soft[i*k+int(f.o.b.Labels[r])] = 1, -1
		}
		_, value, dx, err := f.o.gradient(f.asked, rows, f.o.b.Labels, f.soft, linear{})
		if err != nil {
			return err
		}
		for i, r := range rows {
			gradient := dx[i*size:][:size]
			if d := math.Abs(float64(value[i])) / (f.dual(gradient) + 1e-8); d < f.nearest[r] {
				f.nearest[r] = d
				copy(f.normal[r*size:], gradient)
			}
		}
	}
	return nil
}

// dual is the norm of a gradient by which a boundary's distance in the attack's norm follows.
func (f *fooling) dual(gradient []float32) float64 {
	if f.Norm == L2 {
		return math.Sqrt(kernel.SumSquares(gradient))
	}
	return L1.length(gradient)
}

// move goes to the nearest boundary of row r and Overshoot beyond.
func (f *fooling) move(r int) {
	if math.IsInf(f.nearest[r], 1) {
		return // every gradient is NaN
	}
	// The authors' code adds 1e-4, without which steps become ever shorter before the boundary.
	distance := f.nearest[r] + 1e-4
	normal := f.normal[r*f.o.size:][:f.o.size]
	length := f.dual(normal) + 1e-8
	for j, g := range normal {
		i := r*f.o.size + j
		switch {
		case f.Norm == L2:
			f.moved[i] += distance / length * float64(g)
		case g > 0:
			f.moved[i] += distance
		case g < 0:
			f.moved[i] -= distance
		}
		f.x[i] = float32(min(max(float64(f.clean[i])+(1+float64(f.Overshoot))*f.moved[i], 0), 1))
	}
}

func init() {
	registry.Register("deepfool", func() Attack {
		return &DeepFool{Bound: Bound{Norm: L2, Epsilon: 2}, Steps: 50, Overshoot: 0.02, Candidates: 10}
	})
}
