package op

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"

	"rampart/nn/device"
)

// TestValues holds results that were computed by hand.
func TestValues(t *testing.T) {
	image := []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}
	cases := []struct {
		name   string
		inputs []input
		build  builder
		want   []float32
	}{
		{"convolution is a cross-correlation", []input{given("x", []int{1, 3, 3, 1}, image...), given("w", []int{2, 2, 1, 1}, 1, 10, 100, 1000), given("b", []int{1}, 0.5)},
			func(in nodes) (*gorgonia.Node, error) {
				return Conv(in[0], in[1], in[2], window(3, 3, 1, 2, 2, 2, 1, 0, 0, 1))
			},
			[]float32{
				100*1 + 1000*2 + 0.5, 100*3 + 0.5,
				1*4 + 10*5 + 100*7 + 1000*8 + 0.5, 1*6 + 100*9 + 0.5,
			}},
		{"average pool divides by padding too", []input{given("x", []int{1, 2, 2, 1}, 4, 8, 12, 16)},
			func(in nodes) (*gorgonia.Node, error) { return AvgPool(in[0], window(2, 2, 1, 2, 2, 2, 1, 1, 1, 1)) },
			[]float32{1, 2, 3, 4}},
		{"max pool: padding never wins", []input{given("x", []int{1, 2, 2, 1}, -4, -8, -12, -16)},
			func(in nodes) (*gorgonia.Node, error) { return MaxPool(in[0], window(2, 2, 1, 2, 2, 2, 1, 1, 1, 1)) },
			[]float32{-4, -8, -12, -16}},
		{"relu", []input{given("x", []int{1, 3}, -1, 0, 2)},
			func(in nodes) (*gorgonia.Node, error) { return ReLU(in[0]) }, []float32{0, 0, 2}},
		{"normalize by channel", []input{given("x", []int{1, 1, 2, 2}, 1, 2, 3, 4)},
			func(in nodes) (*gorgonia.Node, error) { return Normalize(in[0], []float32{1, 2}, []float32{2, 4}) },
			[]float32{0, 0, 1, 0.5}},
		{"dense", []input{given("x", []int{1, 2}, 1, 2), given("w", []int{2, 3}, 1, 2, 3, 4, 5, 6), given("b", []int{3}, 0.5, 0, -1)},
			func(in nodes) (*gorgonia.Node, error) { return Dense(in[0], in[1], in[2]) },
			[]float32{9.5, 12, 14}},
		{"batch norm", []input{given("x", []int{2, 1}, 1, 5), given("gamma", []int{1}, 2), given("beta", []int{1}, 10), given("mean", []int{1}, 3).withoutGrad(), given("variance", []int{1}, 15).withoutGrad()},
			func(in nodes) (*gorgonia.Node, error) { return BatchNorm(in[0], in[1], in[2], in[3], in[4], 1) },
			[]float32{9, 11}},
		{"log-mean-softmax", []input{given("a", []int{1, 2}, 0, float32(math.Log(3))), given("b", []int{1, 2}, 0, 0)},
			func(in nodes) (*gorgonia.Node, error) { return LogMeanSoftmax(in) },
			[]float32{float32(math.Log(0.375)), float32(math.Log(0.625))}},
		{"log-mean-softmax of huge logits", []input{given("a", []int{1, 2}, 1e5, -1e5), given("b", []int{1, 2}, 1e5, -1e5)},
			func(in nodes) (*gorgonia.Node, error) { return LogMeanSoftmax(in) },
			[]float32{0, -2e5}},
		{"vote", []input{given("a", []int{1, 3}, 0, 5, 0), given("b", []int{1, 3}, 0, 4, 9), given("c", []int{1, 3}, 1, 7, 8)},
			func(in nodes) (*gorgonia.Node, error) { return Vote(in) },
			// by hand: votes 0, 1, 2 and means of the softmaxes
			[]float32{float32(math.Log(0.0024790394388398444 / 4)), float32(math.Log(1.42071919185520845 / 4)), float32(math.Log(2.5768017687059518 / 4))}},
		{"vote of no doubt", []input{given("a", []int{1, 2}, 1e4, 0), given("b", []int{1, 2}, 1e4, 0)},
			func(in nodes) (*gorgonia.Node, error) { return Vote(in) }, []float32{0, float32(math.Log(0x1p-126 / 3.))}},
		{"concat", []input{given("a", []int{1, 2, 1, 1}, 1, 2), given("b", []int{1, 2, 1, 2}, 3, 4, 5, 6)},
			func(in nodes) (*gorgonia.Node, error) { return Concat(in[0], in[1]) }, []float32{1, 3, 4, 2, 5, 6}},
		{"convolution in two groups", []input{given("x", []int{1, 1, 1, 4}, 1, 2, 3, 4), given("w", []int{1, 1, 2, 2}, 10, 20, 30, 40), given("b", []int{2}, 0.5, -0.5)},
			func(in nodes) (*gorgonia.Node, error) {
				return GroupConv(in[0], in[1], in[2], window(1, 1, 4, 1, 1, 1), 2)
			}, []float32{1*10 + 2*30 + 0.5, 3*20 + 4*40 - 0.5}},
		{"depthwise convolution", []input{given("x", []int{1, 2, 1, 2}, 1, 2, 3, 4), given("w", []int{2, 1, 1, 2}, 10, 20, 30, 40)},
			func(in nodes) (*gorgonia.Node, error) {
				return GroupConv(in[0], in[1], nil, window(2, 1, 2, 2, 1, 1), 2)
			},
			[]float32{1*10 + 3*30, 2*20 + 4*40}},
		{"group norm", []input{given("x", []int{1, 1, 2, 4}, 1, 3, 0, 0, 1, 3, 8, 8), given("gamma", []int{4}, 1, 2, 1, 1), given("beta", []int{4}, 0, 0, 0, 10)},
			func(in nodes) (*gorgonia.Node, error) { return GroupNorm(in[0], in[1], in[2], 2, 1e-12) },
			[]float32{-1, 2, -1, 9, -1, 2, 1, 11}},
		{"layer norm", []input{given("x", []int{1, 1, 2, 2}, 1, 3, 20, 10), given("gamma", []int{2}, 1, 2), given("beta", []int{2}, 0, 1)},
			func(in nodes) (*gorgonia.Node, error) { return LayerNorm(in[0], in[1], in[2], 1e-12) }, []float32{-1, 3, 1, -1}},
		// PyTorch's F.gelu, F.silu, torch.sigmoid and torch.tanh agree, but F.gelu(-4) to 3e-4 only: it cancels.
		{"leaky relu", []input{given("x", []int{1, 3}, -2, 0, 3)}, activate(device.LeakyReLU, 0.25), []float32{-0.5, 0, 3}},
		{"gelu", []input{given("x", []int{1, 4}, -4, -1, 0.5, 3)}, activate(device.GELU, 0), []float32{-1.26685e-4, -0.15865526, 0.34573123, 2.9959507}},
		{"silu", []input{given("x", []int{1, 4}, -20, -1, 0.5, 3)}, activate(device.SiLU, 0), []float32{-4.1223072e-08, -0.26894143, 0.31122968, 2.8577223}},
		{"sigmoid", []input{given("x", []int{1, 4}, -80, -1, 0.5, 3)}, activate(device.Sigmoid, 0), []float32{1.8048513e-35, 0.26894143, 0.62245935, 0.95257413}},
		{"elu", []input{given("x", []int{1, 3}, -1, -50, 3)}, activate(device.ELU, 2), []float32{-1.2642411, -2, 3}},
		{"softplus", []input{given("x", []int{1, 3}, -20, 0, 100)}, activate(device.Softplus, 0), []float32{2.0611537e-9, 0.6931472, 100}},
		{"reciprocal", []input{given("x", []int{1, 2}, -4, 0.5)}, activate(device.Reciprocal, 0), []float32{-0.25, 2}},
		{"mul", []input{given("a", []int{1, 2}, -4, 0.5), given("b", []int{1, 2}, 3, 8)}, func(in nodes) (*gorgonia.Node, error) { return Mul(in[0], in[1]) }, []float32{-12, 4}},
		{"mul by channel", []input{given("a", []int{2, 2, 1, 2}, 1, 2, 3, 4, 5, 6, 7, 8), given("b", []int{2, 1, 1, 2}, 10, 1, 2, 3)},
			func(in nodes) (*gorgonia.Node, error) { return Mul(in[0], in[1]) }, []float32{10, 2, 30, 4, 10, 18, 14, 24}},
		{"tanh", []input{given("x", []int{1, 4}, -9, -1, 0.5, 3)}, activate(device.Tanh, 0), []float32{-0.99999994, -0.7615942, 0.46211717, 0.9950548}},
		{"stack", []input{given("a", []int{2, 2}, 1, 2, 3, 4), given("b", []int{2, 2}, 5, 6, 7, 8)},
			func(in nodes) (*gorgonia.Node, error) { return Stack(in) }, []float32{1, 2, 5, 6, 3, 4, 7, 8}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := build(t, c.inputs, c.build)
			got := values(t, forward(t, b.g, b.out))
			if len(got) != len(c.want) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			for i := range got {
				if math.Abs(float64(got[i]-c.want[i])) > 1e-6*math.Abs(float64(c.want[i])) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			}
		})
	}
}

