package onnx

import (
	"fmt"
	"math"
	"slices"

	"rampart/nn"
	"rampart/nn/device"
)

func (e *exporter) instruction(in device.Instr) error {
	var inputs []tensor
	for _, b := range in.In {
		if e.program.Buffers[b].Kind != device.Param {
			inputs = append(inputs, e.buffers[b])
		}
	}
	param := func(i int) *nn.Weight {
		if i >= len(in.In) {
			return nil
		}
		return &e.params[e.program.Buffers[in.In[i]].Param]
	}
	x := inputs[0]
	switch op := in.Op.(type) {
	case device.Conv:
		x = e.conv(x, op.Window, op.Out, 1, param(1), param(2))
		if op.ReLU {
			x.name = e.add("Relu", nil, x.name)
		}
	case device.GroupConv:
		x = e.conv(x, op.Window, op.Out, op.Groups, param(1), param(2))
	case device.Dense:
		x = e.dense(x, op, param(1), param(2))
	case device.MaxPool:
		x = e.pool("MaxPool", x, op.Window, nil)
	case device.AvgPool:
		x = e.pool("AveragePool", x, op.Window, []attributeProto{number("count_include_pad", 1)})
	case device.ReLU:
		x.name = e.add("Relu", nil, x.name)
	case device.Activation:
		return e.keep(in, e.activation(x, op))
	case device.Normalize:
		mean, std := device.DecodeFloats(op.Mean), device.DecodeFloats(op.Std)
		c := len(std)
		x.name = e.add("Div", nil, e.add("Sub", nil, x.name, e.floats("mean", mean, 1, c, 1, 1)), e.floats("std", std, 1, c, 1, 1))
	case device.Add:
		a, b := e.alike(x, inputs[1])
		a.name = e.add("Add", nil, a.name, b.name)
		x = a
	case device.Mul:
		a, b := x, inputs[1]
		if op.Size == op.Channels {
			a, b = e.alike(a, b)
		} else {
			b = e.image(b, nn.Shape{H: 1, W: 1, C: op.Channels})
			if a.flat || a.shape.C != op.Channels {
				a = e.image(a, nn.Shape{H: op.Size / op.Channels, W: 1, C: op.Channels})
			}
		}
		a.name = e.add("Mul", nil, a.name, b.name)
		x = a
	case device.Scale:
		x.name = e.add("Mul", nil, x.name, e.floats("factor", []float32{op.Factor}))
	case device.Concat:
		x = e.concat(x, inputs[1], op)
	case device.BatchNorm:
		x = e.batchNorm(x, op, param(1), param(2), param(3), param(4))
	case device.GroupNorm:
		y, err := e.groupNorm(x, op, param(1), param(2))
		if err != nil {
			return err
		}
		x = y
	case device.LogMeanSoftmax:
		x = e.logMeanSoftmax(inputs)
	case device.Vote:
		x = e.vote(inputs, op)
	case device.Stack:
		var names []string
		for _, m := range inputs {
			names = append(names, e.flat(m).name)
		}
		x = tensor{e.add("Concat", []attributeProto{number("axis", 1)}, names...), nn.Shape{H: 1, W: 1, C: op.Members * op.Classes}, true}
	default:
		return fmt.Errorf("%T has no form in ONNX", in.Op)
	}
	return e.keep(in, x)
}

func (e *exporter) keep(in device.Instr, x tensor) error {
	e.buffers[in.Out[0]] = x
	return nil
}

// window is the attributes of a convolution or pooling.
func window(w device.Window) []attributeProto {
	return []attributeProto{ints("kernel_shape", w.KH, w.KW), ints("strides", w.Stride, w.Stride), ints("pads", w.PadTop, w.PadLeft, w.PadBottom, w.PadRight)}
}

