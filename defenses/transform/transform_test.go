package transform

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rampart/configs"
	"rampart/nn"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

var shapes = []nn.Shape{{H: 14, W: 11, C: 1}, {H: 12, W: 16, C: 3}}

// picture01 is a picture of random pixels, no two alike.
func picture01(in nn.Shape, seed uint64) []float32 {
	x := make([]float32, in.Size())
	rng.New(seed, "picture").Uniform(x, 0.05, 0.95, 0, 0, 0)
	return x
}

func each(t *testing.T, f func(t *testing.T, name string, tr Transform)) {
	names := registry.Names[Transform]()
	if len(names) < 7 {
		t.Fatalf("only %q are registered", names)
	}
	for _, name := range names {
		tr, err := registry.New[Transform](name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { f(t, name, tr) })
	}
}

// TestEach holds what every transformation owes.
func TestEach(t *testing.T) {
	each(t, func(t *testing.T, name string, tr Transform) {
		if err := tr.Validate(); err != nil {
			t.Errorf("its defaults: %v", err)
		}
		if tr.Training() || tr.Label() == "" {
			t.Errorf("by default it is for training: %v, label %q", tr.Training(), tr.Label())
		}
		for _, in := range shapes {
			if err := tr.Fits(in); err != nil {
				t.Fatal(err)
			}
			x, stream := picture01(in, 3), rng.New(4, "draws")
			at := func(example, restart, step uint32) []float32 {
				v := &View{In: in, X: slices.Clone(x), Stream: stream, Example: example, Restart: restart, Step: step}
				tr.Forward(v)
				for i, p := range v.X {
					if math.IsNaN(float64(p)) || p < 0 || p > 1 {
						if name != "noise" || math.IsNaN(float64(p)) {
							t.Fatalf("value %d is %v", i, p)
						}
					}
				}
				return v.X
			}
			first := at(1, 2, 3)
			if !slices.Equal(first, at(1, 2, 3)) {
				t.Errorf("%v: two outcomes of the same draw", in)
			}
			if slices.Equal(first, x) {
				t.Errorf("%v: nothing changes", in)
			}
			// Among some draws one at least must differ, since resizing has few outcomes.
			for what, other := range map[string]func(k uint32) []float32{
				"example": func(k uint32) []float32 { return at(1+k, 2, 3) }, "restart": func(k uint32) []float32 { return at(1, 2+k, 3) },
				"step": func(k uint32) []float32 { return at(1, 2, 3+k) },
			} {
				differs := false
				for k := uint32(1); k < 6; k++ {
					differs = differs || !slices.Equal(first, other(k))
				}
				if differs != tr.Random() {
					t.Errorf("%v: another %s changes the outcome: %v; it is random: %v", in, what, differs, tr.Random())
				}
			}
		}
	})
}

// TestBackward compares exact gradients with finite differences of a weighted sum of the outputs;
// the stand-in leaves a gradient as it is.
func TestBackward(t *testing.T) {
	each(t, func(t *testing.T, name string, tr Transform) {
		for _, in := range shapes {
			x, w := picture01(in, 5), picture01(in, 6)
			view := func(x []float32) *View {
				return &View{In: in, X: slices.Clone(x), Stream: rng.New(4, "draws"), Example: 7, Restart: 1, Step: 9}
			}
			value := func(x []float32) (sum float64) {
				v := view(x)
				tr.Forward(v)
				for i, p := range v.X {
					sum += float64(p) * float64(w[i])
				}
				return sum
			}
			dx, v := slices.Clone(w), view(x)
			tr.Backward(dx, v)
			if !slices.Equal(v.X, x) {
				t.Errorf("%v: Backward changes the image", in)
			}
			if tr.Gradient() == Identity {
				if !slices.Equal(dx, w) {
					t.Errorf("%v: the identity changes a gradient", in)
				}
				continue
			}
			for i := range x {
				// All are piecewise linear: a small step errs by rounding alone.
				const h = 1e-4
				up, down := slices.Clone(x), slices.Clone(x)
				up[i], down[i] = x[i]+h, x[i]-h
				want := (value(up) - value(down)) / (float64(up[i]) - float64(down[i]))
				if math.Abs(want-float64(dx[i])) > 2e-3 {
					t.Fatalf("%v: the derivative in value %d is %v, by differences %v", in, i, dx[i], want)
				}
			}
		}
	})
}