func activate(f device.Func, slope float32) builder {
	return func(in nodes) (*gorgonia.Node, error) { return Activation(in[0], f, slope) }
}

// TestMaxPoolTies: the first of equals in the window's order (ky, kx) gets the gradient.
func TestMaxPoolTies(t *testing.T) {
	x := given("x", []int{1, 2, 4, 1},
		1, 7, 5, 5,
		7, 7, 5, 5)
	b := build(t, []input{x}, func(in nodes) (*gorgonia.Node, error) {
		return MaxPool(in[0], window(2, 4, 1, 2, 2, 2))
	})
	b.run(t)
	seed := values(t, b.seed.Value())
	want := []float32{0, seed[0], seed[1], 0, 0, 0, 0, 0}
	if got := values(t, b.grads[b.in[0]].Value()); !slices.Equal(got, want) {
		t.Errorf("gradient is %v, want %v", got, want)
	}
}

// TestBatchNormTrainMovesStatistics: figures as PyTorch's BatchNorm1d gives them for this batch:
// mean 3, variance 5 biased and 20/3 unbiased.
func TestBatchNormTrainMovesStatistics(t *testing.T) {
	inputs := []input{
		given("x", []int{4, 1}, 0, 2, 4, 6), given("gamma", []int{1}, 1), given("beta", []int{1}, 0),
		given("mean", []int{1}, 10).withoutGrad(), given("variance", []int{1}, 1).withoutGrad(),
	}
	b := build(t, inputs, func(in nodes) (*gorgonia.Node, error) {
		return BatchNormTrain(in[0], in[1], in[2], in[3], in[4], 4, 0.25)
	})
	b.run(t)
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	near("y[0]", float64(values(t, b.out.Value())[0]), -1) // -3/sqrt(5+4)
	near("running mean", float64(values(t, b.in[3].Value())[0]), 0.75*10+0.25*3)
	near("running variance", float64(values(t, b.in[4].Value())[0]), 0.75*1+0.25*20/3)
}

