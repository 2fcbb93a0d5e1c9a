package data

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"rampart/nn/registry"
	"rampart/nn/rng"
)

// ramp is a view of an image whose values all differ.
func ramp(h, w, c int) *View {
	v := &View{H: h, W: w, C: c, X: make([]float32, h*w*c), Scratch: make([]float32, h*w*c), Weight: 1}
	for i := range v.X {
		v.X[i] = float32(i+1) / float32(len(v.X)+1)
	}
	return v
}

// augmentation returns a registered one with its defaults, and what it cannot do without.
func augmentation(t *testing.T, name string) Augmentation {
	t.Helper()
	a, err := registry.New[Augmentation](name)
	if err != nil {
		t.Fatal(err)
	}
	if j, ok := a.(*ColorJitter); ok {
		*j = ColorJitter{0.4, 0.4, 0.4, 0.1}
	}
	if err := a.Validate(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return a
}

// TestAugmentations: each one, with its defaults, changes images, keeps them within [0,1], and
// draws nothing from anywhere but the view.
func TestAugmentations(t *testing.T) {
	names := registry.Names[Augmentation]()
	for _, want := range []string{"affine", "color_jitter", "crop", "cutmix", "cutout", "erase", "flip", "mixup"} {
		if !slices.Contains(names, want) {
			t.Errorf("%q is not registered", want)
		}
	}
	for _, name := range names {
		a := augmentation(t, name)
		if err := a.Fits(32, 24, 3); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		changed := 0
		for seed := range uint64(20) {
			var results [2][]float32
			for run := range results {
				v := ramp(32, 24, 3)
				before := slices.Clone(v.X)
				v.Draw = rng.New(seed, "test").Sequence(3, 1, 0)
				v.Partner = make([]float32, len(v.X))
				a.Apply(v)
				if !slices.Equal(before, v.X) {
					changed++
				}
				if slices.Min(v.X) < 0 || slices.Max(v.X) > 1 || len(v.X) != len(before) || slices.ContainsFunc(v.X, func(x float32) bool { return x != x }) {
					t.Errorf("%s: values from %v to %v", name, slices.Min(v.X), slices.Max(v.X))
				}
				if _, mixes := a.(Mixer); !mixes && v.Weight != 1 || v.Weight < 0 || v.Weight > 1 {
					t.Errorf("%s: weight %v", name, v.Weight)
				}
				results[run] = slices.Clone(v.X)
			}
			if !slices.Equal(results[0], results[1]) {
				t.Errorf("%s: another result for the same numbers", name)
			}
		}
		if changed == 0 {
			t.Errorf("%s changes nothing", name)
		}
	}
}

// TestCropBorders holds the borders of torchvision's pad, on a line of three.
func TestCropBorders(t *testing.T) {
	for border, want := range map[string][5]string{ // shifts by -2 to 2
		"constant":  {"..a", ".ab", "abc", "bc.", "c.."},
		"edge":      {"aaa", "aab", "abc", "bcc", "ccc"},
		"reflect":   {"cba", "bab", "abc", "bcb", "cba"},
		"symmetric": {"baa", "aab", "abc", "bcc", "ccb"},
	} {
		for i, w := range want {
			v := ramp(3, 3, 1)
			copy(v.X, []float32{0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1, 0.2, 0.3})
			(&Crop{Padding: 2, Border: border, Fill: 0.9}).shift(v, 0, i-2)
			got := ""
			for _, x := range v.X[3:6] {
				got += map[float32]string{0.1: "a", 0.2: "b", 0.3: "c", 0.9: "."}[x]
			}
			if got != w {
				t.Errorf("%s, shift by %d: %s, want %s", border, i-2, got, w)
			}
		}
	}
	v := ramp(4, 5, 2)
	before := slices.Clone(v.X)
	(&Crop{Padding: 2, Border: "constant"}).shift(v, 1, -2)
	for y := range 4 {
		for x := range 5 {
			want := []float32{0, 0}
			if y < 3 && x >= 2 {
				want = before[((y+1)*5+x-2)*2:][:2]
			}
			if got := v.X[(y*5+x)*2:][:2]; !slices.Equal(got, want) {
				t.Errorf("pixel %d,%d is %v, want %v", y, x, got, want)
			}
		}
	}
}

// TestCropPlaces: all 81 places of padding 4 come up, each about as often. Chernoff: a count of
// expectation m is off by more than d*m with probability at most 2 exp(-d^2 m/3), times 81.
func TestCropPlaces(t *testing.T) {
	const mean = 200
	bound := math.Sqrt(3 * math.Log(2*81/1e-9) / mean)
	counts := map[float32]int{}
	v := ramp(9, 9, 1)
	image := slices.Clone(v.X)
	for i := range uint32(81 * mean) {
		copy(v.X, image)
		v.Draw = rng.New(1, "crop").Sequence(i, 0, 0)
		(&Crop{Padding: 4, Border: "constant"}).Apply(v)
		counts[v.X[4*9+4]]++
	}
	for value, n := range counts {
		if d := float64(n)/mean - 1; math.Abs(d) > bound {
			t.Errorf("the place that shows %v comes up %d times, want about %d", value, n, mean)
		}
	}
	if len(counts) != 81 {
		t.Errorf("%d places, want 81", len(counts))
	}
}

func TestFlip(t *testing.T) {
	flips := 0
	for i := range uint32(400) {
		v := ramp(2, 3, 2)
		before := slices.Clone(v.X)
		v.Draw = rng.New(1, "flip").Sequence(i, 0, 0)
		if (&Flip{0.5}).Apply(v); slices.Equal(v.X, before) {
			continue
		}
		flips++
		for y := range 2 {
			for x := range 3 {
				if !slices.Equal(v.X[(y*3+x)*2:][:2], before[(y*3+2-x)*2:][:2]) {
					t.Fatalf("flipped to %v", v.X)
				}
			}
		}
	}
	// Hoeffding: |flips - 200| > 65 has a probability below 1e-9.
	if flips < 135 || flips > 265 {
		t.Errorf("%d of 400 flipped", flips)
	}
}

// TestErase: the covered part is a rectangle inside the image whose area and ratio are within the
// bounds, up to rounding of its sides.
func TestErase(t *testing.T) {
	a := &Erase{P: 1, Scale: []float64{0.1, 0.3}, Ratio: []float64{0.5, 2}, Fill: 1}
	for i := range uint32(300) {
		v := ramp(32, 40, 1)
		v.Draw = rng.New(1, "erase").Sequence(i, 0, 0)
		a.Apply(v)
		top, left, bottom, right, n := 32, 40, -1, -1, 0
		for at, x := range v.X {
			if x == 1 {
				top, bottom, left, right, n = min(top, at/40), max(bottom, at/40), min(left, at%40), max(right, at%40), n+1
			}
		}
		h, w := bottom-top+1, right-left+1
		if n != h*w || n == 0 {
			t.Fatalf("%d values in a box of %dx%d", n, h, w)
		}
		if lo, hi := float64((h-1)*(w-1)), float64((h+1)*(w+1)); hi < 0.1*32*40 || lo > 0.3*32*40 {
			t.Errorf("%dx%d is outside the scale", h, w)
		}
		if float64(h+1)/float64(w-1) < 0.5 || float64(h-1)/float64(w+1) > 2 {
			t.Errorf("%dx%d is outside the ratio", h, w)
		}
	}
	whole := &Erase{P: 1, Scale: []float64{1, 1}, Ratio: []float64{1, 1}, Fill: 1}
	v := ramp(8, 8, 1)
	if whole.Apply(v); slices.Contains(v.X, 1) {
		t.Error("a rectangle that does not fit was drawn")
	}
	noisy := ramp(32, 32, 3)
	(&Erase{P: 1, Scale: []float64{0.3, 0.3}, Ratio: []float64{1, 1}, Noise: true}).Apply(noisy)
	different := map[float32]bool{}
	for i, x := range noisy.X {
		if x != ramp(32, 32, 3).X[i] {
			different[x] = true
		}
	}
	if len(different) < 800 { // 18x18x3 values of 24 bits
		t.Errorf("%d different values of noise", len(different))
	}
}

func TestCutout(t *testing.T) {
	sizes := map[int]int{}
	for i := range uint32(500) {
		v := ramp(8, 8, 1)
		v.Draw = rng.New(1, "cutout").Sequence(i, 0, 0)
		(&Cutout{Holes: 1, Length: 5, Fill: 1}).Apply(v) // made even: 4
		n := 0
		for _, x := range v.X {
			if x == 1 {
				n++
			}
		}
		sizes[n]++
	}
	for n := range sizes {
		if !slices.Contains([]int{4, 6, 8, 9, 12, 16}, n) { // products of 2, 3 and 4
			t.Errorf("a hole of %d pixels", n)
		}
	}
	if len(sizes) != 6 {
		t.Errorf("sizes of holes %v", sizes)
	}
}

// readGolden decodes what a script in testdata wrote.
func readGolden(t *testing.T, file string, to any) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestJitterGolden compares with torchvision (testdata/jitter.py).
func TestJitterGolden(t *testing.T) {
	var golden struct {
		H, W  int
		Cases []struct {
			Op      string
			Factor  float32
			C       int
			In, Out []float32
		}
	}
	readGolden(t, "testdata/jitter.json", &golden)
	ops := map[string]func(v *View, f float32){"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
	for _, c := range golden.Cases {
		v := &View{H: golden.H, W: golden.W, C: c.C, X: slices.Clone(c.In)}
		ops[c.Op](v, c.Factor)
		for i, x := range v.X {
			if math.Abs(float64(x-c.Out[i])) > 2e-6 {
				t.Errorf("%s by %v, %d channels: value %d of %v is %v, torchvision's %v", c.Op, c.Factor, c.C, i, c.In[i], x, c.Out[i])
			}
		}
	}
	if len(golden.Cases) != 25 {
		t.Errorf("%d cases", len(golden.Cases))
	}
}

// TestMixShares: the mean and the variance of the weights are those of Beta(alpha, alpha), 1/2 and
// 1/(4(2 alpha + 1)). Hoeffding for n values in [0,1]: off by more than t with probability at most
// 2 exp(-2 n t^2) each.
func TestMixShares(t *testing.T) {
	const n = 4000
	bound := math.Sqrt(math.Log(2/1e-9) / (2 * n))
	for _, alpha := range []float64{0.2, 1, 5} {
		var sum, squares float64
		for i := range uint32(n) {
			v := ramp(2, 2, 1)
			v.Partner = make([]float32, 4)
			before := slices.Clone(v.X)
			v.Draw = rng.New(2, "mixup").Sequence(i, 0, 0)
			(&Mixup{mixing{alpha, 1}}).Apply(v)
			if d := v.X[3] - v.Weight*before[3]; math.Abs(float64(d)) > 1e-6 {
				t.Fatalf("%v of %v with 0 is %v", v.Weight, before[3], v.X[3])
			}
			w := float64(v.Weight)
			sum, squares = sum+w, squares+(w-0.5)*(w-0.5)
		}
		if d := sum/n - 0.5; math.Abs(d) > bound {
			t.Errorf("alpha %v: the mean is off by %v", alpha, d)
		}
		if d := squares/n - 1/(4*(2*alpha+1)); math.Abs(d) > bound/4 { // values in [0,1/4]
			t.Errorf("alpha %v: the variance is off by %v", alpha, d)
		}
	}
}

// TestCutMix: the weight is the share of the pixels that are left.
func TestCutMix(t *testing.T) {
	for i := range uint32(200) {
		v := ramp(12, 9, 3)
		v.Partner = make([]float32, len(v.X))
		v.Draw = rng.New(1, "cutmix").Sequence(i, 0, 0)
		(&CutMix{mixing{1, 1}}).Apply(v)
		left := 0
		for _, x := range v.X {
			if x != 0 {
				left++
			}
		}
		if want := float32(left) / float32(len(v.X)); math.Abs(float64(v.Weight-want)) > 1e-6 {
			t.Errorf("weight %v, %v of the pixels are left", v.Weight, want)
		}
	}
	none := 0
	for i := range uint32(400) {
		v := ramp(4, 4, 1)
		v.Partner = make([]float32, len(v.X))
		v.Draw = rng.New(1, "p").Sequence(i, 0, 0)
		if (&Mixup{mixing{1, 0.5}}).Apply(v); v.Weight == 1 && slices.Equal(v.X, ramp(4, 4, 1).X) {
			none++
		}
	}
	if none < 135 || none > 265 { // as in TestFlip
		t.Errorf("p = 0.5: %d of 400 are not mixed", none)
	}
}

func TestAugmentationErrors(t *testing.T) {
	for want, a := range map[string]Augmentation{
		`"padding": 0`:             &Crop{Border: "constant"},
		`"border": "wrap": use`:    &Crop{Padding: 1, Border: "wrap"},
		`"fill": border = "edge"`:  &Crop{Padding: 1, Border: "edge", Fill: 0.5},
		`"fill": 1.5 must lie`:     &Crop{Padding: 1, Border: "constant", Fill: 1.5},
		`"p": -1 must lie`:         &Flip{-1},
		`"p": NaN must lie`:        &Flip{math.NaN()},
		`"holes": 0`:               &Cutout{Length: 4},
		`"length": 1`:              &Cutout{Holes: 1, Length: 1},
		`"scale": [0.5 0.2]: give`: &Erase{P: 1, Scale: []float64{0.5, 0.2}, Ratio: []float64{1, 1}},
		`"scale": []: give`:        &Erase{P: 1},
		`"ratio": [0 1]: give`:     &Erase{P: 1, Scale: []float64{0.1, 0.2}, Ratio: []float64{0, 1}},
		`"fill": noise = true`:     &Erase{P: 1, Scale: []float64{0.1, 0.2}, Ratio: []float64{1, 1}, Fill: 1, Noise: true},
		`"alpha": 0 must lie`:      &Mixup{mixing{0, 1}},
		`"p": 2 must lie`:          &CutMix{mixing{1, 2}},
		`"degrees": 200 must lie`:  &Affine{Degrees: 200},
		`"degrees": set it`:        &Affine{Scale: []float64{1, 1}, Interpolation: "nearest"},
		`"translate": 2 must lie`:  &Affine{Translate: 2},
		`"scale": [1.1 0.9]: give`: &Affine{Scale: []float64{1.1, 0.9}},
		`"shear": NaN must lie`:    &Affine{Shear: math.NaN(), Scale: []float64{1, 1}},
		`"interpolation": "cubic"`: &Affine{Scale: []float64{1, 1}, Interpolation: "cubic"},
		`"hue": 0.6 must lie`:      &ColorJitter{Hue: 0.6},
		`"brightness": set it`:     &ColorJitter{},
	} {
		err := a.Validate()
		if _, key := errors.AsType[*registry.KeyError](err); !key || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", a, err, want)
		}
	}
	l, err := NewLoader(numbered(t, 30), 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	for want, list := range map[string][]Augmentation{
		`augmentation 2 for the 1x2x2 images of "numbered": crop: padding = 4: at most 1 fits`: {&Flip{0.5}, &Crop{4, "constant", 0}},
		`crop: padding = 1: at most 0 fits`:                                                    {&Crop{1, "reflect", 0}},
		`cutout: length = 16 covers all`:                                                       {&Cutout{Holes: 1, Length: 16}},
		`color_jitter: saturation and hue need RGB`:                                            {&ColorJitter{Hue: 0.1}},
		`augmentations 1 and 3 both mix labels`:                                                {&Mixup{mixing{1, 1}}, &Flip{0.5}, &CutMix{mixing{1, 1}}},
	} {
		if err := l.Augment(list, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := (&ColorJitter{Contrast: 1}).Fits(2, 2, 1); err != nil {
		t.Error(err)
	}
}
