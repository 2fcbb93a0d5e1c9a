// Package report turns what a run measured into what a person reads: accuracy tables for the
// terminal, report.md and report.json, the figures, and the progress of a training stage. It takes
// plain values and writes to an io.Writer; it knows no model, no attack and no data set.
package report

import "fmt"

// The two moments at which a run measures its network.
const (
	Before = "before" // the undefended network
	After  = "after"  // the hardened one
)

// Clean names the outcome of a network on unchanged images.
const Clean = "clean"

// Outcome is what one network answered to one attack on n examples.
type Outcome struct {
	// Stage is Before or After.
	Stage string
	// Attack names the row: Clean, "noise", "FGSM", "PGD-40", and so on.
	Attack string
	// Group names the sequence that the attack is a part of, such as "AutoAttack"; empty for none.
	Group string
	// Cumulative says that the attack ran only on the examples that were still classified right
	// after the attacks before it; the others keep the prediction that broke them.
	Cumulative bool
	// Norm and Epsilon bound the perturbation, pixels in [0,1]; empty and 0 for clean images.
	Norm    string
	Epsilon float64
	// Predictions holds the predicted class of each example, and Confidence the softmax
	// probability of that class.
	Predictions []int
	Confidence  []float32
	// Distances holds the size of each perturbation in the attack's norm, NaN where there is none;
	// nil where it was not measured.
	Distances Distances
	// Minimal holds, for an attack that seeks the smallest perturbation, the distance of the nearest
	// adversarial example that it found: 0 where the clean image is misclassified, +Inf where it
	// found none. It is nil for other attacks.
	Minimal Distances
	// Seconds, Gradients and Forwards say what the attack cost: time, input gradients of one example,
	// and its forward passes besides (queries, for a black-box attack). Of the gradients, Zero were
	// zero everywhere, and NonFinite held a NaN or an infinity.
	Seconds                              float64
	Gradients, Forwards, Zero, NonFinite int64
	// Options are the attack's settings, for the record.
	Options map[string]any
}

// Row is a line of the accuracy table. Rates are fractions in [0,1].
type Row struct {
	Stage, Attack, Group string
	Cumulative           bool
	Norm                 string
	Epsilon              float64
	// N examples were measured, and Correct of them classified right.
	N, Correct int
	Accuracy   float64
	// Interval is the 95 % Clopper-Pearson interval of the accuracy.
	Interval [2]float64
	// CleanCorrect examples were classified right before the attack, and Broken of those were
	// classified wrong under it. SuccessRate is Broken/CleanCorrect; NaN on clean images and
	// where no example was classified right.
	CleanCorrect, Broken int
	SuccessRate          float64
	// Precision, Recall and F1 are macro averages; see Measure.
	Precision, Recall, F1 float64
	// Confidence is the mean probability of the predicted class, right or wrong.
	Confidence float64
	// PerClass holds one entry for each class, in order.
	PerClass []ClassRow
	// Confusion counts the examples by true class and, within it, predicted class.
	Confusion [][]int
	// Distance sums up the sizes of the perturbations, Minimal the distances of the adversarial
	// examples that a minimal attack found, which MinimalDistances lists by example.
	Distance, Minimal   Spread
	MinimalDistances    Distances
	Seconds             float64
	Gradients, Forwards int64
	// ZeroShare and NonFiniteShare are shares of the gradients, NaN where there were none.
	ZeroShare, NonFiniteShare float64
	Options                   map[string]any
}

// ClassRow counts the examples of one class and those classified right.
type ClassRow struct{ N, Correct int }

// Accuracy is Correct/N, NaN for a class without examples.
func (c ClassRow) Accuracy() float64 { return ratio(c.Correct, c.N) }

