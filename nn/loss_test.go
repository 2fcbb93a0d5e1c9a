package nn

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"rampart/nn/device"
)

// evaluate runs a loss on one row.
func evaluate(l device.Loss, logits, soft []float32, label int32) (float64, []float32) {
	b := device.Block{Rows: 1, Classes: len(logits), Logits: logits, Labels: []int32{label}, Soft: soft,
		Value: []float32{float32(math.NaN())}, Grad: slices.Repeat([]float32{float32(math.NaN())}, len(logits))}
	l.Rows(&b)
	return float64(b.Value[0]), b.Grad
}

var losses = []device.Loss{
	CrossEntropy{}, CrossEntropy{Temperature: 1}, CrossEntropy{Temperature: 20}, CrossEntropy{Temperature: 0.5},
	CrossEntropy{Smoothing: 0.1}, CrossEntropy{Temperature: 3, Smoothing: 0.3},
	Distill{}, Distill{Temperature: 5}, Margin{},
	DLR{}, TargetedDLR{}, LogitDifference{}, Targeted{DLR{}},
	Targeted{CrossEntropy{}}, Targeted{CrossEntropy{Temperature: 3}}, Targeted{Margin{}}, Targeted{Distill{Temperature: 2}},
}

// TestLossGradients compares with finite differences of five points; logits lie on a grid, so that
// steps are exact.
func TestLossGradients(t *testing.T) {
	soft := []float32{1, -0.5, 0.25, 2, -1.5}
	const h = 1. / 32
	for _, l := range losses {
		for _, logits := range [][]float32{{0.5, -1.25, 2, 0, 1.5}, {3, 2.5, -4, 1, -2}} {
			for label := range int32(5) {
				_, grad := evaluate(l, logits, soft, label)
				for j := range logits {
					at := func(d float32) float64 {
						moved := slices.Clone(logits)
						moved[j] += d
						v, _ := evaluate(l, moved, soft, label)
						return v
					}
					want := (8*(at(h)-at(-h)) - (at(2*h) - at(-2*h))) / (12 * h)
					// Values up to 10 with 24 bits, divided by h.
					if math.Abs(float64(grad[j])-want) > 5e-5 {
						t.Errorf("%T%+v, label %d: gradient[%d] at %v is %v, by finite differences %v", l, l, label, j, logits, grad[j], want)
					}
				}
			}
		}
	}
}

// TestLossValues compares with values from the definitions.
func TestLossValues(t *testing.T) {
	ln := math.Log
	for _, test := range []struct {
		loss   device.Loss
		logits []float32
		label  int32
		want   float64
	}{
		{CrossEntropy{}, []float32{0, 0, 0, 0}, 2, ln(4)},
		{CrossEntropy{}, []float32{1, 3}, 0, ln(1 + math.Exp(2))},
		{CrossEntropy{Temperature: 2}, []float32{1, 3}, 0, ln(1 + math.E)},
		{CrossEntropy{Smoothing: 0.2}, []float32{1, 3}, 0, 0.9*ln(1+math.Exp(2)) + 0.1*ln(1+math.Exp(-2))},
		{Distill{}, []float32{1, 3}, 0, (ln(1+math.Exp(2)) + ln(1+math.Exp(-2))) / 2}, // soft is uniform
		{Margin{}, []float32{1, 3, 7}, 1, 4},
		{Margin{}, []float32{1, 3, 7}, 2, -4},
		{Margin{}, []float32{5, 5}, 1, 0},
		{Targeted{Margin{}}, []float32{1, 3, 7}, 1, -4},
		{Targeted{CrossEntropy{}}, []float32{1, 3}, 0, -ln(1 + math.Exp(2))},
	} {
		if got, _ := evaluate(test.loss, test.logits, make([]float32, len(test.logits)), test.label); math.Abs(got-test.want) > 1e-6*(1+math.Abs(test.want)) {
			t.Errorf("%T%+v of %v, label %d is %v, want %v", test.loss, test.loss, test.logits, test.label, got, test.want)
		}
	}
}

