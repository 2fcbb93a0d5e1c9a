package nn

import (
	"math"
	"slices"
	"testing"

	"rampart/nn/device"
)

// TestTargetLossValues compares with values from the definitions; the target is the third class.
func TestTargetLossValues(t *testing.T) {
	soft := []float32{0, 0, 1, 0, 0}
	for _, c := range []struct {
		loss   device.Loss
		logits []float32
		label  int32
		want   float64
	}{
		{DLR{}, []float32{4, 1, 3, 0, 2}, 0, -(4 - 3) / (4. - 2)},
		{DLR{}, []float32{4, 1, 3, 0, 2}, 2, -(3 - 4) / (4. - 2)},
		{DLR{}, []float32{4, 1, 3, 0, 2}, 3, 4 / (4. - 2)},
		{DLR{}, []float32{4, 4, 1, 0, 0}, 0, 0},
		{Targeted{DLR{}}, []float32{4, 1, 3, 0, 2}, 3, -2},
		{TargetedDLR{}, []float32{4, 1, 3, 0, 2}, 0, (3 - 4) / (4 - (2+1.)/2)},
		{TargetedDLR{}, []float32{4, 1, 3, 0, 2}, 1, (3 - 1) / (4 - (2+1.)/2)},
		{LogitDifference{}, []float32{4, 1, 3, 0, 2}, 0, -1},
		{LogitDifference{}, []float32{4, 1, 3, 0, 2}, 2, 0},
	} {
		if got, _ := evaluate(c.loss, c.logits, soft, c.label); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%T of %v, label %d is %v, want %v", c.loss, c.logits, c.label, got, c.want)
		}
	}
}

// TestDLRInvariance: neither a shift nor a factor of all logits changes the ratios.
func TestDLRInvariance(t *testing.T) {
	soft, logits := []float32{0, 1, 0, 0, 0}, []float32{0.5, -1.25, 2, 0, 1.5}
	for _, l := range []device.Loss{DLR{}, TargetedDLR{}} {
		for label := range int32(5) {
			want, _ := evaluate(l, logits, soft, label)
			moved := slices.Clone(logits)
			for j := range moved {
				moved[j] = 64*moved[j] + 8
			}
			if got, _ := evaluate(l, moved, soft, label); math.Abs(got-want) > 1e-6 {
				t.Errorf("%T, label %d: %v became %v", l, label, want, got)
			}
		}
	}
}

func TestLargest(t *testing.T) {
	for _, c := range []struct {
		z    []float32
		want [4]int
	}{
		{[]float32{1, 2, 3, 4, 5}, [4]int{4, 3, 2, 1}},
		{[]float32{5, 4, 3, 2, 1}, [4]int{0, 1, 2, 3}},
		{[]float32{2, 7, 2, 7, 2}, [4]int{1, 3, 0, 2}},
		{[]float32{0, 0, 0}, [4]int{0, 1, 2, -1}},
	} {
		if got := largest(c.z); got != c.want {
			t.Errorf("largest of %v are %v, want %v", c.z, got, c.want)
		}
	}
}

func TestCheckClasses(t *testing.T) {
	for _, c := range []struct {
		loss    device.Loss
		classes int
		ok      bool
	}{{DLR{}, 3, true}, {DLR{}, 2, false}, {Targeted{DLR{}}, 2, false}, {TargetedDLR{}, 4, true}, {TargetedDLR{}, 3, false}, {Margin{}, 2, true}} {
		if err := CheckClasses(c.loss, "it", c.classes); (err == nil) != c.ok {
			t.Errorf("%T with %d classes: %v", c.loss, c.classes, err)
		}
	}
}
