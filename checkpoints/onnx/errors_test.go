package onnx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rampart/nn"
)

// float1 is an initialiser of zeros.
func float1(name string, dims ...int64) *tensorProto {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	return &tensorProto{name: name, dataType: typeFloat, dims: dims, floats: make([]float32, n)}
}

// model is a graph on images [N,2,4,4], of nodes and initialisers.
func model(nodes []*nodeProto, initializers ...*tensorProto) *modelProto {
	return &modelProto{opset: 17, irVersion: 8, graph: graphProto{name: "g", nodes: nodes, initializers: initializers,
		inputs:  []valueProto{{name: "x", elemType: typeFloat, shaped: true, dims: []dimProto{{param: "N"}, {value: 2}, {value: 4}, {value: 4}}}},
		outputs: []valueProto{{name: "y", elemType: typeFloat}}}}
}

// integers is an initialiser of whole numbers.
func integers(name string, values ...int64) *tensorProto {
	return &tensorProto{name: name, dataType: typeInt64, dims: []int64{int64(len(values))}, ints: values}
}

func node1(op string, inputs string, attributes ...attributeProto) *nodeProto {
	return &nodeProto{op: op, name: "n", inputs: strings.Fields(inputs), outputs: []string{"y"}, attributes: attributes}
}

// TestErrors: what a file holds that is not supported, or makes no sense, is an error that names the
// node.
func TestErrors(t *testing.T) {
	one := func(op, inputs string, attributes ...attributeProto) []*nodeProto {
		return []*nodeProto{node1(op, inputs, attributes...)}
	}
	for _, test := range []struct {
		m    *modelProto
		want string
	}{
		{model(one("Einsum", "x")), `node 1, "n" (Einsum): the operation is not supported`},
		{model(one("Round", "x")), `node 1, "n" (Round): the operation is not supported: it has no gradient to attack through`},
		{model([]*nodeProto{{op: "Relu", name: "n", domain: "com.microsoft", inputs: []string{"x"}, outputs: []string{"y"}}}), `domain "com.microsoft"`},
		{model(one("Relu", "z")), `input "z" is computed by nothing before`},
		{model(one("Relu", "")), "its first input is missing"},
		{model(one("Relu", "x")), `output "y" has the shape [2,4,4]`},
		{model(one("MatMul", "x x")), "as in attention, is not supported"},
		{model(one("Erf", "x")), "known within GELU"},
		{model(one("Sqrt", "x")), "known within a layer normalisation"},
		{model(one("If", "x")), "without control flow"},
		{model(one("Pow", "x w"), float1("w")), "exponent 0 is not supported"},
		{model(one("Add", "x w"), float1("w", 3)), "does not fit a value of shape [2,4,4]"},
		{model(one("Div", "x w"), float1("w")), "no finite number, or a zero to divide by"},
		{model(one("Reshape", "x w"), &tensorProto{name: "w", dataType: typeInt64, dims: []int64{2}, ints: []int64{8, -1}}), "the first axis of [8 4000012] is not the batch's"},
		{model(one("Transpose", "x", ints("perm", 1, 0, 2, 3))), "moves the batch"},
		{model(one("Transpose", "x", ints("perm", 0, 1, 1, 2))), "perm [0 1 1 2] of 4 axes"},
		{model(one("Conv", "x w"), float1("w", 3, 3, 1, 1)), "a weight of shape [3 3 1 1] for 2 channels in 1 groups"},
		{model(one("Conv", "x w", ints("strides", 1, 2)), float1("w", 3, 2, 1, 1)), "strides [1 2]: unequal ones"},
		{model(one("Conv", "x w"), float1("w", 3, 2, 5, 5)), "a kernel of [5 5] does not fit on an image of 4x4x2"},
		{model(one("MaxPool", "x", ints("kernel_shape", 2, 2), ints("pads", 2, 0, 0, 0))), "windows that see nothing but padding"},
		{model(one("Gemm", "x w"), float1("w", 32, 3)), "a weight for 32 inputs and a value of shape [2,4,4]"},
		{model(one("Split", "x", number("axis", 2))), "parts of axis 2 of a value of shape [2,4,4]"},
		{model(one("Slice", "x a b c"), integers("a", 1), integers("b", 2), integers("c", 0)), "a part of the batch"},
		{model(one("Gather", "x a", number("axis", 1)), integers("a", 2)), "index 2 of an axis of 2"},
		{model(one("LayerNormalization", "x w", number("axis", 1)), float1("w", 3)), "does not fit a value of shape"},
		{model(one("GroupNormalization", "x w w", number("num_groups", 3)), float1("w", 2)), "3 groups of a value of shape [2,4,4]"},
		{model(one("Concat", "x x", number("axis", 2))), "axis 2 of a value of shape [2,4,4] is not the innermost"},
		{model(one("Pad", "x", text("mode", "reflect"), ints("pads", 0, 0, 1, 1, 0, 0, 1, 1))), `mode "reflect"`},
		{model(one("ReduceMean", "x", ints("axes", 1))), "only the mean over all positions"},
		{model([]*nodeProto{{op: "Softmax", name: "s", inputs: []string{"x"}, outputs: []string{"a"}}, node1("Relu", "a")}), "it follows Softmax, which is supported only at the end"},
		{model(one("Gather", "w i"), float1("w", 3), &tensorProto{name: "i", dataType: typeInt64, ints: []int64{3}}), "index 3 of an axis of 3"},
		{model(one("Expand", "w i"), float1("w"), &tensorProto{name: "i", dataType: typeInt64, dims: []int64{1}, ints: []int64{1 << 40}}), "cannot become [1099511627776]"},
		{model(one("Relu", "x"), &tensorProto{name: "w", dataType: 8}), `tensor "w": type string is not supported`},
		{model(one("Relu", "x"), &tensorProto{name: "w", dataType: typeFloat, dims: []int64{5}, raw: []byte{1}}), "1 bytes for shape [5]"},
		{model(one("Relu", "x"), &tensorProto{name: "w", dataType: typeFloat, dims: []int64{1 << 20, 1 << 20}}), "too large"},
		{model(one("Relu", "x"), &tensorProto{name: "w", dataType: typeFloat, dims: []int64{1}, outside: true}), "its values lie in another file"},
		{func() *modelProto { m := model(nil); m.opset = 6; return m }(), "opset 6: 7 to 23 are supported"},
		{func() *modelProto {
			m := model(nil)
			m.graph.inputs = append(m.graph.inputs, m.graph.inputs[0])
			return m
		}(), "2 inputs"},
		{func() *modelProto { m := model(nil); m.graph.inputs[0].elemType = typeUint8; return m }(), "type uint8"},
	} {
		_, err := translate(test.m, &folder{}, Options{Input: nn.Shape{H: 4, W: 4, C: 2}})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
}

// TestExternalData: what lies outside of the model's folder is not read.
func TestExternalData(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "model")
	if err := os.Mkdir(inside, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "secret"), filepath.Join(inside, "short")} {
		if err := os.WriteFile(path, make([]byte, 8), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "secret"), filepath.Join(inside, "link")); err != nil {
		t.Logf("no symbolic links here: %v", err)
	}
	root, err := os.OpenRoot(inside)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for location, want := range map[string]string{"../secret": "escapes", filepath.Join(dir, "secret"): "escapes", "link": "external data", "none": "no such file", "": "external data", ".": "has no 12 bytes", "short": "has no 12 bytes at 0"} {
		p := &tensorProto{name: "w", dataType: typeFloat, dims: []int64{3}, outside: true, external: []entryProto{{"location", location}}}
		if _, err := constantOf(p, &folder{root: root}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("location %q: error %v, want %q", location, err, want)
		}
	}
}

