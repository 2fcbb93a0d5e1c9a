package nn_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/rng"
)

func residualNet(seed uint64, classes int) *nn.Model {
	layers := &nn.Custom{List: []nn.Layer{
		{Type: "conv", Name: "conv1", Out: 4, Kernel: 3, Padding: "1"}, {Type: "batchnorm", Name: "bn1"}, {Type: "relu"},
		{Type: "residual", Body: []nn.Layer{
			{Type: "conv", Name: "layer1.conv1", Out: 4, Kernel: 3, Padding: "1"}, {Type: "batchnorm", Name: "layer1.bn1"}, {Type: "relu"},
		}},
		{Type: "avgpool", Kernel: 6}, {Type: "flatten"}, {Type: "dense", Name: "fc"},
	}}
	m, err := nn.Build(nn.Spec{Arch: "layers", Options: layers, Input: nn.Shape{H: 6, W: 6, C: 1}, Classes: classes}, cpu.New(1), 8, rng.New(seed, "test"))
	if err != nil {
		panic(err)
	}
	return m
}

func weight(list []nn.Weight, name string) []float32 {
	i := slices.IndexFunc(list, func(w nn.Weight) bool { return w.Name == name })
	if i < 0 {
		return nil
	}
	return list[i].Data
}

func without(list []nn.Weight, names ...string) (kept []nn.Weight) {
	for _, w := range list {
		if !slices.Contains(names, w.Name) {
			kept = append(kept, w)
		}
	}
	return kept
}

// TestAdopt: what fits by name and shape is taken, everything else stays as it was, and each weight
// is in one of the lists.
func TestAdopt(t *testing.T) {
	const all = 14 // weights of residualNet
	source := residualNet(1, 3).Weights()
	for name, c := range map[string]struct {
		source  []nn.Weight
		classes int
		fresh   bool
		want    nn.Adoption // but Loaded
	}{
		"the same network":   {source: source, classes: 3},
		"other classes":      {source: source, classes: 5, want: nn.Adoption{Head: []string{"fc.weight", "fc.bias"}}},
		"classes that moved": {source: source, classes: 3, fresh: true, want: nn.Adoption{Head: []string{"fc.weight", "fc.bias"}}},
		"no bias": {source: without(source, "conv1.bias", "layer1.conv1.bias"), classes: 3,
			want: nn.Adoption{Zeroed: []string{"conv1.bias", "layer1.conv1.bias"}}},
		"missing": {source: without(source, "bn1.bias", "layer1.conv1.weight", "layer1.conv1.bias"), classes: 3,
			want: nn.Adoption{Missing: []string{"bn1.bias", "layer1.conv1.weight", "layer1.conv1.bias"}}},
		"unexpected": {source: append([]nn.Weight{{Name: "layer2.w", Shape: []int{1}, Data: []float32{1}}}, source...), classes: 3,
			want: nn.Adoption{Unexpected: []string{"layer2.w"}}},
		"reshaped": {source: append(without(source, "conv1.weight"), nn.Weight{Name: "conv1.weight", Shape: []int{4, 3, 3, 3}, Data: make([]float32, 108)}), classes: 3,
			want: nn.Adoption{Reshaped: []nn.Reshaped{{Name: "conv1.weight", Source: []int{4, 3, 3, 3}, Own: []int{4, 1, 3, 3}}}}},
	} {
		m := residualNet(2, c.classes)
		before := m.Weights()
		got, err := m.Adopt(c.source, c.fresh)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		loaded := got.Loaded
		got.Loaded = nil
		if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s: %+v\nwant %+v", name, *got, c.want)
		}
		if n := len(loaded) + len(got.Zeroed) + len(got.Head) + len(got.Missing) + len(got.Reshaped); n != all {
			t.Errorf("%s: %d weights are accounted for, want %d", name, n, all)
		}
		for _, w := range m.Weights() {
			want := weight(before, w.Name)
			switch {
			case slices.Contains(loaded, w.Name):
				want = weight(c.source, w.Name)
			case slices.Contains(got.Zeroed, w.Name):
				want = make([]float32, len(w.Data))
			}
			if !slices.Equal(w.Data, want) {
				t.Errorf("%s: %s is not what it should be", name, w.Name)
			}
		}
	}
}

func TestAdoptNothing(t *testing.T) {
	source := residualNet(1, 3).Weights()
	renamed := slices.Clone(source)
	for i := range renamed {
		renamed[i].Name = "backbone." + renamed[i].Name
	}
	biases := slices.DeleteFunc(slices.Clone(source), func(w nn.Weight) bool { return len(w.Shape) > 1 })
	for name, c := range map[string]struct {
		source []nn.Weight
		want   string
	}{
		"other names":  {renamed, "no layer fits: its weights are backbone.conv1.weight, backbone.conv1.bias, "},
		"only vectors": {biases, "no layer fits"},
		"twice":        {append(slices.Clone(source), source[0]), `weight "conv1.weight" is there twice`},
		"the head":     {[]nn.Weight{{Name: "fc.weight", Shape: []int{9, 4}, Data: make([]float32, 36)}}, "no layer fits but the head"},
	} {
		m := residualNet(2, 3)
		before := m.Weights()
		if _, err := m.Adopt(c.source, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if !reflect.DeepEqual(m.Weights(), before) {
			t.Errorf("%s: weights have changed", name)
		}
	}
}
