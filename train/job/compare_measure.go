package job

import (
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rampart/attacks"
	"rampart/checkpoints"
	"rampart/data"
	"rampart/defenses/transform"
	"rampart/nn/device"
	"rampart/train/report"
)

// sideBySide measures what takes the machine for itself or several networks at once, and prints
// and writes the comparison.
func (w *comparing) sideBySide(ctx context.Context) error {
	var done []*contender // those of the first seed
	for _, e := range w.contenders {
		if e.err == nil {
			if err := w.time(ctx, e); err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
		}
		if e.err == nil && e.cfg.Seed == w.Compare.Seed {
			done = append(done, e)
		}
	}
	c := w.comparison()
	if w.Compare.TransferN > 0 && len(done) > 1 {
		if err := w.transfer(ctx, c, done); err != nil {
			return fmt.Errorf("transfer: %w", err)
		}
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{"compare.md", c.WriteMarkdown}, {"compare.json", c.WriteJSON}, {"compare.csv", c.WriteCSV}, {"compare.html", c.WriteHTML}} {
		if err := checkpoints.WriteAtomic(filepath.Join(w.opt.Out, f.name), f.write); err != nil {
			return err
		}
	}
	if !w.opt.Quiet {
		fmt.Fprintln(w.opt.Stdout)
	}
	if err := c.WriteTable(w.opt.Stdout); err != nil {
		return err
	}
	if !w.opt.Quiet {
		fmt.Fprintf(w.opt.Stdout, "\nreport: %s (also compare.md, .json, .csv)\n", filepath.Join(w.opt.Out, "compare.html"))
	}
	return nil
}

// comparison is what all contenders measured.
func (w *comparing) comparison() *report.Comparison {
	c := &report.Comparison{Title: w.Name, ThreatModel: w.threat.String(), Protocol: "protocol " + string(w.Eval.Protocol), N: w.images(),
		Attacks: w.columns(), Norm: w.threat.Norm.String(), Threat: float64(w.threat.Epsilon)}
	for i := range w.Compare.Repeat {
		c.Seeds = append(c.Seeds, w.Compare.Seed+uint64(i))
	}
	var models []string
	for i, s := range w.strategies {
		row := report.Strategy{Name: s.name}
		var curves [][]float64
		for _, e := range w.contenders {
			switch {
			case e.strategy != i:
			case e.err != nil:
				row.Err = e.err.Error()
				c.Notes = append(c.Notes, fmt.Sprintf("%s failed: %v", e.name, e.err))
			default:
				row.Runs, curves, models = append(row.Runs, e.measured), append(curves, e.curve), append(models, e.model)
			}
		}
		c.Strategies = append(c.Strategies, row)
		if len(w.Eval.CurveEps) > 0 && len(curves) > 0 {
			c.Curves = append(c.Curves, w.curve(s.name, curves))
		}
	}
	slices.Sort(models)
	c.Model = strings.Join(slices.Compact(models), ", ")
	c.Notes = append(c.Notes, fmt.Sprintf("training times were taken with up to %d strategies side by side, on %d threads each; times per image with nothing else at work", min(w.opt.Jobs, len(w.contenders)), w.threads()))
	return c
}

// images is the number of test images behind a figure.
func (w *comparing) images() int {
	if w.common == nil { // nothing was measured
		return w.Eval.N
	}
	return w.common.test.Len()
}

// curve is the mean accuracy against epsilon of a strategy's seeds.
func (w *comparing) curve(name string, runs [][]float64) report.EpsCurve {
	c := report.EpsCurve{Name: name, Epsilon: []float64{0}, Accuracy: make([]float64, len(runs[0])), N: min(w.Eval.CurveN, w.images())}
	for _, eps := range w.Eval.CurveEps {
		c.Epsilon = append(c.Epsilon, float64(eps))
	}
	for _, run := range runs {
		for i, v := range run {
			c.Accuracy[i] += v / float64(len(runs))
		}
	}
	return c
}

// open builds a contender's network as it is deployed.
func (w *comparing) open(ctx context.Context, e *contender) (attacks.Victim, error) {
	path := filepath.Join(e.dir, "best.safetensors")
	if w.common == nil {
		cfg, err := w.evalConfig(e)
		if err != nil {
			return nil, err
		}
		opt := w.opt.Options
		opt.Out = ""
		if w.common, _, err = openEval(ctx, cfg, EvalOptions{Checkpoint: path, Claim: &w.threat}, opt); err != nil {
			return nil, err
		}
	}
	f, err := w.common.subject(path)
	if err != nil {
		return nil, err
	}
	m, err := w.common.network(f.Meta.Model.Spec, f.Weights(), w.Eval.Batch)
	if err != nil {
		return nil, err
	}
	return transform.Behind(m, e.chain, e.cfg.Seed), nil
}

