package op

import (
	"fmt"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"

	"rampart/nn/device"
)

type nodes = []*gorgonia.Node

func window(h, w, c, kh, kw, stride int, pads ...int) device.Window {
	win := device.Window{H: h, W: w, C: c, KH: kh, KW: kw, Stride: stride}
	if len(pads) == 4 {
		win.PadTop, win.PadLeft, win.PadBottom, win.PadRight = pads[0], pads[1], pads[2], pads[3]
	}
	return win
}

// TestGradients compares every op's gradients with finite differences, and checks which kernels,
// with which inputs, the gradients lower to.
func TestGradients(t *testing.T) {
	convCase := func(n int, win device.Window, out int) ([]input, builder) {
		return []input{
				random("x", 1, n, win.H, win.W, win.C),
				random("w", 2, win.KH, win.KW, win.C, out),
				random("b", 3, out),
			}, func(in nodes) (*gorgonia.Node, error) {
				return Conv(in[0], in[1], in[2], win)
			}
	}
	dense := func(in nodes) (*gorgonia.Node, error) { return Dense(in[0], in[1], in[2]) }
	maxPool := func(win device.Window) builder {
		return func(in nodes) (*gorgonia.Node, error) { return MaxPool(in[0], win) }
	}
	avgPool := func(win device.Window) builder {
		return func(in nodes) (*gorgonia.Node, error) { return AvgPool(in[0], win) }
	}
	relu := func(in nodes) (*gorgonia.Node, error) { return ReLU(in[0]) }
	flatten := func(in nodes) (*gorgonia.Node, error) { return Flatten(in[0]) }
	logMeanSoftmax := func(in nodes) (*gorgonia.Node, error) { return LogMeanSoftmax(in) }
	batchNorm := func(in nodes) (*gorgonia.Node, error) {
		return BatchNorm(in[0], in[1], in[2], in[3], in[4], 1e-3)
	}
	batchNormTrain := func(in nodes) (*gorgonia.Node, error) {
		return BatchNormTrain(in[0], in[1], in[2], in[3], in[4], 1e-3, 0.1)
	}
	statistics := func(shape ...int) []input {
		c := shape[len(shape)-1]
		return []input{random("x", 1, shape...), random("gamma", 2, c), random("beta", 3, c),
			random("mean", 4, c).withoutGrad(), random("variance", 5, c).positive().withoutGrad()}
	}

	split := func(rows int) builder {
		return func(in nodes) (*gorgonia.Node, error) {
			n, err := BatchNormSplit(in[0], [4]*gorgonia.Node(in[1:5]), [4]*gorgonia.Node(in[5:9]), 1e-3, 0.1)
			if err == nil {
				n.Op().(Splitting).SetAdversarial(rows)
			}
			return n, err
		}
	}
	branches := func(shape ...int) []input {
		c := shape[len(shape)-1]
		return append(statistics(shape...), random("gamma2", 6, c), random("beta2", 7, c),
			random("mean2", 8, c).withoutGrad(), random("variance2", 9, c).positive().withoutGrad())
	}
	splitOps := []string{"BatchNormSplitBetaGrad(dy)", "BatchNormSplitBetaGrad(dy)", "BatchNormSplitGammaGrad(x,dy)",
		"BatchNormSplitGammaGrad(x,dy)", "BatchNormSplitInputGrad(x,gamma,gamma2,dy)"}

	type testCase struct {
		name   string
		inputs []input
		build  builder
		ops    []string
	}
	convOps := []string{"BiasGrad(dy)", "ConvInputGrad(w,dy)", "ConvWeightGrad(x,dy)"}
	denseOps := []string{"BiasGrad(dy)", "DenseInputGrad(w,dy)", "DenseWeightGrad(x,dy)"}
	normOps := []string{"BatchNormGammaGrad(x,mean,variance,dy)", "BatchNormInputGrad(gamma,variance,dy)", "BiasGrad(dy)"}
	trainOps := []string{"BatchNormTrainGammaGrad(x,dy)", "BatchNormTrainInputGrad(x,gamma,dy)", "BiasGrad(dy)"}
	cases := []testCase{
		{"dense", []input{random("x", 1, 3, 5), random("w", 2, 5, 2), random("b", 3, 2)}, dense, denseOps},
		{"dense 1x1", []input{random("x", 1, 1, 1), random("w", 2, 1, 1), random("b", 3, 1)}, dense, denseOps},
		{"max pool 2x2", []input{spread("x", 1, 2, 4, 6, 3)}, maxPool(window(4, 6, 3, 2, 2, 2)), []string{"MaxPoolGrad(x,dy)"}},
		{"max pool overlapping, padded", []input{spread("x", 2, 2, 5, 4, 2)}, maxPool(window(5, 4, 2, 3, 2, 1, 1, 0, 2, 1)), []string{"MaxPoolGrad(x,dy)"}},
		{"average pool", []input{random("x", 1, 2, 4, 4, 3)}, avgPool(window(4, 4, 3, 4, 4, 4)), []string{"AvgPoolGrad(dy)"}},
		{"average pool overlapping, padded", []input{random("x", 2, 2, 5, 4, 2)}, avgPool(window(5, 4, 2, 3, 2, 2, 1, 0, 2, 1)), []string{"AvgPoolGrad(dy)"}},
		{"relu on images", []input{random("x", 1, 2, 3, 3, 2)}, relu, []string{"ReLUGrad(y,dy)"}},
		{"relu", []input{random("x", 1, 2, 7)}, relu, []string{"ReLUGrad(y,dy)"}},
		{"normalize", []input{random("x", 1, 2, 3, 2, 3)}, func(in nodes) (*gorgonia.Node, error) {
			return Normalize(in[0], []float32{0.1, -0.2, 0.5}, []float32{0.3, 1, 2.5})
		}, []string{"NormalizeGrad(dy)"}},
		{"add", []input{random("a", 1, 2, 3, 2, 2), random("b", 2, 2, 3, 2, 2)}, func(in nodes) (*gorgonia.Node, error) {
			return Add(in[0], in[1])
		}, nil},
		{"scale", []input{random("x", 1, 2, 5)}, func(in nodes) (*gorgonia.Node, error) {
			return Scale(in[0], -0.75)
		}, []string{"Scale(dy)"}},
		{"flatten", []input{random("x", 1, 2, 3, 2, 2)}, flatten, nil},
		{"dropout", []input{random("x", 1, 4, 9)}, func(in nodes) (*gorgonia.Node, error) {
			n, err := Dropout(in[0], 0.4, 1)
			if err == nil {
				n.Op().(Noisy).SetNoise(12345)
			}
			return n, err
		}, []string{"DropoutGrad(dy)"}},
		{"batch norm on images", statistics(3, 2, 3, 2), batchNorm, normOps},
		{"batch norm", statistics(3, 4), batchNorm, normOps},
		{"batch norm in training, on images", statistics(2, 3, 2, 3), batchNormTrain, trainOps},
		{"batch norm in training", statistics(5, 2), batchNormTrain, trainOps},
		{"split batch norm on images", branches(5, 2, 2, 2), split(2), splitOps},
		{"split batch norm", branches(7, 2), split(4), splitOps},
		{"split batch norm, all clean", branches(4, 2), split(0), splitOps},
		{"split batch norm, all adversarial", branches(4, 2), split(4), splitOps},
		{"log-mean-softmax of 1", []input{random("m0", 1, 3, 4)}, logMeanSoftmax, []string{"LogMeanSoftmaxGrad(m0,dy)"}},
		{"log-mean-softmax of 3", []input{random("m0", 1, 2, 4), random("m1", 2, 2, 4), random("m2", 3, 2, 4)}, logMeanSoftmax,
			slices.Repeat([]string{"LogMeanSoftmaxGrad(m0,m1,m2,dy)"}, 3)},
		{"concat", []input{random("a", 1, 2, 3, 2, 2), random("b", 2, 2, 3, 2, 3)}, func(in nodes) (*gorgonia.Node, error) {
			return Concat(in[0], in[1])
		}, slices.Repeat([]string{"Part(dy)"}, 2)},
		{"reshape", []input{random("x", 1, 2, 12)}, func(in nodes) (*gorgonia.Node, error) { return Reshape(in[0], 2, 2, 3) }, nil},
		{"stack", []input{random("m0", 1, 2, 4), random("m1", 2, 2, 4)}, func(in nodes) (*gorgonia.Node, error) { return Stack(in) },
			slices.Repeat([]string{"StackGrad(dy)"}, 2)},
	}
	for _, c := range []struct {
		name string
		n    int
		win  device.Window
		out  int
	}{
		{"conv 3x3 same", 2, window(4, 5, 2, 3, 3, 1, 1, 1, 1, 1), 3},
		{"conv stride 2, uneven", 2, window(6, 5, 3, 3, 2, 2, 0, 1, 1, 0), 2},
		{"conv leaving a rim unread", 1, window(5, 6, 1, 2, 2, 3), 2},
		{"conv 1x1", 3, window(2, 2, 4, 1, 1, 1), 1},
		{"conv wider padding than kernel", 1, window(2, 3, 1, 2, 2, 1, 3, 2, 0, 2), 2},
	} {
		inputs, f := convCase(c.n, c.win, c.out)
		cases = append(cases, testCase{c.name, inputs, f, convOps})
	}
	plain := window(4, 5, 2, 3, 3, 1, 1, 1, 1, 1)
	cases = append(cases, testCase{"conv without bias", []input{random("x", 1, 2, 4, 5, 2), random("w", 2, 3, 3, 2, 3)}, func(in nodes) (*gorgonia.Node, error) {
		return Conv(in[0], in[1], nil, plain)
	}, convOps[1:]})
	for _, c := range []struct {
		name   string
		win    device.Window
		out    int
		groups int
		bias   bool
	}{
		{"depthwise conv", window(4, 5, 3, 3, 3, 1, 1, 1, 1, 1), 3, 3, true},
		{"depthwise conv, 2 outputs a channel, stride 2", window(6, 5, 2, 3, 2, 2, 0, 1, 1, 0), 4, 2, false},
		{"conv in 2 groups", window(4, 4, 4, 3, 3, 1, 1, 1, 1, 1), 6, 2, false},
		{"conv in 1 group", window(3, 3, 2, 2, 2, 1), 3, 1, true},
	} {
		inputs := []input{random("x", 1, 2, c.win.H, c.win.W, c.win.C), random("w", 2, c.win.KH, c.win.KW, c.win.C/c.groups, c.out), random("b", 3, c.out)}
		ops := []string{"BiasGrad(dy)", "GroupConvInputGrad(w,dy)", "GroupConvWeightGrad(x,dy)"}
		f := func(in nodes) (*gorgonia.Node, error) { return GroupConv(in[0], in[1], in[2], c.win, c.groups) }
		if !c.bias {
			inputs, ops = inputs[:2], ops[1:]
			f = func(in nodes) (*gorgonia.Node, error) { return GroupConv(in[0], in[1], nil, c.win, c.groups) }
		}
		cases = append(cases, testCase{c.name, inputs, f, ops})
	}
	groupOps := []string{"BiasGrad(dy)", "GroupNormGammaGrad(x,dy)", "GroupNormInputGrad(x,gamma,dy)"}
	for _, groups := range []int{1, 2, 4} {
		cases = append(cases, testCase{fmt.Sprintf("group norm of %d groups", groups), []input{random("x", 1, 2, 2, 3, 4), random("gamma", 2, 4), random("beta", 3, 4)},
			func(in nodes) (*gorgonia.Node, error) { return GroupNorm(in[0], in[1], in[2], groups, 1e-3) }, groupOps})
	}
	layerNorm := func(in nodes) (*gorgonia.Node, error) { return LayerNorm(in[0], in[1], in[2], 1e-3) }
	cases = append(cases, testCase{"layer norm on images", []input{random("x", 1, 2, 2, 2, 5), random("gamma", 2, 5), random("beta", 3, 5)}, layerNorm, groupOps},
		testCase{"layer norm", []input{random("x", 1, 3, 7), random("gamma", 2, 7), random("beta", 3, 7)}, layerNorm, groupOps})
	for f, slope := range map[device.Func]float32{device.LeakyReLU: 0.1, device.GELU: 0, device.SiLU: 0, device.Sigmoid: 0, device.Tanh: 0, device.ELU: 0.7, device.Softplus: 0} {
		cases = append(cases, testCase{f.String(), []input{random("x", 1, 2, 2, 2, 3)}, func(in nodes) (*gorgonia.Node, error) {
			return Activation(in[0], f, slope)
		}, []string{"ActivationGrad(x,dy)"}})
	}
	cases = append(cases, testCase{"reciprocal", []input{random("x", 1, 2, 3).positive()}, func(in nodes) (*gorgonia.Node, error) {
		return Activation(in[0], device.Reciprocal, 0)
	}, []string{"ActivationGrad(x,dy)"}})
	mul := func(in nodes) (*gorgonia.Node, error) { return Mul(in[0], in[1]) }
	cases = append(cases, testCase{"mul", []input{random("a", 1, 2, 3, 2, 2), random("b", 2, 2, 3, 2, 2)}, mul, []string{"Mul(a,dy)", "Mul(dy,b)"}},
		testCase{"mul by channel", []input{random("a", 1, 2, 3, 2, 2), random("b", 2, 2, 1, 1, 2)}, mul, []string{"AvgPool()", "Mul(a,dy)", "Mul(dy,b)", "Scale()"}})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := build(t, c.inputs, c.build)
			if got := b.gradientOps(); !slices.Equal(got, c.ops) {
				t.Errorf("gradients lower to %q, want %q", got, c.ops)
			}
			b.checkGradients(t, 1.0/32, 2e-4)
		})
	}
}

