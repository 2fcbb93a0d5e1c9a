package report

import (
	"math"
	"strings"
	"testing"
)

func near(t *testing.T, name string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(want) && math.IsNaN(got) {
		return
	}
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %v, want %v", name, got, want)
	}
}

func confidences(n int, v float32) []float32 {
	c := make([]float32, n)
	for i := range c {
		c[i] = v
	}
	return c
}

// Four classes: 3 has no examples but is predicted once, and 2 is never predicted.
//
//	class  n  predicted  right  precision  recall  F1
//	0      3  4          2      1/2        2/3     4/7
//	1      2  2          1      1/2        1/2     1/2
//	2      2  0          0      0          0       0
func TestMeasureByHand(t *testing.T) {
	labels := []int{0, 0, 0, 1, 1, 2, 2}
	clean := []int{0, 0, 1, 1, 1, 2, 0} // five right
	o := Outcome{
		Stage: After, Attack: "PGD-40", Norm: "Linf", Epsilon: 0.3,
		Predictions: []int{0, 0, 1, 1, 0, 0, 0}, // three right; breaks two of the five
		Confidence:  []float32{0.5, 0.5, 0.5, 0.5, 0.5, 1, 1},
		Seconds:     2, Gradients: 280, Options: map[string]any{"steps": 40},
	}
	o.Predictions[6] = 3
	r, err := Measure(labels, clean, 4, o)
	if err != nil {
		t.Fatal(err)
	}
	// With the last prediction 3, class 0 is predicted four times.
	near(t, "accuracy", r.Accuracy, 3.0/7, 1e-12)
	near(t, "success rate", r.SuccessRate, 2.0/5, 1e-12)
	near(t, "precision", r.Precision, (0.5+0.5+0)/3, 1e-12)
	near(t, "recall", r.Recall, (2.0/3+0.5+0)/3, 1e-12)
	near(t, "F1", r.F1, (4.0/7+0.5+0)/3, 1e-12)
	near(t, "confidence", r.Confidence, 4.5/7, 1e-12)
	if r.N != 7 || r.Correct != 3 || r.CleanCorrect != 5 || r.Broken != 2 {
		t.Errorf("counts n %d, right %d, right when clean %d, broken %d; want 7, 3, 5, 2", r.N, r.Correct, r.CleanCorrect, r.Broken)
	}
	want := []ClassRow{{3, 2}, {2, 1}, {2, 0}, {0, 0}}
	for k, c := range r.PerClass {
		if c != want[k] {
			t.Errorf("class %d: %+v, want %+v", k, c, want[k])
		}
	}
	if !math.IsNaN(r.PerClass[3].Accuracy()) {
		t.Errorf("accuracy of a class without examples is %v, want NaN", r.PerClass[3].Accuracy())
	}
	low, high := ClopperPearson(3, 7, 0.95)
	if r.Interval != [2]float64{low, high} {
		t.Errorf("interval %v, want [%v %v]", r.Interval, low, high)
	}
}

func TestSuccessRateWhereItDoesNotExist(t *testing.T) {
	labels, conf := []int{0, 1}, confidences(2, 1)
	for _, c := range []struct {
		name   string
		attack string
		clean  []int
	}{{"clean row", Clean, []int{0, 1}}, {"nothing right when clean", "FGSM", []int{1, 0}}} {
		r, err := Measure(labels, c.clean, 2, Outcome{Stage: Before, Attack: c.attack, Predictions: c.clean, Confidence: conf})
		if err != nil {
			t.Fatal(err)
		}
		if !math.IsNaN(r.SuccessRate) {
			t.Errorf("%s: success rate %v, want NaN", c.name, r.SuccessRate)
		}
	}
}

