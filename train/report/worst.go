package report

import (
	"fmt"
	"slices"
	"strings"
)

// WorstCaseName names the outcome that WorstCase returns.
const WorstCaseName = "worst case"

// WorstCase combines the outcomes of one network, the clean one among them, by the per-example
// minimum: an example counts as right only where every outcome has it right. Its prediction and
// confidence are those of the first outcome, in the order given, that has it wrong, else those on the
// clean image. Its distance is that of the perturbation behind that prediction, NaN where none broke
// the example or where it was not measured. Epsilon is the largest, and time and counts are the sums.
func WorstCase(labels []int, outcomes []Outcome) (Outcome, error) {
	clean := slices.IndexFunc(outcomes, func(o Outcome) bool { return o.Attack == Clean })
	if clean < 0 {
		return Outcome{}, fmt.Errorf("report: %s: no outcome named %q to start from", WorstCaseName, Clean)
	}
	n := len(labels)
	worst := Outcome{
		Stage: outcomes[clean].Stage, Attack: WorstCaseName,
		Predictions: make([]int, n), Confidence: make([]float32, n),
	}
	broken := make([]bool, n)
	distances, measured := make(Distances, n), false
	for i := range distances {
		distances[i] = nan
	}
	var names, norms []string
	for _, o := range outcomes {
		if len(o.Predictions) != n || len(o.Confidence) != n {
			return Outcome{}, fmt.Errorf("report: %s: %q has %d predictions and %d confidences for %d labels", WorstCaseName, o.Attack, len(o.Predictions), len(o.Confidence), n)
		}
		if o.Stage != worst.Stage {
			return Outcome{}, fmt.Errorf("report: %s: %q is of stage %q, the clean outcome of %q", WorstCaseName, o.Attack, o.Stage, worst.Stage)
		}
		for i, p := range o.Predictions {
			if p != labels[i] && !broken[i] {
				broken[i] = true
				worst.Predictions[i], worst.Confidence[i] = p, o.Confidence[i]
				if i < len(o.Distances) {
					distances[i], measured = o.Distances[i], true
				}
			}
		}
		worst.Seconds += o.Seconds
		worst.Gradients += o.Gradients
		worst.Forwards += o.Forwards
		worst.Zero += o.Zero
		worst.NonFinite += o.NonFinite
		worst.Epsilon = max(worst.Epsilon, o.Epsilon)
		if name := o.Attack; o.Group != "" {
			names = append(names, o.Group+": "+name)
		} else {
			names = append(names, name)
		}
		if o.Norm != "" && !slices.Contains(norms, o.Norm) {
			norms = append(norms, o.Norm)
		}
	}
	for i := range labels {
		if !broken[i] {
			worst.Predictions[i], worst.Confidence[i] = outcomes[clean].Predictions[i], outcomes[clean].Confidence[i]
		}
	}
	if measured {
		worst.Distances = distances
	}
	worst.Norm = strings.Join(norms, "+")
	worst.Options = map[string]any{"over": names}
	return worst, nil
}
