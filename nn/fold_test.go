package nn_test

import (
	"math"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
)

func count[T device.Op](p *device.Program) (n int) {
	for _, in := range p.Instrs {
		if _, ok := in.Op.(T); ok {
			n++
		}
	}
	return n
}

// TestFolded: evaluation and attacks have no batch normalisation left that follows a layer alone, and
// training has all.
func TestFolded(t *testing.T) {
	conv := nn.Layer{Type: "conv", Out: 4, Kernel: 3, Padding: "1"}
	bn, last := nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "dense"}
	grouped := conv
	grouped.Groups, grouped.NoBias = 2, true
	for _, test := range []struct {
		name string
		spec nn.Spec
		left int // normalisations in the attack's program
		all  int
	}{
		{"resnet18", nn.Spec{Arch: "resnet18", Input: nn.Shape{H: 8, W: 8, C: 3}, Classes: 10}, 0, 20},
		{"wide_resnet", nn.Spec{Arch: "wide_resnet", Options: architecture(t, "wide_resnet", func(m nn.Architecture) { m.(*nn.WideResNet).Depth, m.(*nn.WideResNet).Width = 10, 1 }),
			Input: nn.Shape{H: 8, W: 8, C: 3}, Classes: 10}, 4, 7}, // those of what a shortcut uses, too, and the last
		{"conv, groups, dense", layers(nn.Shape{H: 4, W: 4, C: 2}, 3, conv, bn, grouped, bn, last, bn), 0, 3},
		{"first", layers(nn.Shape{H: 4, W: 4, C: 2}, 3, bn, conv, last), 1, 1},
		{"twice", layers(nn.Shape{H: 4, W: 4, C: 2}, 3, conv, bn, bn, last), 1, 2},
		{"after relu", layers(nn.Shape{H: 4, W: 4, C: 2}, 3, conv, nn.Layer{Type: "relu"}, bn, last), 1, 1},
		{"used twice", layers(nn.Shape{H: 4, W: 4, C: 2}, 3, conv, nn.Layer{Type: "residual", Body: []nn.Layer{bn, conv}}, last), 1, 1},
	} {
		if test.name == "resnet18" {
			test.spec.Options = architecture(t, "resnet18", func(m nn.Architecture) { m.(*nn.ResNet).Width = 4 })
		}
		programs := build(t, test.spec, 2).Programs()
		for _, p := range programs[:2] {
			if got := count[device.BatchNorm](p); got != test.left {
				t.Errorf("%s, %s: %d normalisations, want %d", test.name, p.Name, got, test.left)
			}
		}
		if got := count[device.BatchNormInputGrad](programs[1]); got != test.left {
			t.Errorf("%s: %d gradients of normalisations, want %d", test.name, got, test.left)
		}
		if got := count[device.BatchNormTrain](programs[2]); got != test.all {
			t.Errorf("%s: %d normalisations in training, want %d", test.name, got, test.all)
		}
	}
}

// TestFoldedFollows: evaluation sees statistics that a training pass has moved, and weights that were
// set or updated, at once.
func TestFoldedFollows(t *testing.T) {
	spec := layers(nn.Shape{H: 4, W: 4, C: 2}, 3, nn.Layer{Type: "conv", Out: 4, Kernel: 3, NoBias: true}, nn.Layer{Type: "batchnorm"},
		nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"})
	m := build(t, spec, 4)
	c := &device.Call{Rows: 4, X: m.New(4 * 32), Loss: nn.CrossEntropy{}, Labels: []int32{0, 1, 2, 0}, Scale: 1,
		Logits: m.New(12), Value: m.New(4), InputGrad: m.New(4 * 32)}
	x := make([]float32, 4*32)
	for i, v := range fraction(len(x), 3) {
		x[i] = float32(v)
	}
	c.X.Upload(x, 0)
	var before []float32
	check := func(after string) {
		t.Helper()
		if err := m.Logits(c); err != nil {
			t.Fatal(err)
		}
		got := values(c.Logits)
		r, err := nn.Reference(spec, m.Weights(), nn.ReferenceCall{Rows: 4, X: x, Loss: c.Loss, Labels: c.Labels, Scale: 1})
		if err != nil {
			t.Fatal(err)
		}
		moved := 0.0
		for i := range got {
			if math.Abs(float64(got[i]-r.Logits[i])) > 1e-5 {
				t.Errorf("after %s logit %d is %v, want %v", after, i, got[i], r.Logits[i])
			}
			if before != nil {
				moved = math.Max(moved, math.Abs(float64(got[i]-before[i])))
			}
		}
		if before != nil && moved < 1e-3 {
			t.Errorf("after %s the logits are the same", after)
		}
		before = got
	}
	check("building")
	pass := *c
	pass.Logits, pass.InputGrad = nil, nil
	if err := m.ParamGrad(&pass); err != nil {
		t.Fatal(err)
	}
	check("a training pass")
	if err := m.Update(device.SGD{}, 0.1); err != nil {
		t.Fatal(err)
	}
	check("an update")
	list := m.Weights()
	for i := range list[0].Data {
		list[0].Data[i] *= -2
	}
	if err := m.SetWeights(list); err != nil {
		t.Fatal(err)
	}
	check("setting weights")
}
