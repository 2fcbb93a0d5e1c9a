package cuda

import (
	"math"
	"reflect"
	"testing"

	"rampart/attacks"
	"rampart/data"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

const (
	featureRows    = 8
	featureClasses = 4
)

var featureInput = nn.Shape{H: 4, W: 4, C: 1}

// featureSpec is a small network of some layers between the image and the last layer.
func featureSpec(layers ...nn.Layer) nn.Spec {
	layers = append(layers, nn.Layer{Type: "flatten"}, nn.Layer{Type: "dense", Out: 12}, nn.Layer{Type: "relu"}, nn.Layer{Type: "dense"})
	return nn.Spec{Arch: "layers", Input: featureInput, Classes: featureClasses, Options: &nn.Custom{List: layers}}
}

func buildOn(t *testing.T, dev device.Device, spec nn.Spec, seed uint64) *nn.Model {
	t.Helper()
	m, err := nn.Build(spec, dev, 2*featureRows, rng.New(seed, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func featureBatch() *data.Batch {
	b := &data.Batch{X: make([]float32, featureRows*featureInput.Size()), Labels: make([]int32, featureRows), Index: make([]uint32, featureRows)}
	rng.New(2, "batch").Uniform(b.X, 0, 1, 0, 0, 0)
	for i := range b.Labels {
		b.Labels[i], b.Index[i] = int32(i*3%featureClasses), uint32(50+i)
	}
	return b
}

// featureData is a data set of the batch's images, labelled as a network sees them.
func featureData(t *testing.T, m *nn.Model) *data.Dataset {
	t.Helper()
	b := featureBatch()
	c := &device.Call{Rows: featureRows, X: m.New(len(b.X)), Logits: m.New(featureRows * featureClasses)}
	c.X.Upload(b.X, 0)
	if err := m.Logits(c); err != nil {
		t.Fatal(err)
	}
	logits, pixels := values(c.Logits), make([]byte, len(b.X))
	for i := range b.Labels {
		b.Labels[i] = int32(device.Argmax(logits[i*featureClasses:][:featureClasses]))
	}
	for i, v := range b.X {
		pixels[i] = byte(255*v + 0.5)
	}
	set, err := data.NewDataset("noise", featureInput.H, featureInput.W, featureInput.C, []string{"a", "b", "c", "d"}, pixels, b.Labels)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// mostSpent is what attacks may spend here, by option.
var mostSpent = map[string]int64{"steps": 4, "n_queries": 12, "binary_search_steps": 2, "samples": 2, "max_queries": 60, "initial_num_evals": 8}

// frugal cuts what an attack may spend.
func frugal(a attacks.Attack) { cut(reflect.ValueOf(a).Elem()) }

func cut(options reflect.Value) {
	for i := range options.NumField() {
		field := options.Type().Field(i)
		if n, ok := mostSpent[field.Tag.Get("toml")]; ok {
			options.Field(i).SetInt(min(options.Field(i).Int(), n))
		} else if field.Anonymous && field.Type.Kind() == reflect.Struct {
			cut(options.Field(i))
		}
	}
}

// emulatedAndNot are a fresh emulated device and the processor, in this order.
func emulatedAndNot(t *testing.T) []device.Device {
	d, machine := open(t, 1)
	t.Cleanup(func() {
		if err := machine.Check(); err != nil {
			t.Error(err)
		}
	})
	return []device.Device{d, cpu.New(1)}
}

// TestEveryDefence: every registered defence makes two steps as on the processor.
func TestEveryDefence(t *testing.T) {
	for _, name := range registry.Names[defenses.Defense]() {
		t.Run(name, func(t *testing.T) {
			var outcomes []outcome
			for _, dev := range emulatedAndNot(t) {
				d, err := registry.New[defenses.Defense](name)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range defenses.Attacks(d) {
					frugal(a)
				}
				spec := featureSpec()
				if defenses.TrainsMembers(d) {
					spec = nn.Spec{Input: featureInput, Classes: 3 * featureClasses, Combine: nn.Stacked, Members: []nn.Spec{spec, spec, spec}}
				}
				m := buildOn(t, dev, spec, 1)
				if defenses.Suits(d, m) != nil {
					spec.Denoiser = &nn.Denoiser{Channels: 3, Depth: 2}
					m = buildOn(t, dev, spec, 1)
				}
				s := defenses.NewSession(m, featureRows)
				s.Noise, s.Teacher, s.Sources = rng.New(3, "noise"), buildOn(t, dev, featureSpec(), 2), []*nn.Model{buildOn(t, dev, featureSpec(), 4)}
				var loss []float32
				for s.Step = range 2 {
					s.Progress = float64(s.Step) / 2
					metrics, err := d.Step(s, featureBatch())
					if err == nil {
						err = m.Update(device.SGD{}, 0.1)
					}
					if err != nil {
						t.Fatal(err)
					}
					loss = append(loss, float32(metrics.Loss))
				}
				o := outcome{"loss": loss}
				for _, w := range m.Weights() {
					o[w.Name] = w.Data
				}
				outcomes = append(outcomes, o)
			}
			if err := outcomes[0].differs(outcomes[1]); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEveryAttack: every registered attack finds what it finds on the processor, but for what rounding tips.
func TestEveryAttack(t *testing.T) {
	for _, name := range registry.Names[attacks.Attack]() {
		t.Run(name, func(t *testing.T) {
			var found [2][]float32
			for i, dev := range emulatedAndNot(t) {
				a, err := registry.New[attacks.Attack](name)
				if err != nil {
					t.Fatal(err)
				}
				frugal(a)
				if s, ok := a.(attacks.Sourced); ok {
					s.SetSource(buildOn(t, dev, featureSpec(), 4))
				}
				m := buildOn(t, dev, featureSpec(), 1)
				r, err := attacks.Run(m, a, featureData(t, m), rng.New(5, "attack"), func() error { return nil }, nil)
				if err != nil {
					t.Fatal(err)
				}
				found[i] = r.Adv
			}
			differ := 0
			for i, v := range found[1] {
				if !(math.Abs(float64(found[0][i]-v)) <= 1e-3) {
					differ++
				}
			}
			if differ > len(found[1])/20 {
				t.Errorf("%d of %d pixels differ", differ, len(found[1]))
			}
		})
	}
}

// TestViews: what is computed of a network besides its own programs is as on the processor: attacks on the
// statistics of the batch, perturbed weights, linear bounds, the network behind a denoiser.
func TestViews(t *testing.T) {
	var outcomes []outcome
	for _, dev := range emulatedAndNot(t) {
		o, b := outcome{}, featureBatch()
		keep := func(name string, err error, v device.Tensor) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			o[name] = values(v)
		}
		call := func(m *nn.Model) *device.Call {
			c := &device.Call{Rows: featureRows, X: m.New(len(b.X)), Labels: b.Labels, Loss: nn.CrossEntropy{}, Scale: 1,
				Logits: m.New(featureRows * featureClasses), InputGrad: m.New(len(b.X))}
			c.X.Upload(b.X, 0)
			return c
		}
		conv, norm, relu := nn.Layer{Type: "conv", Out: 3, Kernel: 3, Padding: "same"}, nn.Layer{Type: "batchnorm"}, nn.Layer{Type: "relu"}

		m := buildOn(t, dev, featureSpec(conv, norm, relu), 1)
		on, err := m.OnBatch()
		if err != nil {
			t.Fatal(err)
		}
		c := call(m)
		keep("input gradient on the batch", on.InputGrad(c), c.InputGrad)
		d, err := registry.New[defenses.Defense]("pgd_at")
		if err != nil {
			t.Fatal(err)
		}
		frugal(d.Attack())
		s := defenses.NewSession(m, featureRows)
		s.Noise, s.OnBatch = rng.New(3, "noise"), on
		if _, err := d.Step(s, b); err != nil {
			t.Fatal(err)
		}
		o.gradients("on the batch", m)
		c = call(m)
		c.InputGrad, c.Scale = nil, 1./featureRows
		keep("logits at perturbed weights", m.PerturbedGrad(c, 0.01), c.Logits)
		o.gradients("perturbed", m)

		m = buildOn(t, dev, featureSpec(conv, norm, relu, nn.Layer{Type: "avgpool", Kernel: 2}), 2)
		crown, err := nn.NewCrown(m, featureRows)
		if err != nil {
			t.Fatal(err)
		}
		interval, bounds, err := crown.UpperBounds(b.X, b.Labels, 0.02)
		if err != nil {
			t.Fatal(err)
		}
		o["interval bounds"], o["CROWN's bounds"] = single(interval), single(bounds)
		if _, err := crown.AddGrad(b.X, b.Labels, 0.02, 0.5, 1); err != nil {
			t.Fatal(err)
		}
		o.gradients("of bounds", m)

		spec := featureSpec(conv, relu)
		spec.Denoiser = &nn.Denoiser{Channels: 3, Depth: 2}
		m = buildOn(t, dev, spec, 3)
		behind, err := m.Classifier()
		if err != nil {
			t.Fatal(err)
		}
		c = call(m)
		keep("input gradient behind a denoiser", behind.InputGrad(c), c.InputGrad)
		outcomes = append(outcomes, o)
	}
	if err := outcomes[0].differs(outcomes[1]); err != nil {
		t.Error(err)
	}
}

// gradients keeps those of a model's weights.
func (o outcome) gradients(what string, m *nn.Model) {
	for _, g := range m.Gradients() {
		o[what+": gradient of "+g.Name] = g.Data
	}
}

func single(list []float64) []float32 {
	out := make([]float32, len(list))
	for i, v := range list {
		out[i] = float32(v)
	}
	return out
}