// TestValidate: each option has values that are refused, by its name.
func TestValidate(t *testing.T) {
	for _, c := range []struct{ name, options, key string }{
		{"jpeg", `{"Quality":0}`, "quality"}, {"jpeg", `{"Quality":101}`, "quality"}, {"jpeg", `{"When":"never"}`, "when"},
		{"bit_depth", `{"Bits":0}`, "bits"}, {"bit_depth", `{"Bits":9}`, "bits"}, {"bit_depth", `{"When":""}`, "when"},
		{"median", `{"Size":1}`, "size"}, {"median", `{"When":"x"}`, "when"},
		{"gaussian", `{"Sigma":0}`, "sigma"}, {"gaussian", `{"Sigma":33}`, "sigma"}, {"gaussian", `{"When":"x"}`, "when"},
		{"noise", `{"Std":0}`, "std"}, {"noise", `{"When":"x"}`, "when"},
		{"random_resize_pad", `{"Least":0}`, "least"}, {"random_resize_pad", `{"Least":1.1}`, "least"},
		{"random_resize_pad", `{"Filter":"cubic"}`, "filter"}, {"random_resize_pad", `{"When":"x"}`, "when"},
		{"total_variation", `{"Drop":1}`, "drop"}, {"total_variation", `{"Weight":0}`, "weight"},
		{"total_variation", `{"Iterations":0}`, "iterations"}, {"total_variation", `{"When":"x"}`, "when"},
	} {
		var chain Chain
		err := json.Unmarshal([]byte(`[{"name":"`+c.name+`","options":`+c.options+`}]`), &chain)
		if err == nil || !strings.Contains(err.Error(), c.key+": ") || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s %s: %v", c.name, c.options, err)
		}
	}
	var none Chain
	for _, text := range []string{`[{"name":"blur","options":{}}]`, `[{"name":"jpeg"}]`, `{}`} {
		if err := json.Unmarshal([]byte(text), &none); err == nil {
			t.Errorf("%s is read", text)
		}
	}
	if err := (Chain{choose(t, "jpeg")}).Fits(nn.Shape{H: 8, W: 8, C: 2}); err == nil {
		t.Error("JPEG of two channels")
	}
	if err := (Chain{choose(t, "random_resize_pad")}).Fits(nn.Shape{H: 8, W: 8, C: 1}); err == nil {
		t.Error("a resize with one size to choose from")
	}
}

func choose(t *testing.T, name string) configs.Choice[Transform] {
	t.Helper()
	c, err := configs.Choose[Transform](name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestChain: order counts, JSON keeps all options, and the gradient goes through every link.
func TestChain(t *testing.T) {
	var chain Chain
	for _, name := range registry.Names[Transform]() {
		chain = append(chain, choose(t, name))
	}
	chain[0].Value.(*BitDepth).Bits, chain[0].Value.(*BitDepth).When = 3, "always"
	text, err := json.Marshal(chain)
	if err != nil {
		t.Fatal(err)
	}
	var back Chain
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(chain, back) {
		t.Errorf("%s reads as %v", text, back)
	}
	if training := chain.Training(); len(training) != 1 || training[0].Name != "bit_depth" || !chain.Random() || !chain.Substituted() {
		t.Errorf("for training %v, random %v, BPDA %v", training, chain.Random(), chain.Substituted())
	}
	in := nn.Shape{H: 9, W: 7, C: 1}
	two := Chain{choose(t, "gaussian"), choose(t, "median")}
	if two.Random() || two.Substituted() || two.Label() != "Gaussian filter (sigma 1), median filter (2x2)" {
		t.Errorf("%q is random %v, BPDA %v", two.Label(), two.Random(), two.Substituted())
	}
	x, w := picture01(in, 8), picture01(in, 9)
	there, other := slices.Clone(x), slices.Clone(x)
	two.bind(in, 1).Forward(there, 0, 0)
	(Chain{two[1], two[0]}).bind(in, 1).Forward(other, 0, 0)
	if slices.Equal(there, other) {
		t.Error("the order makes no difference")
	}
	value := func(x []float32) (sum float64) {
		y := slices.Clone(x)
		two.bind(in, 1).Forward(y, 0, 0)
		for i, p := range y {
			sum += float64(p) * float64(w[i])
		}
		return sum
	}
	dx := slices.Clone(w)
	two.bind(in, 1).Backward(dx, x, 0, 0)
	for i := range x {
		up, down := slices.Clone(x), slices.Clone(x)
		const h = 1e-4
		up[i], down[i] = x[i]+h, x[i]-h
		if want := (value(up) - value(down)) / (float64(up[i]) - float64(down[i])); math.Abs(want-float64(dx[i])) > 2e-3 {
			t.Fatalf("the derivative in value %d is %v, by differences %v", i, dx[i], want)
		}
	}
}

// keepsOrder says it of the transformations that are ours.
var keepsOrder = map[string]bool{"bit_depth": true, "gaussian": true, "median": true,
	"jpeg": false, "noise": false, "random_resize_pad": false, "total_variation": false}

// TestBounds: what bounds go through keeps order, to the last bit and beside ties; what does not, or draws, is refused.
func TestBounds(t *testing.T) {
	each(t, func(t *testing.T, name string, tr Transform) {
		chain := Chain{{Name: name, Value: tr}}
		for _, in := range shapes {
			through, err := chain.Bounds(in)
			if want, known := keepsOrder[name]; known && want != (err == nil) {
				t.Fatalf("it keeps order: %v, and the error is %v", want, err)
			}
			if err != nil {
				if want := "bounds do not go through " + tr.Label(); err.Error() != want {
					t.Errorf("the error is %q, want %q", err, want)
				}
				return
			}
			for trial := range uint64(40) {
				lower, upper := picture01(in, 2*trial), picture01(in, 2*trial+1)
				for i, v := range lower {
					switch u := upper[i]; {
					case trial%2 == 0:
						upper[i] = math.Nextafter32(v, u) // the least that there is
					case u < v:
						lower[i], upper[i] = u, v
					}
					if i%5 == 0 || upper[i] < lower[i] {
						upper[i] = lower[i]
					}
				}
				through(lower)
				through(upper)
				for i, v := range lower {
					if v > upper[i] {
						t.Fatalf("value %d is %v of the lower image, and %v of the upper", i, v, upper[i])
					}
				}
			}
		}
	})
	if through, err := (Chain{}).Bounds(shapes[0]); through != nil || err != nil {
		t.Errorf("an empty chain gives %v, %v", through != nil, err)
	}
}
