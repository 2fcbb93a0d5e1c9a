package nn_test

import (
	"math"
	"reflect"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
)

// TestOnBatch: logits and input gradients are those of a training pass, and nothing has moved.
func TestOnBatch(t *testing.T) {
	bn := nn.Layer{Type: "batchnorm"}
	spec := layers(nn.Shape{H: 4, W: 4, C: 2}, 3, nn.Layer{Type: "conv", Out: 4, Kernel: 3, NoBias: true}, bn, nn.Layer{Type: "relu"},
		nn.Layer{Type: "dense", Out: 5}, bn, nn.Layer{Type: "dense"})
	m := build(t, spec, 6)
	v, err := m.OnBatch()
	if err != nil {
		t.Fatal(err)
	}
	if v.Rows() != 6 || v.Classes() != 3 || v.Input() != spec.Input {
		t.Errorf("%d rows, %d classes, input %v", v.Rows(), v.Classes(), v.Input())
	}
	call := func() *device.Call {
		c := &device.Call{Rows: 6, X: m.New(6 * 32), Loss: nn.CrossEntropy{}, Labels: []int32{0, 1, 2, 0, 1, 2}, Scale: 1,
			Logits: m.New(18), Value: m.New(6), InputGrad: m.New(6 * 32)}
		x := make([]float32, 6*32)
		for i, u := range fraction(len(x), 5) {
			x[i] = float32(u)
		}
		c.X.Upload(x, 0)
		return c
	}
	before := m.Weights()
	got, alone := call(), call()
	if err := v.InputGrad(got); err != nil {
		t.Fatal(err)
	}
	if err := v.Logits(alone); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m.Weights(), before) {
		t.Error("running statistics have moved")
	}
	eval := call()
	if err := m.InputGrad(eval); err != nil {
		t.Fatal(err)
	}
	want := call()
	if err := m.ParamGrad(want); err != nil {
		t.Fatal(err)
	}
	distance := func(got, want device.Tensor) (off float64) {
		a, b := values(got), values(want)
		for i := range a {
			off = math.Max(off, math.Abs(float64(a[i]-b[i])))
		}
		return off
	}
	for what, pair := range map[string][2]device.Tensor{"logits": {got.Logits, want.Logits}, "logits alone": {alone.Logits, want.Logits},
		"value": {got.Value, want.Value}, "input gradient": {got.InputGrad, want.InputGrad}} {
		if off := distance(pair[0], pair[1]); off > 1e-6 {
			t.Errorf("%s: off by %v", what, off)
		}
	}
	if distance(got.InputGrad, eval.InputGrad) < 1e-3 {
		t.Error("the gradient is that of evaluation")
	}
	got.Rows = 7
	if v.InputGrad(got) == nil {
		t.Error("7 rows of 6 are taken")
	}
}
