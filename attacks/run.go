package attacks

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"

	"rampart/data"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// Result is what an attack did to a data set. Slices are by example.
type Result struct {
	Attack     Attack    `json:"-"`
	Adv        []float32 `json:"-"` // the perturbed images, inside ball and box, shaped like the data set
	Prediction []int
	Confidence []float32 // softmax probability of the prediction
	Counts     device.Counts
	Seconds    float64
	// Cumulative says that runs after the first saw only the examples that had survived.
	Cumulative bool
	// Distance is how far the nearest adversarial example that a Minimal attack found lies from
	// the clean image, in the threat's norm: 0 where the clean image is misclassified, +Inf where
	// it found none. Nearest holds those images. Both are nil for other attacks.
	Distance []float64 `json:"-"`
	Nearest  []float32 `json:"-"`
	// Parts are the results after each attack of a Sequence, without images.
	Parts []*Result
}

// Progress is told how many of the total units of work are done; nil is nobody. Units are runs on an example,
// those of an AutoAttack's parts by their work.
type Progress func(done, total int)

// Runner runs attacks under the rules that no attack can change: what it returns is projected onto
// ball and box and judged by a fresh forward pass in evaluation mode at another batch size;
// restarts after the first, and the attacks of a Sequence after the first, run only on examples
// that are still classified right.
type Runner struct {
	Victim Victim
	Noise  rng.Stream
	// Stop ends a run between batches when it returns an error; nil never does.
	Stop     func() error
	Progress Progress
	// Save, where not nil, is given the state of the run after each batch; From, where not nil, is
	// such a state, of the same attack on the same data set, to go on from.
	Save func(*Partial) error
	From *Partial
}

// Partial is a run in progress. It is plain data; its JSON leaves images and distances out.
type Partial struct {
	// Part is the number of the attack in its Sequence, Restart that of its run, and Next the
	// position in Alive of the first example that it has still to see.
	Part, Restart, Next int
	Alive, Survivors    []int
	Result              Result
}

// Run attacks every example of a data set.
func Run(v Victim, a Attack, d *data.Dataset, noise rng.Stream, stop func() error, progress Progress) (*Result, error) {
	return (&Runner{Victim: v, Noise: noise, Stop: stop, Progress: progress}).Run(a, d)
}

// Run attacks every example of a data set.
func (r *Runner) Run(a Attack, d *data.Dataset) (*Result, error) {
	if err := Check(a, r.Victim.Input()); err != nil {
		return nil, err
	}
	if err := CheckClasses(a, r.Victim.Classes()); err != nil {
		return nil, err
	}
	parts, err := Parts(a, r.Victim)
	if err != nil {
		return nil, err
	}
	p, err := r.begin(a, d)
	if err != nil {
		return nil, err
	}
	_, sequence := a.(Sequence)
	w := newWorkspace(r.Victim, d.Size())
	runs, total, before := 0, 0.0, 0.0 // of all parts, their work for an example, and that of those that are done
	for _, part := range parts {
		runs, total = runs+part.Restarts(), total+float64(part.Restarts())*work(part)
	}
	for i, part := range parts {
		if i >= p.Part {
			if err := r.part(w, p, part, d, sequence, func(done int) {
				if r.Progress != nil {
					spent := (before*float64(d.Len()) + work(part)*float64(done)) / total
					r.Progress(int(math.Round(float64(runs)*spent)), runs*d.Len())
				}
			}); err != nil {
				return nil, fmt.Errorf("%s: %w", part.Label(), err)
			}
			if sequence {
				p.Result.Parts = append(p.Result.Parts, p.Result.snapshot(part))
			}
			p.Part, p.Restart = i+1, 0
		}
		before += float64(part.Restarts()) * work(part)
	}
	p.Result.Attack = a
	for i := range p.Result.Parts {
		p.Result.Parts[i].Attack = parts[i]
	}
	return &p.Result, nil
}

// Once is an attack with restarts whose first run is an attack by itself.
type Once interface {
	Attack
	// Once is the attack without restarts.
	Once() Attack
}

