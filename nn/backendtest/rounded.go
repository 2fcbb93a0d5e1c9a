package backendtest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
)

// RunRounded is the suite for executors that round the operands of products (device.Rounding), to about
// 2^-8 at worst: every network's values come within tolerance of the reference, see roundedNear, and so do
// gradients where there is no kink between. (Near the kink of a ReLU or of a maximum rounding exchanges one
// gradient for another.) That a row's results depend on that row alone holds to the bit, as ever. Loops and
// updates are RunAll's.
func RunRounded(t *testing.T, tolerance float64, newDevice func(threads int) device.Device) {
	s := suite{newDevice}
	t.Run("Values", func(t *testing.T) {
		for _, network := range Networks() {
			t.Run(network.Name, func(t *testing.T) { s.rounded(t, network.Spec, tolerance) })
		}
	})
	t.Run("RowsAlone", s.rowsAlone)
}

// rounded compares a network's values, and the gradients of its smooth twin.
func (s suite) rounded(t *testing.T, spec nn.Spec, tolerance float64) {
	rows, twins := 2, []nn.Spec{spec}
	if spec.Arch == "layers" || len(spec.Members) > 0 { // the others are larger, and made of the same layers
		rows, twins = 7, append(twins, smooth(spec))
	}
	for _, twin := range twins {
		n := s.build(t, twin, 2, rows)
		call := nn.ReferenceCall{Rows: rows, Adversarial: adversarial(rows), X: n.x, Loss: nn.CrossEntropy{}, Labels: n.labels, Soft: n.soft, Scale: 1, Noise: 77}
		want := reference(t, n, call)
		got := n.inputGrad(t, n.call(0, rows, nn.CrossEntropy{}, 1))
		roundedNear(t, "logits", got.logits, want.Logits, tolerance, 0)
		roundedNear(t, "value", got.value, want.Value, tolerance, 0)
		if kinked(twin) {
			continue
		}
		roundedNear(t, "input gradient", got.inputGrad, want.InputGrad, tolerance, 0)
		call.Training = true
		want = reference(t, n, call)
		n.paramGrad(t, n.call(0, rows, nn.CrossEntropy{}, 1))
		all := 0.0
		for _, w := range want.ParamGrads {
			all = max(all, largest(w.Data))
		}
		for i, w := range n.Gradients() {
			roundedNear(t, "gradient of "+w.Name, w.Data, want.ParamGrads[i].Data, tolerance, all/10) // biases below a normalisation have gradient 0
		}
	}
}

// roundedNear compares to a tolerance in the Euclidean norm, relative to what is wanted (or to values of
// size least), and each value to three times as much of the largest. Rounding to bf16 is off by 0.16 % in the mean
// square, a product of two such by 0.23 %, and a gradient behind six layers, twelve products, by 0.8 %.
func roundedNear(t *testing.T, what string, got, want []float32, tolerance, least float64) {
	t.Helper()
	nearTo(t, what, got, want, 3*tolerance/1e-4*max(largest(want), least))
	off, norm := 0.0, 0.0
	for i, w := range want {
		off += math.Pow(float64(got[i])-float64(w), 2)
		norm += math.Pow(float64(w), 2)
	}
	if share := math.Sqrt(off / max(norm, least*least*float64(len(want)))); !(share <= tolerance) {
		t.Errorf("%s is off by %.2g of its norm", what, share)
	}
}

// smooth is a network of the same shapes without kinks: averages in the place of maxima, and no ReLU.
func smooth(spec nn.Spec) nn.Spec {
	if len(spec.Members) > 0 {
		members := spec.Members
		spec.Members = nil
		for _, m := range members {
			spec.Members = append(spec.Members, smooth(m))
		}
		return spec
	}
	options := spec.Options
	spec.Arch, spec.Options = "layers", &nn.Custom{List: smoothLayers(options.Layers(spec.Input, spec.Classes))}
	return spec
}

func smoothLayers(list []nn.Layer) (out []nn.Layer) {
	for _, l := range list {
		switch l.Type {
		case "relu", "leaky_relu":
			continue
		case "maxpool":
			l.Type = "avgpool"
		}
		l.Body, l.Shortcut = smoothLayers(l.Body), smoothLayers(l.Shortcut)
		out = append(out, l)
	}
	return out
}

// kinks are the operations whose gradients jump.
var kinks = []string{"relu", "leaky_relu", "maxpool", "vote"}

// kinked reports whether a network has gradients that jump.
func kinked(spec nn.Spec) bool {
	if spec.Combine == nn.MajorityVote && len(spec.Members) > 0 {
		return true
	}
	for _, m := range spec.Members {
		if kinked(m) {
			return true
		}
	}
	if t, ok := spec.Options.(*nn.Topology); ok {
		return slices.ContainsFunc(t.Nodes, func(n nn.Node) bool { return slices.Contains(kinks, n.Op) })
	}
	return len(spec.Members) == 0 && kinkedLayers(spec.Options.Layers(spec.Input, spec.Classes))
}

func kinkedLayers(list []nn.Layer) bool {
	for _, l := range list {
		if slices.Contains(kinks, l.Type) || kinkedLayers(l.Body) || kinkedLayers(l.Shortcut) {
			return true
		}
	}
	return false
}

// rowsAlone: a row's results depend on that row alone, and a training step on the same rows is the same.
func (s suite) rowsAlone(t *testing.T) {
	const rows = 27
	spec := custom("", 6, 6, 2, conv(9, 3, 1, "same"), relu, conv(16, 3, 1, "same"), bnorm, relu, maxpool(2, 0, ""), dense(12), relu, dense(0)).Spec
	n, small := s.build(t, spec, 1, rows), s.build(t, spec, 2, 9)
	want := n.inputGrad(t, n.call(0, rows, nn.CrossEntropy{}, 1))
	for from := 0; from < rows; from += 9 {
		to := min(from+9, rows)
		c := n.call(from, to, nn.CrossEntropy{}, 1)
		c.X, c.Logits, c.Value, c.InputGrad = small.upload(read(c.X)), small.Device.New(c.Logits.Len()), small.Device.New(c.Rows), small.Device.New(c.X.Len())
		c.Soft = nil
		want.rows(from, to, rows).same(t, fmt.Sprintf("rows %d to %d: ", from, to), small.inputGrad(t, c))
	}
	other := s.build(t, spec, 3, rows)
	for _, net := range []*net{n, other} {
		net.paramGrad(t, net.call(0, rows, nn.CrossEntropy{}, 1./rows))
	}
	sameWeights(t, "gradient", other.Gradients(), n.Gradients())
}
