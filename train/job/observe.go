package job

import (
	"errors"
	"fmt"
	"math"

	"rampart/defenses"
	"rampart/nn/device"
	"rampart/train/report"
)

// settles reports whether a device that works on its own is waited for after a step: before figures are logged,
// and before anything is measured or saved.
func (t *trainer) settles(end int) bool {
	every := t.r.cfg.Train.SaveEvery
	return end%t.r.cfg.Train.LogEvery == 0 || end == t.total || end%t.loader.StepsPerEpoch() == 0 || every > 0 && end%every == 0
}

// stepError is an error of a step that has come to light later.
type stepError struct {
	step int
	error
}

// failed is the error of a step, or of the earlier one where it belongs.
func (t *trainer) failed(step int, err error) error {
	var earlier *stepError
	if errors.As(err, &earlier) {
		step = earlier.step
	}
	return fmt.Errorf("step %d: %w; the last good state is in %s", step, err, t.r.dir)
}

func (e *stepError) Unwrap() error { return e.error }

// settle adds the steps up to end to the running figures. One that was not finite is an error.
func (t *trainer) settle(end int) error {
	if err := t.session.Settle(t.open); err != nil {
		return err
	}
	err, step := t.model.Settle(), end-len(t.open)
	var bad *device.NotFinite
	if errors.As(err, &bad) {
		err = &stepError{bad.Step, err}
	}
	for _, m := range t.open {
		if step++; bad != nil && step >= bad.Step {
			break
		}
		if math.IsNaN(m.Loss) || math.IsInf(m.Loss, 0) {
			return &stepError{step, errors.New("the loss is not finite: lower the learning rate")}
		}
		t.fit.Window.Add(m)
		t.fit.Epoch.Add(m)
	}
	t.open = t.open[:0]
	return err
}

// observe adds a step to the running figures, or leaves that for later.
func (t *trainer) observe(step int, m defenses.Metrics, lr float64) error {
	t.open = append(t.open, m)
	end := step + 1
	_, later := t.r.dev.(device.Settler)
	if later && !t.settles(end) {
		t.progress.Set(end, t.shown...)
		return nil
	}
	if err := t.settle(end); err != nil {
		return err
	}
	per := t.loader.StepsPerEpoch()
	t.shown = []report.Field{report.Epoch(step/per+1, (t.total+per-1)/per), report.Loss(t.fit.Window.Loss / float64(t.fit.Window.Rows)),
		report.CleanAccuracy(share(t.fit.Window.CleanCorrect, t.fit.Window.CleanRows))}
	if t.fit.Window.AdversarialRows > 0 {
		t.shown = append(t.shown, report.AdversarialAccuracy(share(t.fit.Window.AdversarialCorrect, t.fit.Window.AdversarialRows)))
	}
	t.progress.Set(end, t.shown...)
	if end%t.r.cfg.Train.LogEvery == 0 || end == t.total {
		t.record(end, lr)
	}
	return nil
}

func share(k, n int) float64 {
	if n == 0 {
		return math.NaN()
	}
	return float64(k) / float64(n)
}

// record closes the window: a line of log.jsonl and a point of the curves.
func (t *trainer) record(step int, lr float64) {
	w := t.fit.Window
	p := report.NewPoint(t.r.state.StepsBefore+step, t.title)
	p.Loss, p.TrainClean, p.TrainRobust = w.Loss/float64(w.Rows), share(w.CleanCorrect, w.CleanRows), share(w.AdversarialCorrect, w.AdversarialRows)
	t.r.state.addPoint(p)
	e := entry{Stage: t.title, Loss: num(p.Loss), TrainClean: num(p.TrainClean), TrainRobust: num(p.TrainRobust),
		LR: num(lr), ZeroGradients: w.ZeroGradients, BadGradients: w.BadGradients}
	if a := t.defense.Attack(); a != nil {
		e.Epsilon = num(t.session.EpsilonScale * float64(a.Threat().Epsilon))
	}
	t.r.log.write(t.r.state.Phase, step, e)
	t.watchCollapse(step)
	t.fit.Window = defenses.Metrics{}
}