func TestDropoutMask(t *testing.T) {
	const rate, n = 0.25, 10000
	mask := func(noise uint64, layer, row, n int) []float32 {
		m := make([]float32, n)
		device.DropoutMask(m, rate, noise, layer, row)
		return m
	}
	first, dropped := mask(1, 0, 0, n), 0
	for _, v := range first {
		switch v {
		case 0:
			dropped++
		case 1 / (1 - float32(rate)):
		default:
			t.Fatalf("mask holds %v", v)
		}
	}
	// Five standard deviations of a binomial.
	if d := math.Abs(float64(dropped) - rate*n); d > 5*math.Sqrt(n*rate*(1-rate)) {
		t.Errorf("%d of %d values dropped at rate %v", dropped, n, rate)
	}
	if !slices.Equal(mask(1, 0, 0, n), first) || !slices.Equal(mask(1, 0, 0, 10), first[:10]) {
		t.Error("a mask depends on more than noise, layer, row and element")
	}
	for name, other := range map[string][]float32{"noise": mask(2, 0, 0, n), "layer": mask(1, 1, 0, n), "row": mask(1, 0, 1, n)} {
		if slices.Equal(other, first) {
			t.Errorf("the mask does not depend on the %s", name)
		}
	}
	zero := make([]float32, n)
	device.DropoutMask(zero, 0, 1, 0, 0)
	if slices.Contains(zero, 0) {
		t.Error("rate 0 drops values")
	}
}