func (e *exporter) conv(x tensor, w device.Window, out, groups int, weight, bias *nn.Weight) tensor {
	x = e.image(x, nn.Shape{H: w.H, W: w.W, C: w.C})
	each := w.C / groups
	data := make([]float32, len(weight.Data)) // [Out,In,KH,KW] of [KH,KW,In,Out]
	for i, v := range weight.Data {
		o, c, tap := i%out, i/out%each, i/out/each
		data[(o*each+c)*w.KH*w.KW+tap] = v
	}
	inputs := []string{x.name, e.floats(weight.Name, data, out, each, w.KH, w.KW)}
	if bias != nil {
		inputs = append(inputs, e.floats(bias.Name, bias.Data, out))
	}
	attributes := append(window(w), number("group", groups))
	return tensor{e.add("Conv", attributes, inputs...), nn.Shape{H: w.OutH(), W: w.OutW(), C: out}, false}
}

// dense flattens images in C,H,W order, as PyTorch does.
func (e *exporter) dense(x tensor, op device.Dense, weight, bias *nn.Weight) tensor {
	data, s := make([]float32, len(weight.Data)), x.shape // [Out,In] of [In,Out]
	for i, v := range weight.Data {
		in, o := i/op.Out, i%op.Out
		if !x.flat {
			in = in%s.C*s.H*s.W + in/s.C
		}
		data[o*op.In+in] = v
	}
	name := x.name
	if !x.flat {
		name = e.add("Flatten", []attributeProto{number("axis", 1)}, name)
	}
	y := e.add("Gemm", []attributeProto{number("transB", 1)}, name, e.floats(weight.Name, data, op.Out, op.In), e.floats(bias.Name, bias.Data, op.Out))
	if op.ReLU {
		y = e.add("Relu", nil, y)
	}
	return tensor{y, nn.Shape{H: 1, W: 1, C: op.Out}, true}
}

func (e *exporter) pool(op string, x tensor, w device.Window, attributes []attributeProto) tensor {
	x = e.image(x, nn.Shape{H: w.H, W: w.W, C: w.C})
	s := nn.Shape{H: w.OutH(), W: w.OutW(), C: w.C}
	return tensor{e.add(op, append(window(w), attributes...), x.name), s, false}
}

func (e *exporter) activation(x tensor, op device.Activation) tensor {
	switch op.Func {
	case device.LeakyReLU:
		x.name = e.add("LeakyRelu", []attributeProto{float("alpha", op.Slope)}, x.name)
	case device.Sigmoid:
		x.name = e.add("Sigmoid", nil, x.name)
	case device.Tanh:
		x.name = e.add("Tanh", nil, x.name)
	case device.SiLU:
		x.name = e.add("Mul", nil, x.name, e.add("Sigmoid", nil, x.name))
	case device.ELU:
		x.name = e.add("Elu", []attributeProto{float("alpha", op.Slope)}, x.name)
	case device.Softplus:
		x.name = e.add("Softplus", nil, x.name)
	case device.Reciprocal:
		x.name = e.add("Reciprocal", nil, x.name)
	default: // GELU: x/2 * (1 + erf(x/sqrt(2)))
		constant := func(v float64) string { return e.floats("constant", []float32{float32(v)}) }
		erf := e.add("Erf", nil, e.add("Div", nil, x.name, constant(math.Sqrt2)))
		x.name = e.add("Mul", nil, e.add("Mul", nil, x.name, e.add("Add", nil, erf, constant(1))), constant(0.5))
	}
	return x
}

func (e *exporter) concat(x, y tensor, op device.Concat) tensor {
	s := nn.Shape{H: op.Positions, W: 1, C: op.A}
	if !x.flat && x.shape.C == op.A {
		s = x.shape
	}
	x = e.image(x, s)
	s.C = op.B
	y = e.image(y, s)
	s.C = op.A + op.B
	return tensor{e.add("Concat", []attributeProto{number("axis", 1)}, x.name, y.name), s, false}
}

func (e *exporter) batchNorm(x tensor, op device.BatchNorm, parts ...*nn.Weight) tensor {
	switch {
	case op.Positions == 1:
		x = e.flat(x)
	case x.flat || x.shape.C != op.Channels:
		x = e.image(x, nn.Shape{H: op.Positions, W: 1, C: op.Channels})
	}
	inputs := []string{x.name}
	for _, p := range parts {
		inputs = append(inputs, e.floats(p.Name, p.Data, op.Channels))
	}
	x.name = e.add("BatchNormalization", []attributeProto{float("epsilon", op.Epsilon)}, inputs...)
	return x
}

