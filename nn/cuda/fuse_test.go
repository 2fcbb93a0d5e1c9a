package cuda

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"rampart/nn/device"
	"rampart/nn/rng"
)

// pooling is a convolution with a maximum pooling behind it, and the gradient of that one for values that are nowhere
// 0, so that it shows the index; alone says that nothing else reads the convolution.
func pooling(op device.Conv, kernel, rows int, alone bool) *device.Program {
	pool := device.Window{H: op.OutH(), W: op.OutW(), C: op.Out, KH: kernel, KW: kernel, Stride: 2}
	size, small := pool.H*pool.W*pool.C, pool.OutH()*pool.OutW()*pool.C
	const x, w, b, y, pooled, index, dy, grad, copied = 0, 1, 2, 3, 4, 5, 6, 7, 8
	far, one := make([]float32, op.Out), make([]float32, op.Out)
	for c := range one {
		far[c], one[c] = -100.5, 1
	}
	p := &device.Program{Name: "pooling", Rows: rows, X: x, Logits: pooled, Seed: -1, Value: -1, InputGrad: grad,
		Buffers: []device.Buffer{x: {Size: op.H * op.W * op.C}, w: {Kind: device.Param, Size: op.KH * op.KW * op.C * op.Out}, b: {Kind: device.Param, Size: op.Out, Param: 1},
			y: {Size: size}, pooled: {Size: small}, index: {Size: (small + 3) / 4}, dy: {Size: small}, grad: {Size: size}, copied: {Size: size}},
		Instrs: []device.Instr{{Op: op, In: []int{x, w, b}, Out: []int{y}}, {Op: device.MaxPool{Window: pool}, In: []int{y}, Out: []int{pooled, index}}}}
	if !alone {
		p.Instrs = append(p.Instrs, device.Instr{Op: device.ReLU{Size: size}, In: []int{y}, Out: []int{copied}})
	}
	p.Instrs = append(p.Instrs, device.Instr{Op: device.Normalize{Mean: device.EncodeFloats(far), Std: device.EncodeFloats(one)}, In: []int{pooled}, Out: []int{dy}},
		device.Instr{Op: device.MaxPoolGrad{Window: pool}, In: []int{index, dy}, Out: []int{grad}})
	return p
}

// few are small whole numbers, so that many are equal, sums are exact at any precision, and some are NaN.
func few(n int, bad bool, name string) []float32 {
	v := make([]float32, n)
	rng.New(1, name).Uniform(v, -2, 3, 0, 0, 0)
	for i := range v {
		if v[i] = float32(math.Floor(float64(v[i]))); bad && i%61 == 7 {
			v[i] = float32(math.NaN())
		}
	}
	return v
}

// pool runs such a program: pooled values, then the gradient.
func pool(t *testing.T, d *Device, op device.Conv, alone bool) ([]float32, error) {
	t.Helper()
	const rows = 7
	p := pooling(op, 2, rows, alone)
	if fused := fuse(p).Instrs[0].Op != device.Op(op); fused != alone {
		t.Fatalf("fused: %v", fused)
	}
	params := &device.Parameters{}
	for _, b := range p.Buffers[1:3] {
		v := d.New(b.Size)
		v.Upload(few(b.Size, false, fmt.Sprint(b.Param)), 0)
		params.List = append(params.List, &device.Parameter{Value: v})
	}
	e, err := d.Load(p, params)
	if err != nil {
		t.Fatal(err)
	}
	x := d.New(rows * p.Buffers[0].Size)
	x.Upload(few(x.Len(), true, "x"), 0)
	call := &device.Call{Rows: rows, X: x, Logits: d.New(rows * p.Buffers[p.Logits].Size), InputGrad: d.New(rows * p.Buffers[p.InputGrad].Size)}
	if err := e.Run(call); err != nil {
		return nil, err
	}
	return append(values(call.Logits), values(call.InputGrad)...), d.err
}

// poolings are convolutions whose last line or column no window covers, among others.
var poolings = []device.Conv{
	{Window: device.Window{H: 7, W: 5, C: 2, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}, Out: 37, ReLU: true},
	{Window: device.Window{H: 9, W: 11, C: 4, KH: 2, KW: 3, Stride: 2, PadLeft: 1}, Out: 36},
	{Window: device.Window{H: 4, W: 4, C: 1, KH: 1, KW: 1, Stride: 1}, Out: 5},
}

