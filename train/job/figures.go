package job

import (
	"context"
	"fmt"
	"io"
	"strings"

	"rampart/attacks"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/train/report"
)

// drawing is a figure of a run's folder.
type drawing struct {
	file, title string
	write       func(w io.Writer) error
}

// writeReports draws what was measured and writes report.md, report.json and report.html; first are
// figures that only a training run has.
func (r *run) writeReports(rep *report.Report, first ...drawing) error {
	for _, d := range append(first, r.drawings(rep)...) {
		f, err := report.Draw(d.title, d.file, d.write)
		if err != nil {
			return fmt.Errorf("%s: %w", d.file, err)
		}
		if err := r.write(d.file, func(w io.Writer) error { _, err := w.Write(f.Data); return err }); err != nil {
			return err
		}
		rep.Figures = append(rep.Figures, f)
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{"report.md", rep.WriteMarkdown}, {"report.json", rep.WriteJSON}, {"report.html", rep.WriteHTML}} {
		if err := r.write(f.name, f.write); err != nil {
			return err
		}
	}
	return nil
}

// drawings are the figures of the network that the last table is about.
func (r *run) drawings(rep *report.Report) (list []drawing) {
	add := func(file, title string, write func(io.Writer) error) {
		list = append(list, drawing{file, title, write})
	}
	norm, eps := r.claim.Norm.String(), float64(r.claim.Epsilon)
	var distances []report.DistanceSet
	curves := report.EpsCurves{Title: "Accuracy against epsilon", Norm: norm, Threat: eps}
	for _, stage := range []string{report.Before, report.After} {
		if c := r.epsCurve(stage); c != nil {
			curves.Curves = append(curves.Curves, *c)
		}
	}
	for _, o := range r.state.Outcomes[report.After] {
		if o.Minimal != nil && o.Norm == norm {
			distances = append(distances, report.DistanceSet{Name: o.Attack, Distances: o.Minimal})
			curves.Curves = append(curves.Curves, report.MinimalCurve(o.Attack, o.Minimal, 2*eps))
		}
	}
	if len(curves.Curves) > 0 {
		add("robustness.png", curves.Title, func(w io.Writer) error { return curves.Draw(w, report.PNG) })
	}
	if distances != nil {
		h := report.Histogram{Title: "Distance of the nearest adversarial example", Norm: norm, Threat: eps, Sets: distances}
		add("distances.png", h.Title, func(w io.Writer) error { return h.Draw(w, report.PNG) })
	}
	list = append(list, certifiedDrawings(rep)...)
	if len(r.state.Losses) > 0 {
		l := report.LossCurves{Title: "Loss of the attacked images against iterations", Loss: "mean margin loss"}
		for _, name := range sortedKeys(r.state.Losses) {
			l.Curves = append(l.Curves, report.LossCurve{Name: name, Loss: r.state.Losses[name]})
		}
		add("losses.png", l.Title, func(w io.Writer) error { return l.Draw(w, report.PNG) })
	}
	var heats []report.Heat
	for _, row := range rep.Rows {
		if row.Stage == report.After && (row.Attack == report.Clean || row.Attack == report.WorstCaseName) {
			heats = append(heats, report.ConfusionHeat(row.Attack, r.train.Classes, row.Confusion))
		}
	}
	if len(heats) > 0 && len(r.train.Classes) <= 20 {
		add("confusion.png", "Confusion", func(w io.Writer) error { return report.HeatMaps(w, report.PNG, heats...) })
	}
	if g := r.attackGrid(); len(g.Attacks) > 0 {
		add("attacks.png", g.Title, g.Draw)
	}
	return list
}

// epsCurve is a stage's accuracy against epsilon, nil where it was not measured.
func (r *run) epsCurve(stage string) *report.EpsCurve {
	accuracy := r.state.Curves[stage]
	if len(accuracy) != len(r.cfg.Eval.CurveEps)+1 || len(accuracy) == 1 {
		return nil
	}
	c := report.EpsCurve{Name: r.curveAttack().Label() + ", " + stage, Epsilon: []float64{0}, Accuracy: accuracy, N: min(r.cfg.Eval.CurveN, r.test.Len())}
	for _, e := range r.cfg.Eval.CurveEps {
		c.Epsilon = append(c.Epsilon, float64(e))
	}
	return &c
}