// TestFanOut covers nodes that are used more than once: their gradients meet in gorgonia's own sum.
func TestFanOut(t *testing.T) {
	win := window(3, 4, 2, 3, 3, 1, 1, 1, 1, 1)
	x, w, bias := spread("x", 1, 2, 3, 4, 2), random("w", 2, 3, 3, 2, 2), random("b", 3, 2)
	cases := []struct {
		name  string
		sums  int
		build builder
	}{
		{"residual", 1, func(in nodes) (*gorgonia.Node, error) {
			y, err := Conv(in[0], in[1], in[2], win)
			if err != nil {
				return nil, err
			}
			return Add(y, in[0])
		}},
		{"shared weights", 3, func(in nodes) (*gorgonia.Node, error) {
			y, err := Conv(in[0], in[1], in[2], win)
			if err != nil {
				return nil, err
			}
			if y, err = Add(y, in[0]); err != nil {
				return nil, err
			}
			return Conv(y, in[1], in[2], win)
		}},
		{"twice the same", 2, func(in nodes) (*gorgonia.Node, error) {
			y, err := Conv(in[0], in[1], in[2], win)
			if err != nil {
				return nil, err
			}
			if y, err = Add(y, y); err != nil {
				return nil, err
			}
			return Add(y, in[0])
		}},
		{"three uses", 2, func(in nodes) (*gorgonia.Node, error) {
			y, err := Conv(in[0], in[1], in[2], win)
			if err != nil {
				return nil, err
			}
			z, err := Scale(in[0], 0.5)
			if err != nil {
				return nil, err
			}
			if y, err = Add(y, z); err != nil {
				return nil, err
			}
			return Add(in[0], y)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := build(t, []input{x, w, bias}, c.build)
			sums := 0
			for _, n := range b.g.AllNodes() {
				if IsSum(n) {
					sums++
				}
			}
			if sums != c.sums {
				t.Errorf("IsSum found %d sums, want %d", sums, c.sums)
			}
			b.checkGradients(t, 1.0/32, 2e-4)
		})
	}
}