// timings is how often the forward pass is timed; the fastest counts.
const timings = 5

// time measures how long the contender's network takes for an image, in batches as the evaluation's.
func (w *comparing) time(ctx context.Context, e *contender) error {
	m, err := w.open(ctx, e)
	if err != nil {
		return err
	}
	test := w.common.test
	n := min(m.Rows(), test.Len())
	b := test.NewBatch(n)
	test.Fill(b, 0)
	x, z := m.New(len(b.X)), m.New(n*m.Classes())
	x.Upload(b.X, 0)
	best := math.Inf(1)
	for range timings {
		begun := time.Now()
		if err := m.Logits(&device.Call{Rows: n, X: x, Logits: z}); err != nil {
			return err
		}
		best = min(best, time.Since(begun).Seconds()/float64(n))
	}
	e.measured.Inference = best
	return nil
}

// transfer fills the matrix: the examples that PGD makes on each network, judged on all of them.
func (w *comparing) transfer(ctx context.Context, c *report.Comparison, done []*contender) error {
	progress := report.NewProgress(w.opt.Stdout, w.opt.Quiet, "transfer", 2*len(done))
	test, err := data.Every(w.common.test, min(w.Compare.TransferN, w.common.test.Len()))
	if err != nil {
		return err
	}
	a := w.common.transferAttack()
	var examples [][]float32
	for i, e := range done {
		m, err := w.open(ctx, e)
		if err != nil {
			return err
		}
		adapted := a
		if e.chain.Random() {
			adapted = attacks.InExpectation(a, w.Eval.Draws)
		}
		res, err := attacks.Run(m, adapted, test, w.common.stream("transfer"), ctx.Err, nil)
		if err != nil {
			return err
		}
		examples = append(examples, res.Adv)
		c.TransferNames = append(c.TransferNames, w.strategies[e.strategy].name)
		progress.Set(i + 1)
	}
	c.Transfer = make([][]float64, len(done))
	for i, e := range done {
		m, err := w.open(ctx, e)
		if err != nil {
			return err
		}
		for source := range done {
			accuracy, err := accuracyOn(m, examples[source], test)
			if err != nil {
				return err
			}
			c.Transfer[source] = append(c.Transfer[source], accuracy)
		}
		progress.Set(len(done) + i + 1)
	}
	progress.Done("")
	c.Notes = append(c.Notes, fmt.Sprintf("transfer: %s on each source in its turn, %d images, seed %d; the diagonal is the attack on the network itself, which goes on after a success", a.Label(), test.Len(), w.Compare.Seed))
	return nil
}

// transferAttack is the curves' attack, which goes on where it has broken the source: what breaks
// that by a hair seldom breaks another network.
func (r *run) transferAttack() attacks.Attack {
	a := r.curveAttack()
	if p, ok := a.(*attacks.PGD); ok {
		further := *p
		further.EarlyStop = false
		return &further
	}
	return a
}

// accuracyOn is the share of images, [N,H,W,C] in the order of a data set, that a network has right.
func accuracyOn(v attacks.Victim, pixels []float32, d *data.Dataset) (float64, error) {
	size, k, most := d.Size(), v.Classes(), min(v.Rows(), d.Len())
	x, z, host := v.New(most*size), v.New(most*k), make([]float32, most*k)
	right := 0
	for start := 0; start < d.Len(); start += most {
		n := min(most, d.Len()-start)
		x.Upload(pixels[start*size:(start+n)*size], 0)
		index := make([]uint32, n) // by which a random transformation draws
		for i := range index {
			index[i] = d.Index(start + i)
		}
		if err := v.Logits(&device.Call{Rows: n, X: x, Logits: z, Example: index}); err != nil {
			return 0, err
		}
		z.Download(host[:n*k], 0)
		for i := range n {
			if device.Argmax(host[i*k:(i+1)*k]) == int(d.Label(start+i)) {
				right++
			}
		}
	}
	return float64(right) / float64(d.Len()), nil
}