// groupNorm is InstanceNormalization of groups that count as channels, or LayerNormalization.
func (e *exporter) groupNorm(x tensor, op device.GroupNorm, gamma, beta *nn.Weight) (tensor, error) {
	epsilon := []attributeProto{float("epsilon", op.Epsilon)}
	if op.Positions == 1 && op.Groups == 1 {
		scale, bias := e.floats(gamma.Name, gamma.Data, op.Channels), e.floats(beta.Name, beta.Data, op.Channels)
		if x.flat {
			x.name = e.add("LayerNormalization", epsilon, x.name, scale, bias)
			return x, nil
		}
		last := e.add("Transpose", []attributeProto{ints("perm", 0, 2, 3, 1)}, x.name)
		x.name = e.add("Transpose", []attributeProto{ints("perm", 0, 3, 1, 2)}, e.add("LayerNormalization", epsilon, last, scale, bias))
		return x, nil
	}
	if op.Samples != 1 {
		return x, fmt.Errorf("%T of %d blocks in %d groups has no form in ONNX", op, op.Samples, op.Groups)
	}
	s := x.shape
	if x.flat || s.C != op.Channels {
		s = nn.Shape{H: op.Positions, W: 1, C: op.Channels}
		x = e.image(x, s)
	}
	ones := slices.Repeat([]float32{1}, op.Groups)
	grouped := e.add("Reshape", nil, x.name, e.list(0, op.Groups, -1))
	normal := e.add("InstanceNormalization", epsilon, grouped, e.floats("ones", ones, op.Groups), e.floats("zeros", make([]float32, op.Groups), op.Groups))
	back := e.add("Reshape", nil, normal, e.list(-1, s.C, s.H, s.W))
	c := op.Channels
	x.name = e.add("Add", nil, e.add("Mul", nil, back, e.floats(gamma.Name, gamma.Data, 1, c, 1, 1)), e.floats(beta.Name, beta.Data, 1, c, 1, 1))
	return x, nil
}

// logMeanSoftmax is log(mean(softmax)), without overflow.
func (e *exporter) logMeanSoftmax(members []tensor) tensor {
	axis := e.list(0)
	var rows []string
	for _, m := range members {
		rows = append(rows, e.add("Unsqueeze", nil, e.add("LogSoftmax", []attributeProto{number("axis", 1)}, e.flat(m).name), axis))
	}
	all := e.add("Concat", []attributeProto{number("axis", 0)}, rows...)
	sum := e.add("ReduceLogSumExp", []attributeProto{ints("axes", 0), number("keepdims", 0)}, all)
	y := e.flat(members[0])
	y.name = e.add("Sub", nil, sum, e.floats("members", []float32{float32(math.Log(float64(len(members))))}))
	return y
}

// vote is log((votes + mean softmax)/(members+1)).
func (e *exporter) vote(members []tensor, op device.Vote) tensor {
	var shares, votes []string
	for _, m := range members {
		z := e.flat(m).name
		shares = append(shares, e.add("Softmax", []attributeProto{number("axis", 1)}, z))
		best := e.add("ArgMax", []attributeProto{number("axis", 1), number("keepdims", 0)}, z)
		votes = append(votes, e.add("OneHot", []attributeProto{number("axis", 1)}, best, e.list(op.Classes), e.floats("values", []float32{0, 1}, 2)))
	}
	constant := func(v float64) string { return e.floats("constant", []float32{float32(v)}) }
	mean := e.add("Mul", nil, e.add("Sum", nil, shares...), constant(1/float64(len(members))))
	score := e.add("Max", nil, e.add("Sum", nil, append(votes, mean)...), constant(device.VoteFloor))
	y := e.flat(members[0])
	y.name = e.add("Log", nil, e.add("Div", nil, score, constant(float64(len(members)+1))))
	return y
}