// TestLossExtremes: logits far apart give finite values, and where a network is sure, loss and
// gradient keep what float32 can hold.
func TestLossExtremes(t *testing.T) {
	for _, l := range losses {
		for _, logits := range [][]float32{{1e4, -1e4, 0, 0}, {-1e4, 1e4, 1e4, 1e4}, {1e30, -1e30, 0, 1}, {0, 0, 1e4, 0},
			{0, 0, 0, 0}, {1e30, 1e30, 1e30, -1e30}, {3e-10, 2e-10, 1e-10, -1e30}, {1, 1, 1, 1e-30}} {
			for label := range int32(4) {
				v, grad := evaluate(l, logits, []float32{-1e4, 1e4, 0, 0}, label)
				if math.IsNaN(v) || math.IsInf(v, 0) || slices.ContainsFunc(grad, func(g float32) bool { return g != g || math.IsInf(float64(g), 0) }) {
					t.Errorf("%T%+v of %v, label %d: value %v, gradient %v", l, l, logits, label, v, grad)
				}
			}
		}
	}
	for _, apart := range []float64{20, 40, 80} {
		for _, temperature := range []float64{1, 10} {
			tiny := math.Exp(-apart)
			logits := []float32{0, float32(apart * temperature), 0, 0}
			v, grad := evaluate(CrossEntropy{Temperature: float32(temperature)}, logits, nil, 1)
			want := []float64{tiny, -3 * tiny, tiny, tiny}
			if math.Abs(v/(3*tiny)-1) > 1e-5 {
				t.Errorf("loss of an example that is right by %v is %v, want %v", apart, v, 3*tiny)
			}
			for j, w := range want {
				if w /= temperature; math.Abs(float64(grad[j])/w-1) > 1e-5 {
					t.Errorf("temperature %v, right by %v: gradient[%d] is %v, want %v", temperature, apart, j, grad[j], w)
				}
			}
		}
	}
	// Wrong by far: the loss is the distance, and the gradient is full.
	if v, grad := evaluate(CrossEntropy{}, []float32{1e4, 0}, nil, 1); v != 1e4 || grad[0] != 1 || grad[1] != -1 {
		t.Errorf("wrong by 1e4: loss %v, gradient %v", v, grad)
	}
	// A pupil that agrees with its teacher has no gradient.
	for _, logits := range [][]float32{{1, 2, 3}, {1e4, 0, -1e4}} {
		if _, grad := evaluate(Distill{Temperature: 3}, logits, logits, 0); slices.ContainsFunc(grad, func(g float32) bool { return g != 0 }) {
			t.Errorf("a pupil that agrees with its teacher at %v has gradient %v", logits, grad)
		}
	}
}

// TestLossManyClasses: more classes than fit the stack, and rows that do not touch one another.
func TestLossManyClasses(t *testing.T) {
	const rows, classes = 3, maxStackClasses + 50
	logits, soft := make([]float32, rows*classes), make([]float32, rows*classes)
	for i := range logits {
		logits[i], soft[i] = float32(i*37%101)/20, float32(i*53%97)/30
	}
	for _, l := range losses {
		t.Run(fmt.Sprintf("%T%+v", l, l), func(t *testing.T) {
			b := device.Block{Rows: rows, Classes: classes, Logits: logits, Labels: []int32{0, 100, classes - 1}, Soft: soft,
				Value: make([]float32, rows), Grad: make([]float32, rows*classes)}
			l.Rows(&b)
			for r := range rows {
				v, grad := evaluate(l, logits[r*classes:][:classes], soft[r*classes:][:classes], b.Labels[r])
				if float32(v) != b.Value[r] || !slices.Equal(grad, b.Grad[r*classes:][:classes]) {
					t.Errorf("row %d differs from the same row alone", r)
				}
				sum, scale := 0.0, 1.0
				for _, g := range grad {
					sum, scale = sum+float64(g), max(scale, math.Abs(float64(g)))
				}
				if math.Abs(sum) > 1e-5*scale { // a shift of all logits changes no loss
					t.Errorf("row %d: the gradient sums to %v", r, sum)
				}
			}
		})
	}
}