// Measure computes the row of one outcome. labels are the true classes of the n examples, each in
// [0,classes), and clean the predictions of the same network on the unchanged images.
//
// Precision, recall and F1 are averages over classes, each class with the same weight. A class
// without examples is left out of the averages, since its recall does not exist; the precision of a
// class that was never predicted is 0, and so is F1 where precision and recall are both 0.
func Measure(labels, clean []int, classes int, o Outcome) (Row, error) {
	if err := o.check(labels, classes); err != nil {
		return Row{}, err
	}
	if len(clean) != len(labels) {
		return Row{}, fmt.Errorf("report: row %q (%s): %d clean predictions for %d labels", o.Attack, o.Stage, len(clean), len(labels))
	}
	r := Row{
		Stage: o.Stage, Attack: o.Attack, Group: o.Group, Cumulative: o.Cumulative, Norm: o.Norm, Epsilon: o.Epsilon,
		N: len(labels), PerClass: make([]ClassRow, classes), Confusion: make([][]int, classes),
		Distance: spread(o.Distances), Minimal: spread(o.Minimal), MinimalDistances: o.Minimal,
		Seconds: o.Seconds, Gradients: o.Gradients, Forwards: o.Forwards, Options: o.Options,
		ZeroShare: share(o.Zero, o.Gradients), NonFiniteShare: share(o.NonFinite, o.Gradients),
	}
	for k := range r.Confusion {
		r.Confusion[k] = make([]int, classes)
	}
	predicted := make([]int, classes)
	confidence := 0.0
	for i, label := range labels {
		p := o.Predictions[i]
		predicted[p]++
		r.Confusion[label][p]++
		confidence += float64(o.Confidence[i])
		r.PerClass[label].N++
		if p == label {
			r.Correct++
			r.PerClass[label].Correct++
		}
		if clean[i] == label {
			r.CleanCorrect++
			if p != label {
				r.Broken++
			}
		}
	}
	r.Accuracy = ratio(r.Correct, r.N)
	r.Interval[0], r.Interval[1] = ClopperPearson(r.Correct, r.N, 0.95)
	r.SuccessRate = ratio(r.Broken, r.CleanCorrect)
	if o.Attack == Clean {
		r.SuccessRate = nan
	}
	r.Precision, r.Recall, r.F1 = macro(r.PerClass, predicted)
	r.Confidence = confidence / float64(r.N)
	return r, nil
}

// macro averages precision, recall and F1 over the classes that have examples.
func macro(classes []ClassRow, predicted []int) (precision, recall, f1 float64) {
	present := 0
	for k, c := range classes {
		if c.N == 0 {
			continue
		}
		present++
		recall += c.Accuracy()
		if predicted[k] > 0 {
			precision += ratio(c.Correct, predicted[k])
		}
		// 2PR/(P+R) in counts: it needs no special case for P = R = 0.
		f1 += 2 * float64(c.Correct) / float64(c.N+predicted[k])
	}
	n := float64(present)
	return precision / n, recall / n, f1 / n
}

// check reports what makes an outcome unusable.
func (o *Outcome) check(labels []int, classes int) error {
	n := len(labels)
	bad := func(format string, a ...any) error {
		return fmt.Errorf("report: row %q (%s): "+format, append([]any{o.Attack, o.Stage}, a...)...)
	}
	switch {
	case o.Stage != Before && o.Stage != After:
		return bad("unknown stage %q, want %q or %q", o.Stage, Before, After)
	case o.Attack == "":
		return bad("the attack has no name")
	case n == 0:
		return bad("no examples to measure")
	case len(o.Predictions) != n || len(o.Confidence) != n:
		return bad("%d predictions and %d confidences for %d labels", len(o.Predictions), len(o.Confidence), n)
	case o.Distances != nil && len(o.Distances) != n:
		return bad("%d distances for %d labels", len(o.Distances), n)
	case o.Minimal != nil && len(o.Minimal) != n:
		return bad("%d minimal distances for %d labels", len(o.Minimal), n)
	}
	for i, label := range labels {
		if label < 0 || label >= classes {
			return bad("label %d of example %d is not in [0,%d)", label, i, classes)
		}
		if p := o.Predictions[i]; p < 0 || p >= classes {
			return bad("prediction %d of example %d is not in [0,%d)", p, i, classes)
		}
	}
	return nil
}
