package attacks

import (
	"math"

	"rampart/data"
	"rampart/nn/device"
)

// workspace holds the device memory and the host copies of one batch.
type workspace struct {
	v                 Victim
	x, adv            device.Tensor
	clean, moved, out []float32
	batch             Batch
}

func newWorkspace(v Victim, size int) *workspace {
	n := v.Rows()
	return &workspace{v: v, x: v.New(n * size), adv: v.New(n * size), clean: make([]float32, n*size), moved: make([]float32, n*size),
		out: make([]float32, n*v.Classes()), batch: Batch{Labels: make([]int32, n), Index: make([]uint32, n)}}
}

// attack runs an attack once on some examples and enters the outcome: each, or with onlyBroken
// where it is the one that breaks the example.
func (w *workspace) attack(a Attack, d *data.Dataset, rows []int, draw Draw, onlyBroken bool, res *Result) error {
	size, n, k := d.Size(), len(rows), w.v.Classes()
	for r, i := range rows {
		d.Image(i, w.clean[r*size:(r+1)*size])
		w.batch.Labels[r], w.batch.Index[r] = d.Label(i), d.Index(i)
	}
	w.x.Upload(w.clean[:n*size], 0)
	b := Batch{X: w.x, Labels: w.batch.Labels[:n], Index: w.batch.Index[:n], Data: d}
	counts, err := a.Perturb(w.v, &b, w.adv, draw)
	if err != nil {
		return err
	}
	res.Counts.Add(counts)
	w.adv.Download(w.moved[:n*size], 0)
	if res.Distance != nil {
		if err := w.measure(a.Threat().Norm, rows, res); err != nil {
			return err
		}
	}
	for r := range n {
		a.Threat().Project(w.moved[r*size:(r+1)*size], w.clean[r*size:(r+1)*size])
	}
	if err := w.judge(n, size); err != nil {
		return err
	}
	for r, i := range rows {
		z := w.out[r*k : (r+1)*k]
		p := device.Argmax(z)
		if onlyBroken && p == int(d.Label(i)) {
			continue
		}
		res.Prediction[i], res.Confidence[i] = p, Confidence(z, p)
		copy(res.Adv[i*size:(i+1)*size], w.moved[r*size:])
	}
	return nil
}

// measure enters the distances of the examples that are adversarial inside the box, wherever the
// ball ends, and nearer than those found before.
func (w *workspace) measure(norm Norm, rows []int, res *Result) error {
	n, k := len(rows), w.v.Classes()
	size := len(w.clean) / w.v.Rows()
	for r := range n {
		toBox(w.moved[r*size:(r+1)*size], w.clean[r*size:])
	}
	if err := w.judge(n, size); err != nil {
		return err
	}
	for r, i := range rows {
		if device.Argmax(w.out[r*k:(r+1)*k]) == int(w.batch.Labels[r]) {
			continue
		}
		moved := w.moved[r*size : (r+1)*size]
		if d := norm.Distance(moved, w.clean[r*size:]); d < res.Distance[i] {
			res.Distance[i] = d
			copy(res.Nearest[i*size:], moved)
		}
	}
	return nil
}

// judge computes the logits of the host's images in batches of another size than the attack's.
func (w *workspace) judge(n, size int) error {
	k := w.v.Classes()
	step := max(w.v.Rows()*2/3, 1)
	for start := 0; start < n; start += step {
		rows := min(step, n-start)
		w.x.Upload(w.moved[start*size:(start+rows)*size], 0)
		z, err := logits(w.v, w.x, rows, w.batch.Index[start:])
		if err != nil {
			return err
		}
		copy(w.out[start*k:], z)
	}
	return nil
}

// Confidence is the softmax probability of class p.
func Confidence(logits []float32, p int) float32 {
	sum := 0.0
	for _, z := range logits {
		sum += math.Exp(float64(z) - float64(logits[p]))
	}
	return float32(1 / sum)
}