// TestDropoutFollowsNoise: Do uses the mask of the noise that was set last, row by row.
func TestDropoutFollowsNoise(t *testing.T) {
	x := random("x", 1, 3, 50)
	b := build(t, []input{x}, func(in nodes) (*gorgonia.Node, error) { return Dropout(in[0], 0.5, 2) })
	for _, noise := range []uint64{0, 7, 8} {
		b.out.Op().(Noisy).SetNoise(noise)
		b.run(t)
		y, dx, seed := values(t, b.out.Value()), values(t, b.grads[b.in[0]].Value()), values(t, b.seed.Value())
		mask := make([]float32, 50)
		for row := range 3 {
			device.DropoutMask(mask, 0.5, noise, 2, row)
			for i, m := range mask {
				at := row*50 + i
				if y[at] != m*x.values[at] || dx[at] != m*seed[at] {
					t.Fatalf("noise %d, row %d, value %d: y %v and gradient %v, want %v and %v",
						noise, row, i, y[at], dx[at], m*x.values[at], m*seed[at])
				}
			}
		}
	}
}

// FuzzConvAdjoint: for any window, the convolution is linear and its input gradient is its
// adjoint: <conv(x), dy> = <x, inputGrad(dy)>. Impossible windows give errors.
func FuzzConvAdjoint(f *testing.F) {
	f.Add(5, 4, 2, 3, 3, 1, 1, 1, 1, 1, 3)
	f.Add(6, 7, 1, 2, 4, 3, 0, 2, 1, 0, 1)
	f.Add(1, 1, 1, 2, 2, 1, 0, 0, 0, 0, 1)
	f.Add(3, 3, 1, 1, 1, 0, 0, 0, 0, 0, 1)
	f.Add(3, 3, 1, -1, 2, 1, -1, 0, 0, 0, 1)
	f.Fuzz(func(t *testing.T, h, w, c, kh, kw, stride, top, left, bottom, right, out int) {
		for _, v := range []int{h, w, c, kh, kw, stride, top, left, bottom, right, out} {
			if v < -2 || v > 8 {
				t.Skip()
			}
		}
		if min(h, w, c, out) < 1 {
			t.Skip()
		}
		win := window(h, w, c, kh, kw, stride, top, left, bottom, right)
		g := gorgonia.NewGraph()
		x := random("x", 1, 2, h, w, c).node(g)
		weight := random("w", 2, max(kh, 1), max(kw, 1), c, out).node(g)
		bias := given("b", []int{out}, make([]float32, out)...).node(g)
		y, err := Conv(x, weight, bias, win)
		if possible := min(kh, kw, stride) > 0 && min(top, left, bottom, right) >= 0 && h+top+bottom >= kh && w+left+right >= kw; possible != (err == nil) {
			t.Fatalf("%+v: error %v", win, err)
		}
		if err != nil {
			return
		}
		dy := random("dy", 3, y.Shape()...).node(g)
		dx, err := apply(convInputGrad{device.ConvInputGrad{Window: win, Out: out}}, weight, dy)
		if err != nil {
			t.Fatal(err)
		}
		dot := func(a, b *gorgonia.Node) (sum, size float64) {
			va, vb := values(t, forward(t, g, a)), values(t, forward(t, g, b))
			for i := range va {
				p := float64(va[i]) * float64(vb[i])
				sum, size = sum+p, size+math.Abs(p)
			}
			return sum, size
		}
		there, size := dot(y, dy)
		back, _ := dot(x, dx)
		if math.Abs(there-back) > 1e-5*(1+size) {
			t.Errorf("%+v: <conv(x), dy> = %v, <x, inputGrad(dy)> = %v", win, there, back)
		}
	})
}
