package nn_test

import (
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// TestSegmentsSaveMemory: with more segments a deep network's gradients take less memory, and more work. That
// their bits are the same is shown by backendtest for every executor.
func TestSegmentsSaveMemory(t *testing.T) {
	var list []nn.Layer
	for range 16 {
		list = append(list, nn.Layer{Type: "conv", Out: 16, Kernel: 3, Padding: "same"}, nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "relu"})
	}
	spec := layers(nn.Shape{H: 16, W: 16, C: 3}, 3, append(list, nn.Layer{Type: "dense"})...)
	build := func(segments int) *nn.Model {
		m, err := nn.BuildTuned(spec, cpu.New(1), 32, rng.New(1, "init"), nn.Tuning{Segments: segments})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	attack, update := build(0).Memory()
	for _, test := range []struct {
		segments int
		most     float64 // of the memory without
	}{{1, 1}, {2, 0.75}, {4, 0.6}} {
		m := build(test.segments)
		a, u := m.Memory()
		t.Logf("%d segments: %.2f and %.2f of the memory", test.segments, float64(a)/float64(attack), float64(u)/float64(update))
		if float64(a) > test.most*float64(attack) || float64(u) > test.most*float64(update) {
			t.Errorf("%d segments: %d bytes in an attack and %d in an update, of %d and %d", test.segments, a, u, attack, update)
		}
		if (test.segments > 1) != (nn.FLOPs(m.Programs()[2]) > nn.FLOPs(build(0).Programs()[2])) {
			t.Errorf("%d segments: the update has the work of %v FLOP", test.segments, nn.FLOPs(m.Programs()[2]))
		}
	}
}

// TestSegmentsOfBatch: a view of the batch's statistics has the segments of its model.
func TestSegmentsOfBatch(t *testing.T) {
	bn := nn.Layer{Type: "batchnorm"}
	spec := layers(nn.Shape{H: 4, W: 4, C: 2}, 3, nn.Layer{Type: "conv", Out: 4, Kernel: 3}, bn, nn.Layer{Type: "relu"},
		nn.Layer{Type: "dense", Out: 5}, bn, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"})
	var results [2][]float32
	for i, segments := range []int{0, 3} {
		m, err := nn.BuildTuned(spec, cpu.New(2), 4, rng.New(1, "init"), nn.Tuning{Segments: segments})
		if err != nil {
			t.Fatal(err)
		}
		v, err := m.OnBatch()
		if err != nil {
			t.Fatal(err)
		}
		c := &device.Call{Rows: 4, X: m.New(4 * 32), Loss: nn.CrossEntropy{}, Labels: []int32{0, 1, 2, 0}, Scale: 1, InputGrad: m.New(4 * 32)}
		x := make([]float32, 4*32)
		rng.New(2, "x").Uniform(x, 0, 1, 0, 0, 0)
		c.X.Upload(x, 0)
		if err := v.InputGrad(c); err != nil {
			t.Fatal(err)
		}
		results[i] = values(c.InputGrad)
	}
	for i, v := range results[0] {
		if v != results[1][i] {
			t.Fatalf("gradient %d is %v, in segments %v", i, v, results[1][i])
		}
	}
}
