package attacks

import (
	"fmt"
	"math"
	"time"

	"rampart/data"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// Result is what an attack did to a data set. Slices are by example.
type Result struct {
	Attack     Attack
	Adv        []float32 // the perturbed images, shaped like the data set
	Prediction []int
	Confidence []float32 // softmax probability of the prediction
	Counts     device.Counts
	Seconds    float64
	// Cumulative says that runs after the first saw only the examples that had survived.
	Cumulative bool
}

// Progress is told how many of the total units of work are done; nil is nobody.
type Progress func(done, total int)

// Run attacks every example of a data set. It projects what the attack returns onto ball and box,
// and judges it by a fresh forward pass in evaluation mode at another batch size. Restarts after
// the first run only on examples that are still classified right. It stops between batches when
// stop returns an error.
func Run(v Victim, a Attack, d *data.Dataset, noise rng.Stream, stop func() error, progress Progress) (*Result, error) {
	if err := Check(a, v.Input()); err != nil {
		return nil, err
	}
	begun := time.Now()
	size := d.Size()
	res := &Result{Attack: a, Adv: make([]float32, d.Len()*size), Prediction: make([]int, d.Len()),
		Confidence: make([]float32, d.Len()), Cumulative: a.Restarts() > 1}
	alive := make([]int, d.Len())
	for i := range alive {
		alive[i] = i
	}
	w := newWorkspace(v, size)
	for restart := range a.Restarts() {
		var survivors []int
		for start := 0; start < len(alive); start += v.Rows() {
			if err := stop(); err != nil {
				return nil, err
			}
			rows := alive[start:min(start+v.Rows(), len(alive))]
			if err := w.attack(a, d, rows, Draw{noise, uint32(restart)}, res); err != nil {
				return nil, fmt.Errorf("%s: %w", a.Label(), err)
			}
			for _, i := range rows {
				if res.Prediction[i] == int(d.Label(i)) {
					survivors = append(survivors, i)
				}
			}
			if progress != nil {
				// Survivors stand for all examples, so that the share of work done never falls.
				progress(restart*d.Len()+(start+len(rows))*d.Len()/len(alive), a.Restarts()*d.Len())
			}
		}
		alive = survivors
	}
	res.Seconds = time.Since(begun).Seconds()
	return res, nil
}

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

// attack runs an attack once on some examples and enters the outcome where it is the first, or
// where it is the one that breaks the example.
func (w *workspace) attack(a Attack, d *data.Dataset, rows []int, draw Draw, res *Result) error {
	size, n := d.Size(), len(rows)
	for r, i := range rows {
		d.Image(i, w.clean[r*size:(r+1)*size])
		w.batch.Labels[r], w.batch.Index[r] = d.Label(i), d.Index(i)
	}
	w.x.Upload(w.clean[:n*size], 0)
	b := Batch{X: w.x, Labels: w.batch.Labels[:n], Index: w.batch.Index[:n]}
	counts, err := a.Perturb(w.v, &b, w.adv, draw)
	if err != nil {
		return err
	}
	res.Counts.Gradients += counts.Gradients
	res.Counts.Zero += counts.Zero
	res.Counts.NonFinite += counts.NonFinite
	w.adv.Download(w.moved[:n*size], 0)
	for r := range n {
		a.Threat().Project(w.moved[r*size:(r+1)*size], w.clean[r*size:(r+1)*size])
	}
	if err := w.judge(n, size); err != nil {
		return err
	}
	k := w.v.Classes()
	for r, i := range rows {
		z := w.out[r*k : (r+1)*k]
		p := device.Argmax(z)
		if draw.Restart > 0 && p == int(d.Label(i)) {
			continue
		}
		res.Prediction[i], res.Confidence[i] = p, Confidence(z, p)
		copy(res.Adv[i*size:(i+1)*size], w.moved[r*size:])
	}
	return nil
}

// judge computes the logits of the projected examples in batches of another size than the attack's.
func (w *workspace) judge(n, size int) error {
	k := w.v.Classes()
	step := max(w.v.Rows()*2/3, 1)
	for start := 0; start < n; start += step {
		rows := min(step, n-start)
		w.x.Upload(w.moved[start*size:(start+rows)*size], 0)
		z, err := logits(w.v, w.x, rows)
		if err != nil {
			return err
		}
		copy(w.out[start*k:], z)
	}
	return nil
}

// Project moves an image to the nearest point of the ball around clean, then clips it to [0,1]:
// clean lies in [0,1], so clipping only brings it nearer. What is no number becomes clean, and an
// infinity the largest number.
func (t Threat) Project(moved, clean []float32) {
	eps := float32(t.Epsilon)
	for i, v := range moved {
		if v != v {
			v = clean[i]
		}
		moved[i] = min(max(v, -math.MaxFloat32), math.MaxFloat32)
	}
	if t.Norm == Linf {
		for i, v := range moved {
			moved[i] = min(max(v, clean[i]-eps, 0), clean[i]+eps, 1)
		}
		return
	}
	squares := 0.0
	for i, v := range moved {
		diff := float64(v) - float64(clean[i])
		squares += diff * diff
	}
	scale := 1.0
	if norm := math.Sqrt(squares); norm > float64(t.Epsilon) {
		scale = float64(t.Epsilon) / norm
	}
	for i, v := range moved {
		if scale < 1 {
			v = float32(float64(clean[i]) + (float64(v)-float64(clean[i]))*scale)
		}
		moved[i] = min(max(v, 0), 1)
	}
}

// Confidence is the softmax probability of class p.
func Confidence(logits []float32, p int) float32 {
	sum := 0.0
	for _, z := range logits {
		sum += math.Exp(float64(z) - float64(logits[p]))
	}
	return float32(1 / sum)
}

// Clean classifies a data set as it is.
func Clean(v Victim, d *data.Dataset) (*Result, error) {
	begun := time.Now()
	size, k := d.Size(), v.Classes()
	res := &Result{Prediction: make([]int, d.Len()), Confidence: make([]float32, d.Len()), Adv: make([]float32, d.Len()*size)}
	w := newWorkspace(v, size)
	for start := 0; start < d.Len(); start += v.Rows() {
		n := min(v.Rows(), d.Len()-start)
		for r := range n {
			d.Image(start+r, w.moved[r*size:(r+1)*size])
		}
		copy(res.Adv[start*size:], w.moved[:n*size])
		w.x.Upload(w.moved[:n*size], 0)
		z, err := logits(v, w.x, n)
		if err != nil {
			return nil, fmt.Errorf("clean: %w", err)
		}
		for r := range n {
			row := z[r*k : (r+1)*k]
			p := device.Argmax(row)
			res.Prediction[start+r], res.Confidence[start+r] = p, Confidence(row, p)
		}
	}
	res.Seconds = time.Since(begun).Seconds()
	return res, nil
}

// Correct counts the examples that are classified right.
func (r *Result) Correct(d *data.Dataset) (n int) {
	for i, p := range r.Prediction {
		if p == int(d.Label(i)) {
			n++
		}
	}
	return n
}