// TestLayout: reshaping and transposing follow what they would do to the values.
func TestLayout(t *testing.T) {
	chw := newLayout([]int{4, 6, 3}, []int{2}, []int{0}, []int{1}) // of an image that lies as H,W,C
	flat, ok := chw.reshape([]int{72})
	if !ok || flat.plain() || !flat.same(newLayout([]int{4, 6, 3}, []int{2, 0, 1})) {
		t.Errorf("flattened: %+v", flat)
	}
	back, ok := flat.reshape([]int{3, 4, 6})
	if !ok || !back.same(chw) {
		t.Errorf("and back: %+v", back)
	}
	if _, ok := chw.reshape([]int{2, 36}); ok {
		t.Error("a reshape that mixes channels and rows moves values")
	}
	split, ok := chw.reshape([]int{3, 2, 12})
	if !ok || split.dims()[2] != 12 {
		t.Errorf("rows in two: %+v", split)
	}
	hwc := chw.transpose([]int{1, 2, 0})
	if rows, ok := hwc.reshape([]int{8, 9}); !hwc.plain() || !ok || !rows.plain() {
		t.Errorf("in memory's order: %+v", hwc)
	}
	if at := chw.positions(); at[1] != 24 || at[3] != 1 {
		t.Errorf("positions %v", at[:4])
	}
}

// FuzzDecode: no bytes make the reader panic or ask for memory without bound.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.onnx")
	if err != nil || len(files) < 10 {
		f.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 1<<16 {
			return
		}
		for _, in := range []nn.Shape{{}, {H: 9, W: 7, C: 3}} {
			n, err := decode(content, nil, Options{Input: in})
			if err == nil && len(n.File.Meta.Model.Classes) < 2 {
				t.Error("a network of fewer than two classes")
			}
		}
	})
}