// eachPooling opens a device for every kernel of convolutions that pool.
func eachPooling(do func(name string, precision device.Precision, wide bool)) {
	for _, precision := range []device.Precision{device.FP32, device.TF32, device.BF16} {
		for _, wide := range []bool{false, true} {
			name := "conv_pool"
			if precision != device.FP32 {
				name += "_" + string(precision)
			}
			if !wide {
				name += "_small"
			}
			do(name, precision, wide)
		}
	}
}

func openPooling(t *testing.T, precision device.Precision, wide bool) *Device {
	d := openRounded(t, 1, precision)
	if wide {
		d.fill = 1
	}
	return d
}

// TestPooling: a convolution that pools gives the bits of one with max_pool behind it, equals and NaNs included.
func TestPooling(t *testing.T) {
	eachPooling(func(name string, precision device.Precision, wide bool) {
		for _, op := range poolings {
			want, err := pool(t, openPooling(t, precision, wide), op, false)
			if err != nil {
				t.Fatal(err)
			}
			got, err := pool(t, openPooling(t, precision, wide), op, true)
			if err != nil || !equalBits(got, want) {
				t.Errorf("%s, %+v: other bits than of two kernels; %v", name, op, err)
			}
			if nans := slices.IndexFunc(want, func(v float32) bool { return v != v }); nans < 0 {
				t.Errorf("%+v: no NaN is pooled", op)
			}
		}
	})
}

// TestFuse: only a pooling of 2x2 that alone reads a convolution becomes a part of it.
func TestFuse(t *testing.T) {
	op := poolings[0]
	for _, test := range []struct {
		name   string
		change func(p *device.Program)
		kernel int
		want   bool
	}{
		{"as it is", func(*device.Program) {}, 2, true},
		{"windows of 3x3", func(*device.Program) {}, 3, false},
		{"the convolution is a result", func(p *device.Program) { p.Logits = 3 }, 2, false},
		{"an average", func(p *device.Program) {
			p.Instrs[1].Op = device.AvgPool{Window: p.Instrs[1].Op.(device.MaxPool).Window}
		}, 2, false},
	} {
		p := pooling(op, test.kernel, 1, true)
		test.change(p)
		before := slices.Clone(p.Instrs)
		_, ok := fuse(p).Instrs[0].Op.(convPool)
		if ok != test.want {
			t.Errorf("%s: fused %v", test.name, ok)
		}
		for i := range before {
			if p.Instrs[i].Op != before[i].Op {
				t.Errorf("%s: the program itself has changed", test.name)
			}
		}
	}
}

// TestPoolingMutants: mistakes that are easily made where a convolution pools change a result.
func TestPoolingMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("a pass for each mutant")
	}
	mutants := []struct {
		name, pattern, with string
		lanes               bool // of tensor cores alone
	}{
		{"a row of a window twice", `and\.b32\s+(%r\d+), %r\d+, 1;`, "mov.u32 $1, 0;", false},
		{"height and width exchanged", `_param_5\+36\]`, "_param_5+32]", false},
		{"the last of equals", `setp\.gt\.f32(.*\s+setp\.nan)`, "setp.ge.f32$1", false},
		{"a NaN that loses", `setp\.nan\.f32(\s+%p\d+, %f\d+, %f\d+);`, "setp.lt.f32$1;", false},
		{"the least", `setp\.gt\.f32(.*\s+setp\.nan)`, "setp.lt.f32$1", false},
		{"a neighbour's index", `st\.global\.u8\s+\[(%rd\d+)\]`, "st.global.u8 [$1+1]", false},
		{"no barrier", `bar\.sync\s+0;`, "", false},
		{"a wrong lane", `mov\.u32(\s+%r\d+), 8;(\s+shfl)`, "mov.u32$1, 16;$2", true},
		{"another lane's row", `(shfl\.sync\.bfly\.b32\s+%r\d+\|%p\d+, %r\d+, )(%r\d+)(.*\s+selp)`, "add.s32 $2, $2, 12; $1$2$3", true},
	}
	eachPooling(func(kernel string, precision device.Precision, wide bool) {
		if precision == device.TF32 && wide || precision == device.BF16 && !wide {
			return // the same code as in the other tile
		}
		want, err := pool(t, openPooling(t, precision, wide), poolings[0], true)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mutants {
			if m.lanes && precision == device.FP32 {
				continue
			}
			file := files()[kernel]
			restore := replace(file, change(t, file, kernel, m.pattern, m.with))
			got, err := pool(t, openPooling(t, precision, wide), poolings[0], true)
			restore()
			if err == nil && equalBits(got, want) {
				t.Errorf("%s in %s: nothing notices", m.name, kernel)
			}
		}
	})
}