// attackGrid shows what each attack on the last table's network made of the first images.
func (r *run) attackGrid() report.AttackGrid {
	g := report.AttackGrid{H: r.test.H, W: r.test.W, C: r.test.C, Title: "What each attack made of the first images", Classes: r.train.Classes}
	n, size := min(figureImages, r.test.Len()), r.test.Size()
	labels := map[string]int{}
	for _, o := range r.state.Outcomes[report.After] {
		if o.Group == "" {
			labels[o.Attack]++
		}
	}
	for at, o := range r.state.Outcomes[report.After] {
		sights := make([]report.Sight, n)
		pixels := r.state.examples[examplesOf(report.After, at)]
		if o.Attack != report.Clean && pixels == nil {
			continue
		}
		for i := range n {
			s := report.Sight{Pixels: make([]float32, size), Prediction: o.Predictions[i], Confidence: o.Confidence[i]}
			if o.Attack == report.Clean {
				r.test.Image(i, s.Pixels)
				g.Labels = append(g.Labels, int(r.test.Label(i)))
			} else {
				copy(s.Pixels, pixels[i*size:])
			}
			sights[i] = s
		}
		if o.Attack == report.Clean {
			g.Clean = sights
		} else {
			name := o.Attack
			if labels[name] > 1 {
				name += fmt.Sprintf(" (%s, eps %.4g)", o.Norm, o.Epsilon)
			}
			g.Attacks = append(g.Attacks, report.AttackRow{Name: name, Images: sights})
		}
	}
	return g
}

// traceSteps is how many iterations the figure of losses shows.
const traceSteps = 100

// trace follows the loss of the first images over PGD's iterations, with cross-entropy and with the
// margin loss as what it climbs.
func (r *run) trace(ctx context.Context, v attacks.Victim) error {
	if r.state.Losses != nil {
		return nil
	}
	some := r.test.Slice(0, min(r.cfg.Eval.CurveN, r.test.Len(), v.Rows()))
	images := make([]float32, some.Len()*some.Size())
	labels, index := make([]int32, some.Len()), make([]uint32, some.Len())
	for i := range labels {
		some.Image(i, images[i*some.Size():])
		labels[i], index[i] = some.Label(i), some.Index(i)
	}
	losses := map[string][]float64{}
	for _, name := range []string{"cross_entropy", "margin"} {
		loss, err := attacks.LossNamed(name)
		if err != nil {
			return err
		}
		x := v.New(len(images))
		x.Upload(images, 0)
		w := &watched{Victim: v, ctx: ctx}
		l := device.Loop{Steps: traceSteps, Norm: r.claim.Norm.Device(), Epsilon: float32(r.claim.Epsilon), StepSize: float32(r.claim.Epsilon) * 2.5 / traceSteps,
			Sparsity: 0.05, Start: device.FromUniform, Noise: r.stream("loss trace"), Example: index, Adv: v.New(len(images))}
		if _, err := attacks.Iterate(w, &device.Call{Rows: len(labels), X: x, Labels: labels, Loss: loss, Scale: 1}, &l); err != nil {
			return err
		}
		losses["PGD, "+strings.ReplaceAll(name, "_", "-")] = w.mean
	}
	r.state.Losses = losses
	return nil
}

// watched is a victim that notes the mean margin of the images at each question.
type watched struct {
	attacks.Victim
	ctx  context.Context
	mean []float64
}

// InputGrad implements attacks.Victim.
func (w *watched) InputGrad(c *device.Call) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if err := w.Victim.InputGrad(c); err != nil {
		return err
	}
	k, n := w.Classes(), c.Rows
	b := device.Block{Rows: n, Classes: k, Logits: make([]float32, n*k), Labels: c.Labels, Value: make([]float32, n), Grad: make([]float32, n*k)}
	c.Logits.Download(b.Logits, 0)
	nn.Margin{}.Rows(&b)
	sum := 0.0
	for _, v := range b.Value {
		sum += float64(v)
	}
	w.mean = append(w.mean, sum/float64(n))
	return nil
}
