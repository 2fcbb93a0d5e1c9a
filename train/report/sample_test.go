package report

import (
	"math"
	"math/rand/v2"
)

// sampleLabels spreads n examples evenly over ten classes.
func sampleLabels(n int) []int {
	labels := make([]int, n)
	for i := range labels {
		labels[i] = i * 7 % 10
	}
	return labels
}

// sampleOutcome gets about the share right of n examples right: the same examples again and again, so
// that a stronger attack breaks what a weaker one broke.
func sampleOutcome(stage, attack string, labels []int, right float64) Outcome {
	o := Outcome{Stage: stage, Attack: attack, Norm: "Linf", Epsilon: 0.3, Seconds: 1.5, Gradients: int64(40 * len(labels))}
	if attack == Clean {
		o.Norm, o.Epsilon, o.Gradients = "", 0, 0
	}
	for i, label := range labels {
		hard := rand.New(rand.NewPCG(7, uint64(i))).Float64()
		if hard >= right {
			label = (label + 1 + i%3) % 10
		}
		o.Predictions = append(o.Predictions, label)
		o.Confidence = append(o.Confidence, float32(0.6+0.4*(1-hard)))
	}
	return o
}

// sampleReport is a report with the rows of the main job over n images.
func sampleReport(n int) *Report {
	r := &Report{
		Run: "madry",
		Facts: Facts{
			Model: "madry_cnn", ThreatModel: "Linf, ε = 0.3", AdversarialShare: 0.5, N: n, Seed: 1,
			Selection: "best checkpoint by PGD-20 on 5,000 images held out of the training data (seed 1), never the test set",
		},
		Config:  map[string]any{"model": "madry_cnn", "attack": map[string]any{"eps": 0.3, "steps": 40, "bound": math.Inf(1)}},
		Figures: []Figure{{Title: "Loss and accuracy over steps", File: "curves.png"}, {Title: "Accuracy against ε", File: "robustness.png"}},
	}
	attacks := []string{Clean, "noise", "FGSM", "PGD-40", "PGD-100", "PGD-100 x10"}
	shares := map[string][]float64{
		Before: {0.9885, 0.962, 0.061, 0.004, 0, 0},
		After:  {0.9842, 0.981, 0.957, 0.937, 0.931, 0.921},
	}
	labels := sampleLabels(n)
	for _, stage := range []string{Before, After} {
		var outcomes []Outcome
		for i, a := range attacks {
			outcomes = append(outcomes, sampleOutcome(stage, a, labels, shares[stage][i]))
		}
		outcomes[5].Options = map[string]any{"steps": 100, "restarts": 10, "step_size": 0.01}
		worst, err := WorstCase(labels, outcomes)
		if err != nil {
			panic(err)
		}
		for _, o := range append(outcomes, worst) {
			row, err := Measure(labels, outcomes[0].Predictions, 10, o)
			if err != nil {
				panic(err)
			}
			r.Rows = append(r.Rows, row)
		}
	}
	return r
}
