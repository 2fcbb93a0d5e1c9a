package job

import (
	"fmt"
	"math"
)

// Thresholds of the two failures that are watched for; all are our own.
const (
	// A network that gives every class the same probability has a loss of ln(classes).
	collapseMargin = 0.01
	collapseSteps  = 200
	// Catastrophic overfitting (Wong et al. 2020, section 5): the probe has fallen by this much
	// below its best while robust accuracy on the training examples has risen.
	overfitDrop = 0.10
)

// watchCollapse says once that the loss stays at that of guessing.
func (t *trainer) watchCollapse(step int) {
	guessing := math.Log(float64(t.model.Classes()))
	w := t.fit.Window
	// Soft targets have a high loss by nature, so accuracy must be that of guessing too.
	accuracy := share(w.CleanCorrect+w.AdversarialCorrect, w.CleanRows+w.AdversarialRows)
	if t.fit.CollapseTold || step < collapseSteps || w.Loss/float64(w.Rows) < guessing*(1-collapseMargin) || accuracy > 2/float64(t.model.Classes()) {
		return
	}
	t.fit.CollapseTold = true
	t.warn(step, fmt.Sprintf("%s: at step %d the loss is still %.2f, that of guessing (ln %d): training has collapsed; lower the learning rate, or let epsilon rise slowly (train.eps_schedule)",
		t.title, step, w.Loss/float64(w.Rows), t.model.Classes()))
}

// watchOverfitting says once that training beats its own attack and nothing else.
func (t *trainer) watchOverfitting(step int, robust float64) {
	train := share(t.fit.Epoch.AdversarialCorrect, t.fit.Epoch.AdversarialRows)
	if t.fit.OverfitTold || !(robust < t.fit.BestRobust-overfitDrop) || !(train > float64(t.fit.TrainRobustAtBest)) {
		return
	}
	t.fit.OverfitTold = true
	t.warn(step, fmt.Sprintf("%s: catastrophic overfitting: held-out robust accuracy fell from %.1f to %.1f %% while that on training examples rose to %.1f %%; the best weights are kept; train with more steps or a smaller step size",
		t.title, 100*t.fit.BestRobust, 100*robust, 100*train))
}

func (t *trainer) warn(step int, text string) {
	t.progress.Note("warning: " + text)
	t.r.state.Warnings = append(t.r.state.Warnings, text)
	t.r.log.write(t.r.state.Phase, step, entry{Stage: t.title, Warning: text})
}
