package cuda

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// products is what every kernel for tensor cores has a part in: both passes through convolutions,
// one that pools, and dense layers that take several steps of k, with channels that are copied one by one and by fours. wide
// takes the large tiles.
func products(t *testing.T, p device.Precision, wide bool) ([]float32, error) {
	t.Helper()
	d := openRounded(t, 1, p)
	if wide {
		d.fill = 1
	}
	const rows = 36 // more than a small tile of rows
	spec := nn.Spec{Arch: "layers", Input: nn.Shape{H: 3, W: 2, C: 2}, Classes: 10, Options: &nn.Custom{List: []nn.Layer{
		{Type: "conv", Out: 36, Kernel: 3, Padding: "same"}, {Type: "relu"}, {Type: "conv", Out: 35, Kernel: 3, Padding: "same"}, {Type: "relu"},
		{Type: "conv", Out: 33, Kernel: 2, Padding: "same"}, {Type: "relu"}, {Type: "maxpool", Kernel: 2},
		{Type: "flatten"}, {Type: "dense", Out: 66}, {Type: "relu"}, {Type: "dense", Out: 36}, {Type: "dense"}}}}
	m, err := nn.Build(spec, d, rows, rng.New(3, "weights"))
	if err != nil {
		return nil, err
	}
	x, labels := make([]float32, rows*spec.Input.Size()), make([]int32, rows)
	rng.New(4, "x").Uniform(x, 0, 1, 0, 0, 0)
	call := &device.Call{Rows: rows, X: d.New(len(x)), Loss: nn.CrossEntropy{}, Labels: labels, Scale: 1, InputGrad: d.New(len(x))}
	call.X.Upload(x, 0)
	if err := m.InputGrad(call); err != nil {
		return nil, err
	}
	out := values(call.InputGrad)
	if err := m.ParamGrad(call); err != nil {
		return nil, err
	}
	for _, g := range m.Gradients() {
		out = append(out, g.Data...)
	}
	return out, d.err
}

// TestTensorMutants makes mistakes that are easily made in the kernels for tensor cores: each changes a
// result, or is an error.
func TestTensorMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("two passes for each mutant")
	}
	want := map[string][]float32{}
	for _, m := range []struct {
		name, pattern, with string
		kernels             []string
	}{
		{"no barrier", `bar\.sync\s+0;`, "", []string{"conv_tf32", "conv_input_grad_tf32_small", "conv_weight_grad_bf16", "dense_bf16_small", "dense_input_grad_bf16", "dense_weight_grad_tf32_small"}},
		{"a stage that is not waited for", `cp\.async\.wait_group 1;`, "cp.async.wait_group 2;", []string{"conv_bf16_small", "dense_weight_grad_tf32"}},
		{"what lies outside is read", `selp\.b32\s+(%r\d+), 0, 4, %p\d+;`, "mov.b32 $1, 4;", []string{"conv_weight_grad_tf32_small", "conv_bf16"}},
		{"what lies outside is read by fours", `selp\.b32\s+(%r\d+), 0, 16, %p\d+;`, "mov.b32 $1, 16;", []string{"conv_bf16_small"}},
		{"two words of a fragment exchanged", `(mma\S+\s+\{[^}]*\}, \{%r\d+, ?)(%r\d+), ?(%r\d+)`, "$1$3, $2", []string{"dense_tf32", "conv_input_grad_bf16"}},
		{"both words of a fragment exchanged", `(mma\S+\s+\{[^}]*\}, \{[^}]*\}, \{)(%r\d+), ?(%r\d+)`, "$1$3, $2", []string{"conv_tf32", "dense_input_grad_bf16_small"}},
		{"an operand that is not rounded", `cvt\.rna\.tf32\.f32`, "mov.b32", []string{"dense_weight_grad_tf32"}},
		{"neighbours exchanged", `(cvt\.rn\.bf16x2\.f32\s+%r\d+), (%f\d+), (%f\d+);`, "$1, $3, $2;", []string{"conv_weight_grad_bf16_small"}},
	} {
		for _, kernel := range m.kernels {
			p, wide := device.TF32, !strings.HasSuffix(kernel, "_small")
			if strings.Contains(kernel, "bf16") {
				p = device.BF16
			}
			key, err := fmt.Sprint(p, wide), error(nil)
			if want[key] == nil {
				if want[key], err = products(t, p, wide); err != nil {
					t.Fatal(err)
				}
			}
			file := files()[kernel]
			restore := replace(file, change(t, file, kernel, m.pattern, m.with))
			got, err := products(t, p, wide)
			restore()
			if err == nil && equalBits(got, want[key]) {
				t.Errorf("%s in %s: nothing notices", m.name, kernel)
			}
		}
	}
	for _, p := range []device.Precision{device.TF32, device.BF16} {
		if !equalBits(want[fmt.Sprint(p, true)], want[fmt.Sprint(p, false)]) {
			t.Errorf("%s: large and small tiles differ", p)
		}
	}
}

func equalBits(a, b []float32) bool {
	for i, v := range a {
		if math.Float32bits(v) != math.Float32bits(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}