// Begun is the state of an attack after its first run, where before is what that run did to the data set already, as an
// attack by itself: random numbers depend on the number of the restart alone. It is nil where before is anything else.
func Begun(a Attack, before *Result, d *data.Dataset) *Partial {
	o, ok := a.(Once)
	if !ok || before == nil || a.Restarts() == 1 || !reflect.DeepEqual(o.Once(), before.Attack) {
		return nil
	}
	p := &Partial{Restart: 1, Result: *before}
	p.Result.Adv, p.Result.Prediction, p.Result.Confidence = slices.Clone(before.Adv), slices.Clone(before.Prediction), slices.Clone(before.Confidence)
	p.Result.Cumulative = true
	for i, c := range before.Prediction {
		if c == int(d.Label(i)) {
			p.Alive = append(p.Alive, i)
		}
	}
	return p
}

// work is what one run of an attack may cost on an example, in gradients; a forward pass alone is about 0.4.
func work(a Attack) float64 {
	n := float64(a.Gradients())
	if q, ok := a.(interface{ Forwards() int }); ok {
		n += 0.4 * float64(q.Forwards())
	}
	return max(n, 1)
}

// begin is the state before the first batch.
func (r *Runner) begin(a Attack, d *data.Dataset) (*Partial, error) {
	if r.From != nil {
		if n := len(r.From.Result.Prediction); n != d.Len() {
			return nil, fmt.Errorf("%s: a run on %d examples cannot go on with %d", a.Label(), n, d.Len())
		}
		return r.From, nil
	}
	p := &Partial{}
	_, sequence := a.(Sequence)
	if sequence {
		clean, err := Clean(r.Victim, d)
		if err != nil {
			return nil, err
		}
		p.Result = *clean
		p.Result.Cumulative = true
	} else {
		p.Result = Result{Adv: make([]float32, d.Len()*d.Size()), Prediction: make([]int, d.Len()), Confidence: make([]float32, d.Len()),
			Cumulative: a.Restarts() > 1}
		for i := range p.Result.Prediction {
			p.Result.Prediction[i] = int(d.Label(i)) // not yet broken
		}
	}
	if m, ok := a.(Minimal); ok && m.Minimal() {
		p.Result.Cumulative = false
		p.Result.Nearest, p.Result.Distance = make([]float32, d.Len()*d.Size()), make([]float64, d.Len())
		for i := range p.Result.Distance {
			p.Result.Distance[i] = math.Inf(1)
		}
	}
	for i := range d.Len() {
		if !sequence || p.Result.Prediction[i] == int(d.Label(i)) {
			p.Alive = append(p.Alive, i)
		}
	}
	return p, nil
}

// part runs one attack with its restarts. In a sequence its first run, too, counts only where it
// breaks an example.
func (r *Runner) part(w *workspace, p *Partial, a Attack, d *data.Dataset, sequence bool, progress func(done int)) error {
	for ; p.Restart < a.Restarts(); p.Restart++ {
		for p.Next < len(p.Alive) {
			if r.Stop != nil {
				if err := r.Stop(); err != nil {
					return err
				}
			}
			begun := time.Now()
			rows := p.Alive[p.Next:min(p.Next+r.Victim.Rows(), len(p.Alive))]
			if err := w.attack(a, d, rows, Draw{r.Noise, uint32(p.Restart)}, sequence || p.Restart > 0, &p.Result); err != nil {
				return err
			}
			for _, i := range rows {
				if p.Result.Distance != nil || p.Result.Prediction[i] == int(d.Label(i)) {
					p.Survivors = append(p.Survivors, i)
				}
			}
			p.Next += len(rows)
			p.Result.Seconds += time.Since(begun).Seconds()
			// Survivors stand for all examples, so that the share of work done never falls.
			progress(p.Restart*d.Len() + p.Next*d.Len()/len(p.Alive))
			if r.Save != nil {
				if err := r.Save(p); err != nil {
					return err
				}
			}
		}
		p.Alive, p.Survivors, p.Next = p.Survivors, nil, 0
	}
	return nil
}

// snapshot is the result of a sequence after one of its attacks, whose cost alone it holds.
func (r *Result) snapshot(a Attack) *Result {
	s := &Result{Attack: a, Prediction: slices.Clone(r.Prediction), Confidence: slices.Clone(r.Confidence),
		Counts: r.Counts, Seconds: r.Seconds, Cumulative: true}
	for _, before := range r.Parts {
		s.Counts, s.Seconds = s.Counts.Minus(before.Counts), s.Seconds-before.Seconds
	}
	return s
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
			w.batch.Index[r] = d.Index(start + r)
		}
		copy(res.Adv[start*size:], w.moved[:n*size])
		w.x.Upload(w.moved[:n*size], 0)
		z, err := logits(v, w.x, n, w.batch.Index)
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
