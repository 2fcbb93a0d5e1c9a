package backendtest

import (
	"slices"

	"rampart/nn"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// Network is one case of the table: together they hold every op, and what the compiler does to them.
type Network struct {
	Name string
	Spec nn.Spec
}

// Networks lists the networks that RunAll runs.
func Networks() []Network {
	list := []Network{
		custom("dense only", 3, 4, 1, dense(0)),
		custom("conv valid, bias and dense", 6, 5, 1, conv(3, 3, 1, ""), flat, dense(0)),
		custom("conv same, stride 2", 7, 6, 3, conv(5, 3, 2, "same"), relu, dense(0)),
		custom("conv padded by 2, kernel 5", 6, 6, 2, conv(4, 5, 1, "2"), relu, conv(18, 2, 2, "1"), relu, dense(0)),
		custom("conv same, kernel 4", 6, 6, 1, conv(3, 4, 1, "same"), relu, dense(0)),
		custom("conv 1x1, stride 3", 7, 7, 2, conv(20, 1, 3, ""), relu, dense(0)),
		custom("conv of the whole image", 5, 5, 3, conv(17, 5, 1, ""), relu, dense(0)),
		custom("relu before max pooling", 8, 8, 1, conv(4, 3, 1, "same"), relu, maxpool(2, 0, ""), dense(0)),
		custom("relu after max pooling", 8, 8, 1, conv(4, 3, 1, "same"), maxpool(2, 0, ""), relu, dense(0)),
		custom("max pooling of odd images", 7, 9, 2, conv(3, 3, 1, "same"), relu, maxpool(2, 0, ""), dense(0)),
		custom("max pooling, overlapping", 8, 8, 1, conv(4, 3, 1, ""), relu, maxpool(3, 2, "1"), dense(0)),
		custom("max pooling same, stride 1", 5, 5, 2, maxpool(3, 1, "same"), conv(3, 2, 1, ""), relu, maxpool(2, 1, "same"), dense(0)),
		custom("average pooling", 8, 8, 2, conv(4, 3, 1, "same"), relu, avgpool(2, 0, ""), dense(0)),
		custom("average pooling, overlapping", 7, 7, 1, avgpool(3, 2, "1"), conv(3, 2, 1, "same"), avgpool(3, 1, "same"), relu, dense(0)),
		custom("relu twice", 6, 6, 1, conv(3, 3, 1, ""), relu, maxpool(2, 0, ""), conv(4, 2, 1, "same"), relu, relu, dense(7), relu, relu, dense(0)),
		custom("batch norm on images", 6, 6, 2, conv(5, 3, 1, "same"), bnorm, relu, maxpool(2, 0, ""), dense(0)),
		custom("batch norm first, flat and last", 4, 4, 3, bnorm, dense(9), bnorm, relu, dense(0), bnorm),
		auxiliary(nn.CleanRows, custom("batch norm, clean rows apart", 6, 6, 2, conv(5, 3, 1, "same"), bnorm, relu, conv(18, 3, 2, ""), bnorm, relu, dense(0))),
		auxiliary(nn.AdversarialRows, custom("batch norm, adversarial rows apart", 5, 5, 2, conv(4, 3, 1, "same"), relu,
			nn.Layer{Type: "residual", Body: []nn.Layer{bnorm, relu, conv(4, 3, 1, "same")}}, bnorm, dense(0))),
		custom("residual", 5, 5, 2, conv(4, 3, 1, "same"), relu,
			nn.Layer{Type: "residual", Body: []nn.Layer{conv(4, 3, 1, "same"), relu, conv(4, 3, 1, "same")}}, relu, dense(0)),
		custom("residual with a shortcut", 6, 6, 2, conv(3, 3, 1, "same"), relu, nn.Layer{Type: "residual",
			Body:     []nn.Layer{conv(6, 3, 2, "same"), bnorm, relu, conv(6, 3, 1, "same"), bnorm},
			Shortcut: []nn.Layer{conv(6, 1, 2, ""), bnorm}}, relu, avgpool(3, 0, ""), dense(0)),
		// Both branches' biases have the same gradient.
		custom("residual of two convolutions", 4, 4, 1, nn.Layer{Type: "residual",
			Body: []nn.Layer{conv(3, 3, 1, "same")}, Shortcut: []nn.Layer{conv(3, 1, 1, "")}}, relu, dense(0)),
		custom("residual, normalised before", 5, 5, 2, conv(4, 3, 1, "same"), nn.Layer{Type: "residual",
			Body:     []nn.Layer{bnorm, relu, conv(4, 3, 1, "same")},
			Shortcut: []nn.Layer{bnorm, relu, conv(4, 1, 1, "")}}, dense(0)),
		custom("residual of dense layers", 3, 3, 1, dense(8), relu,
			nn.Layer{Type: "residual", Body: []nn.Layer{dense(8), relu, dropout(0.3), dense(8)}}, relu, dense(0)),
		// The ReLU's result goes to the pooling and past it; the pooling's input is used twice.
		custom("residual around max pooling", 6, 6, 1, conv(4, 3, 1, "same"), relu,
			nn.Layer{Type: "residual", Body: []nn.Layer{maxpool(3, 1, "same")}}, dense(0)),
		custom("two max poolings of one value", 6, 6, 1, conv(4, 3, 1, "same"), relu, nn.Layer{Type: "residual",
			Body: []nn.Layer{maxpool(2, 0, "")}, Shortcut: []nn.Layer{maxpool(3, 2, "1")}}, relu, dense(0)),
		custom("max pooling of what is convolved, too", 6, 6, 2, conv(4, 3, 1, "same"), relu, nn.Layer{Type: "residual",
			Body: []nn.Layer{maxpool(2, 0, "")}, Shortcut: []nn.Layer{conv(4, 2, 2, ""), relu}}, relu, dense(0)),
		// The pooled sum is positive where the ReLU's result is not.
		custom("max pooling of a sum with a relu", 6, 6, 1, nn.Layer{Type: "residual", Body: []nn.Layer{conv(1, 3, 1, "same"), relu}},
			maxpool(2, 0, ""), dense(0)),
		custom("dropout", 5, 5, 2, dropout(0.2), conv(4, 3, 1, ""), relu, dropout(0.5), flat, dense(11), relu, dropout(0.4), dense(0)),
		custom("convolutions of many channels", 4, 4, 1, conv(64, 3, 1, "same"), relu, nn.Layer{Type: "residual",
			Body: []nn.Layer{conv(64, 3, 1, "same"), bnorm, relu, conv(64, 3, 1, "same"), bnorm}}, relu, dense(0)),
		custom("wide dense layers", 4, 4, 1, dense(130), relu, dense(67), relu, dense(0)),
		custom("conv without bias, global pooling", 6, 5, 2, plain(conv(4, 3, 1, "same")), relu, plain(conv(5, 2, 2, "")), nn.Layer{Type: "globalavgpool"}, dense(0)),
		custom("depthwise conv", 7, 6, 3, grouped(conv(3, 3, 1, "same"), 3), relu, plain(grouped(conv(6, 3, 2, "1"), 3)), relu, dense(0)),
		custom("conv in groups", 6, 6, 2, conv(8, 3, 1, "same"), relu, plain(grouped(conv(12, 3, 1, ""), 4)), relu, grouped(conv(4, 1, 2, ""), 2), dense(0)),
		custom("conv in wide groups", 6, 5, 2, conv(36, 3, 1, "same"), relu, grouped(conv(40, 3, 2, "1"), 2), relu, plain(grouped(conv(38, 2, 1, ""), 2)), relu, dense(0)),
		custom("group norm", 6, 6, 2, conv(6, 3, 1, "same"), nn.Layer{Type: "groupnorm", Groups: 3}, relu, dense(8), nn.Layer{Type: "groupnorm", Groups: 2}, dense(0)),
		custom("layer norm", 5, 5, 2, conv(6, 3, 1, "same"), nn.Layer{Type: "layernorm"}, relu, dense(8), nn.Layer{Type: "layernorm"}, relu, dense(0)),
		custom("leaky relu", 6, 6, 1, conv(5, 3, 1, "same"), nn.Layer{Type: "leaky_relu"}, maxpool(2, 0, ""), dense(9), nn.Layer{Type: "leaky_relu", Slope: 0.3}, dense(0)),
		custom("gelu", 5, 5, 2, conv(5, 3, 1, "same"), nn.Layer{Type: "gelu"}, dense(9), nn.Layer{Type: "gelu"}, dense(0)),
		custom("silu", 5, 5, 2, conv(5, 3, 1, "same"), nn.Layer{Type: "silu"}, dense(9), nn.Layer{Type: "silu"}, dense(0)),
		custom("sigmoid and tanh", 5, 5, 2, conv(5, 3, 1, "same"), nn.Layer{Type: "tanh"}, dense(9), nn.Layer{Type: "sigmoid"}, dense(0)),
		registered("mlp", 5, 5, 3),
		registered("fast_cnn", 12, 12, 1),
		registered("madry_cnn", 12, 12, 1),
		registered("small_cnn", 16, 16, 1),
		registered("wide_resnet", 6, 6, 1),
	}
	list = append(list, topologies()...)
	normalised := custom("normalised", 6, 5, 3, conv(4, 3, 1, "same"), relu, maxpool(2, 0, ""), dense(0))
	normalised.Spec.Mean, normalised.Spec.Std = []float32{0.49, 0.48, 0.45}, []float32{0.25, 0.24, 0.26}
	pooled, normed, flat := find(list, "relu before max pooling"), find(list, "batch norm on images"), find(list, "dense only")
	return append(list, normalised,
		ensemble("ensemble by logits", nn.MeanLogits, pooled, pooled, find(list, "dropout")),
		ensemble("ensemble by probability", nn.MeanProbability, pooled, normed, pooled),
		ensemble("ensemble of dense layers", nn.MeanLogits, flat, flat),
		ensemble("ensemble that votes", nn.MajorityVote, flat, flat, flat),
		ensemble("ensemble trained jointly", nn.Stacked, pooled, normed))
}

func find(list []Network, name string) nn.Spec {
	for _, n := range list {
		if n.Name == name {
			return n.Spec
		}
	}
	panic("backendtest: no network " + name)
}

const classes = 10

func custom(name string, h, w, c int, layers ...nn.Layer) Network {
	return Network{name, nn.Spec{Arch: "layers", Options: &nn.Custom{List: layers}, Input: nn.Shape{H: h, W: w, C: c}, Classes: classes}}
}

func registered(name string, h, w, c int) Network {
	options, err := registry.New[nn.Architecture](name)
	if err != nil {
		panic(err)
	}
	switch m := options.(type) { // small ones
	case *nn.MLP:
		m.Hidden, m.Dropout = []int{33, 20}, 0.25
	case *nn.WideResNet:
		m.Depth, m.Width, m.Dropout = 10, 1, 0.3
	}
	return Network{name, nn.Spec{Arch: name, Options: options, Input: nn.Shape{H: h, W: w, C: c}, Classes: classes}}
}

func auxiliary(rows nn.RowKind, n Network) Network {
	n.Spec.Auxiliary = rows
	return n
}

// ensemble gives its members the input of the first.
func ensemble(name string, combine nn.Combine, members ...nn.Spec) Network {
	spec := nn.Spec{Input: members[0].Input, Classes: classes, Combine: combine}
	for _, m := range members {
		m.Input = spec.Input
		spec.Members = append(spec.Members, m)
	}
	if combine == nn.Stacked {
		spec.Classes *= len(members)
	}
	return Network{name, spec}
}

var (
	relu  = nn.Layer{Type: "relu"}
	flat  = nn.Layer{Type: "flatten"}
	bnorm = nn.Layer{Type: "batchnorm"}
)

func plain(l nn.Layer) nn.Layer               { l.NoBias = true; return l }
func grouped(l nn.Layer, groups int) nn.Layer { l.Groups = groups; return l }
func dense(out int) nn.Layer                  { return nn.Layer{Type: "dense", Out: out} }
func dropout(rate float64) nn.Layer           { return nn.Layer{Type: "dropout", Rate: rate} }
func window(kind string, out, kernel, stride int, padding string) nn.Layer {
	return nn.Layer{Type: kind, Out: out, Kernel: kernel, Stride: stride, Padding: padding}
}
func conv(out, kernel, stride int, padding string) nn.Layer {
	return window("conv", out, kernel, stride, padding)
}
func maxpool(kernel, stride int, padding string) nn.Layer {
	return window("maxpool", 0, kernel, stride, padding)
}
func avgpool(kernel, stride int, padding string) nn.Layer {
	return window("avgpool", 0, kernel, stride, padding)
}

// weights draws values for a model's vectors, too, which begin at 0 or 1, and for what begins at 0.
func weights(m *nn.Model) []nn.Weight {
	list := m.Weights()
	for i, w := range list {
		if len(w.Shape) != 1 && slices.ContainsFunc(w.Data, func(v float32) bool { return v != 0 }) {
			continue
		}
		from, to := float32(-0.3), float32(0.3)
		if w.Data[0] == 1 { // a scale or a variance
			from, to = 0.5, 1.5
		}
		rng.New(5, "vectors").Uniform(w.Data, from, to, uint32(i), 0, 0)
	}
	return list
}
