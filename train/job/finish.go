package job

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"rampart/attacks"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/train/report"
)

// finish writes the reports, the figures and the final checkpoints.
func (r *run) finish() error {
	rep, err := r.report()
	if err != nil {
		return err
	}
	if err := r.writeDeployed(testFigures(rep)); err != nil {
		return err
	}
	gallery, err := r.gallery()
	if err != nil {
		return err
	}
	if err := r.writeReports(rep,
		drawing{"curves.png", "Loss and accuracy over steps", r.drawCurves},
		drawing{"examples.png", "Adversarial examples", func(w io.Writer) error { return report.Examples(w, *gallery) }},
	); err != nil {
		return err
	}
	if !r.opt.Quiet && !r.opt.Brief {
		fmt.Fprintf(r.opt.Stdout, "\nhardened network: %s\nreport: %s\n", filepath.Join(r.dir, "best.safetensors"), filepath.Join(r.dir, "report.html"))
	}
	return r.log.err
}

func (r *run) name() string {
	if r.evaluated != nil {
		return r.evaluated.name
	}
	return filepath.Base(r.dir)
}

// configTree reads the resolved config as plain maps, for JSON.
func configTree(text string) (map[string]any, error) {
	var tree map[string]any
	_, err := toml.Decode(text, &tree)
	return tree, err
}

func (r *run) drawCurves(w io.Writer) error {
	var points []report.Point
	for _, p := range r.state.Points {
		points = append(points, report.Point{Step: p.Step, Stage: p.Stage, Loss: float64(p.Loss), TrainClean: float64(p.TrainClean),
			TrainRobust: float64(p.TrainRobust), Clean: float64(p.Clean), Robust: float64(p.Robust), Best: p.Best})
	}
	return report.Curves(w, points)
}

// gallery classifies the kept examples with both networks.
func (r *run) gallery() (*report.Gallery, error) {
	a := r.curveAttack()
	g := &report.Gallery{H: r.test.H, W: r.test.W, C: r.test.C, Title: fmt.Sprintf("%s, %v", a.Label(), a.Threat()), Classes: r.train.Classes}
	hardened, best := r.deployed("")
	for _, n := range []struct {
		stage, title string
		spec         nn.Spec
		weights      []nn.Weight
	}{{report.Before, "before: undefended", r.spec(), r.state.nets[netBaseline]}, {report.After, "after: " + strings.ReplaceAll(r.cfg.Defense.Name, "_", " "), hardened, best}} {
		count := min(figureImages, r.test.Len())
		m, err := r.network(n.spec, n.weights, count)
		if err != nil {
			return nil, err
		}
		var v attacks.Victim = m
		if n.stage == report.After {
			v = r.behind(m)
		}
		adv := r.state.examples[n.stage]
		if adv == nil { // no PGD in the tables
			res, err := attacks.Run(v, r.meets(n.stage, a), r.test.Slice(0, count), r.stream("evaluation"), func() error { return nil }, nil)
			if err != nil {
				return nil, err
			}
			adv = res.Adv
		}
		panel, err := r.panel(v, n.title, adv, count)
		if err != nil {
			return nil, err
		}
		g.Panels = append(g.Panels, *panel)
	}
	return g, nil
}

func (r *run) panel(m attacks.Victim, title string, adv []float32, count int) (*report.Panel, error) {
	size, k := r.test.Size(), m.Classes()
	clean, index := make([]float32, count*size), make([]uint32, count)
	for i := range count {
		index[i] = r.test.Index(i)
		r.test.Image(i, clean[i*size:(i+1)*size])
	}
	var z [2][]float32
	for i, pixels := range [][]float32{clean, adv} {
		x, out := m.New(count*size), m.New(count*k)
		x.Upload(pixels, 0)
		if err := m.Logits(&device.Call{Rows: count, X: x, Logits: out, Example: index}); err != nil {
			return nil, err
		}
		z[i] = make([]float32, count*k)
		out.Download(z[i], 0)
	}
	p := &report.Panel{Title: title}
	for i := range count {
		pic := report.Picture{Clean: clean[i*size : (i+1)*size], Adversarial: adv[i*size : (i+1)*size], Label: int(r.test.Label(i))}
		before, after := z[0][i*k:(i+1)*k], z[1][i*k:(i+1)*k]
		pic.CleanPrediction, pic.AdversarialPrediction = device.Argmax(before), device.Argmax(after)
		pic.CleanConfidence, pic.AdversarialConfidence = attacks.Confidence(before, pic.CleanPrediction), attacks.Confidence(after, pic.AdversarialPrediction)
		p.Pictures = append(p.Pictures, pic)
	}
	return p, nil
}