func TestMeasureRejects(t *testing.T) {
	good := func() Outcome {
		return Outcome{Stage: Before, Attack: "FGSM", Predictions: []int{0, 1}, Confidence: confidences(2, 1)}
	}
	for _, c := range []struct {
		want          string
		labels, clean []int
		edit          func(*Outcome)
	}{
		{`unknown stage "during"`, []int{0, 1}, []int{0, 1}, func(o *Outcome) { o.Stage = "during" }},
		{"no name", []int{0, 1}, []int{0, 1}, func(o *Outcome) { o.Attack = "" }},
		{"no examples", nil, nil, func(o *Outcome) {}},
		{"2 predictions and 2 confidences for 3 labels", []int{0, 1, 1}, []int{0, 1, 1}, func(o *Outcome) {}},
		{"1 clean predictions for 2 labels", []int{0, 1}, []int{0}, func(o *Outcome) {}},
		{"label 2 of example 1 is not in [0,2)", []int{0, 2}, []int{0, 1}, func(o *Outcome) {}},
		{"prediction -1 of example 0", []int{0, 1}, []int{0, 1}, func(o *Outcome) { o.Predictions[0] = -1 }},
	} {
		o := good()
		c.edit(&o)
		_, err := Measure(c.labels, c.clean, 2, o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

// Values of the literature: Newcombe 1998, table I, and the closed forms 1-(a/2)^(1/n) at the ends.
func TestClopperPearson(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{
		{81, 263, 0.2527, 0.3676},
		{15, 148, 0.0578, 0.1617},
		{0, 20, 0, 1 - math.Pow(0.025, 1.0/20)},
		{1, 29, 0.0009, 0.1776},
		{29, 29, math.Pow(0.025, 1.0/29), 1},
		{5, 10, 0.1871, 0.8129},
	} {
		low, high := ClopperPearson(c.k, c.n, 0.95)
		near(t, "low", low, c.low, 6e-5)
		near(t, "high", high, c.high, 6e-5)
	}
	for _, c := range [][2]int{{0, 0}, {-1, 5}, {6, 5}} {
		if low, high := ClopperPearson(c[0], c[1], 0.95); !math.IsNaN(low) || !math.IsNaN(high) {
			t.Errorf("ClopperPearson(%d, %d) = %v, %v; want NaN", c[0], c[1], low, high)
		}
	}
}

func TestWorstCase(t *testing.T) {
	labels := []int{0, 1, 2, 3, 4}
	outcomes := []Outcome{
		{Stage: After, Attack: Clean, Predictions: []int{0, 1, 2, 3, 9}, Confidence: confidences(5, 0.9), Seconds: 1},
		{Stage: After, Attack: "FGSM", Norm: "Linf", Epsilon: 0.3, Predictions: []int{0, 7, 2, 3, 4}, Confidence: confidences(5, 0.8), Seconds: 2, Gradients: 5},
		{Stage: After, Attack: "PGD", Norm: "Linf", Epsilon: 0.2, Predictions: []int{0, 8, 5, 3, 6}, Confidence: confidences(5, 0.7), Seconds: 4, Gradients: 50},
	}
	w, err := WorstCase(labels, outcomes)
	if err != nil {
		t.Fatal(err)
	}
	// 0 and 3 withstand all; 1 falls to FGSM first, 2 to PGD, and 4 was wrong when clean.
	wantP, wantC := []int{0, 7, 5, 3, 9}, []float32{0.9, 0.8, 0.7, 0.9, 0.9}
	for i := range labels {
		if w.Predictions[i] != wantP[i] || w.Confidence[i] != wantC[i] {
			t.Errorf("example %d: %d with %v, want %d with %v", i, w.Predictions[i], w.Confidence[i], wantP[i], wantC[i])
		}
	}
	if w.Stage != After || w.Attack != "worst case" || w.Norm != "Linf" || w.Epsilon != 0.3 || w.Seconds != 7 || w.Gradients != 55 || w.Cumulative {
		t.Errorf("worst case is %+v", w)
	}
}

func TestWorstCaseRejects(t *testing.T) {
	labels := []int{0, 1}
	clean := Outcome{Stage: After, Attack: Clean, Predictions: []int{0, 1}, Confidence: confidences(2, 1)}
	short, other := clean, clean
	short.Attack, short.Predictions = "FGSM", []int{0}
	other.Attack, other.Stage = "FGSM", Before
	for want, outcomes := range map[string][]Outcome{
		`no outcome named "clean"`:         {other},
		`"FGSM" has 1 predictions`:         {clean, short},
		`"FGSM" is of stage "before", the`: {clean, other},
	} {
		if _, err := WorstCase(labels, outcomes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