// TestIsSum: gorgonia's other elementwise ops are no sums.
func TestIsSum(t *testing.T) {
	g := gorgonia.NewGraph()
	a, b := random("a", 1, 2, 3).node(g), random("b", 2, 2, 3).node(g)
	ours, err := Add(a, b)
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]*gorgonia.Node{
		"an input": a, "Add": ours,
		"a product":    gorgonia.Must(gorgonia.HadamardProd(a, b)),
		"a difference": gorgonia.Must(gorgonia.Sub(a, b)),
		"a comparison": gorgonia.Must(gorgonia.Gt(a, b, true)),
	} {
		if IsSum(n) {
			t.Errorf("IsSum takes %s for a sum", name)
		}
	}
	if !IsSum(gorgonia.Must(gorgonia.Add(a, b))) {
		t.Error("IsSum does not know gorgonia's sum")
	}
}

// TestGradientsHaveNoGradient: the ops that Grad makes say so instead of giving a wrong one.
func TestGradientsHaveNoGradient(t *testing.T) {
	b := build(t, []input{random("x", 1, 2, 3)}, func(in nodes) (*gorgonia.Node, error) { return ReLU(in[0]) })
	o := b.grads[b.in[0]].Op().(Op)
	if wrt := o.DiffWRT(2); !slices.Equal(wrt, []bool{false, false}) {
		t.Errorf("DiffWRT is %v, want none", wrt)
	}
	if _, err := o.SymDiff(nil, nil, nil); err == nil {
		t.Error("SymDiff gave no error")
	}
}
