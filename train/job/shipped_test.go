package job

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/defenses"
	"rampart/nn"
)

// TestShippedConfigs runs each config that ships for two steps of each training, on two images at a
// time and against two steps of each attack. Those for CIFAR-10 train narrow networks of the same
// kind on made-up images; their own must compile.
func TestShippedConfigs(t *testing.T) {
	names := configs.Embedded()
	if len(names) < 10 {
		t.Fatalf("only %q are embedded", names)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "compare") {
				shippedComparison(t, name)
				return
			}
			c, err := Load(name+".toml", []string{"seed=5"})
			if err != nil {
				t.Fatal(err)
			}
			runShipped(t, c)
		})
	}
}

// runShipped runs a config, cut short.
func runShipped(t *testing.T, c *Config) {
	if warnings := c.Warnings(); len(warnings) > 0 {
		t.Errorf("it warns: %q", warnings)
	}
	if c.Data.Source.Name == "fashion_mnist" {
		c.Data.Source = choose[data.Source]("mnist") // of the same shape, and at hand
	}
	if strings.HasPrefix(c.Name, "cifar") {
		compiles(t, c)
		c.Data.Source = configs.Choice[data.Source]{Name: "cifar10", Value: photographs{}}
		narrow(t, c.Model.Value)
	}
	for _, s := range []*Stage{&c.Warmup, &c.Train.Stage} {
		s.Epochs, s.Steps, s.Batch = 0, 2, 2
	}
	c.Data.Limit, c.Data.HeldOut, c.Probe.N = 4, 4, 2
	c.Eval.N, c.Eval.CurveN, c.Eval.CurveEps, c.Eval.Batch = 2, 1, nil, 2
	last := c.Eval.Attacks[len(c.Eval.Attacks)-1].Value
	c.Eval.Attacks = []configs.Choice[attacks.Attack]{{Name: last.Label(), Value: last.At(float64(last.Threat().Epsilon))}} // a copy
	list := append(defenses.Attacks(c.Defense.Value), c.Probe.Attack.Value, c.Eval.Attacks[0].Value)
	if c.Teacher != nil {
		list = append(list, defenses.Attacks(c.Teacher.Defense.Value)...)
	}
	for _, a := range list {
		if pgd, ok := a.(*attacks.PGD); ok {
			pgd.Steps, pgd.Runs = 2, 1
		}
	}
	r, err := newRun(c, quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	r.state = newState()
	for _, p := range r.phases() {
		if p.fitting != nil {
			r.twoSteps(t, *p.fitting)
		} else if !strings.HasPrefix(p.name, "measure") {
			if err := p.run(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s := c.Smoothing; s != nil {
		s.N0, s.N, s.Attacked, s.AttackSteps, s.AttackSamples = 4, 20, 1, 2, 2
	}
	spec, weights := r.deployed("")
	if err := r.certify(t.Context(), spec, weights); err != nil {
		t.Error(err)
	}
	if c.Verify != nil && len(r.state.Verified) != len(c.Verify.Epsilon) || c.Smoothing != nil && len(r.state.Certificates) != 2 {
		t.Errorf("%d radii are verified, and %d images certified", len(r.state.Verified), len(r.state.Certificates))
	}
	m, err := r.network(spec, weights, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []attacks.Attack{c.Probe.Attack.Value, c.Eval.Attacks[0].Value} {
		if _, err := attacks.Run(m, a, r.test, r.stream("evaluation"), func() error { return nil }, nil); err != nil {
			t.Error(err)
		}
	}
}

// TestAttackBN trains against attacks that see the batch's statistics, and refuses to where there are none.
func TestAttackBN(t *testing.T) {
	c, err := Load("cifar_resnet18.toml", []string{"train.attack_bn=train"})
	if err != nil {
		t.Fatal(err)
	}
	runShipped(t, c)
	if c, err = Load("quick.toml", []string{"train.attack_bn=train", "data.limit=100", "data.held_out=10", "probe.n=5"}); err != nil {
		t.Fatal(err)
	}
	r, err := newRun(c, quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	r.state = newState()
	_, err = r.newTrainer(*r.phases()[0].fitting)
	if err == nil || !strings.Contains(err.Error(), `train.attack_bn = "train": fast_cnn has no batch normalisation`) {
		t.Errorf("error %v", err)
	}
}

// photographs stand in for CIFAR-10, which is not at hand everywhere.
type photographs struct{}

func (photographs) Validate() error { return nil }

func (photographs) Load() (train, test *data.Dataset, err error) {
	pixels, labels := make([]byte, 20*32*32*3), make([]int32, 20)
	for i := range pixels {
		pixels[i] = byte(i * i % 251)
	}
	for i := range labels {
		labels[i] = int32(i % 10)
	}
	names := strings.Split("0123456789", "")
	if train, err = data.NewDataset("train", 32, 32, 3, names, pixels, labels); err != nil {
		return nil, nil, err
	}
	test, err = data.NewDataset("test", 32, 32, 3, names, pixels, labels)
	return train, test, err
}

// compiles checks that the network of a config is one for CIFAR-10's images. Steps of the large ones
// take too long here: narrow gives their shape to a small one.
func compiles(t *testing.T, c *Config) {
	t.Helper()
	spec := nn.Spec{Arch: c.Model.Name, Options: c.Model.Value, Input: nn.Shape{H: 32, W: 32, C: 3}, Classes: 10, Mean: c.Input.Mean, Std: c.Input.Std}
	if _, err := nn.WeightShapes(spec); err != nil {
		t.Error(err)
	}
}

func narrow(t *testing.T, m nn.Architecture) {
	t.Helper()
	switch m := m.(type) {
	case *nn.ResNet:
		m.Width = 4
	case *nn.PreActResNet18:
		m.Width = 4
	case *nn.WideResNet:
		m.Depth, m.Width = 10, 1
	default:
		t.Errorf("teach this test to make a small %T", m)
	}
}

// shippedComparison loads a list of configs, which must go together, and runs each for two steps.
func shippedComparison(t *testing.T, name string) {
	c, err := LoadComparison([]string{name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if names := c.columns(); len(names) < 2 || len(c.strategies) < 2 {
		t.Errorf("%d strategies under the attacks %q", len(c.strategies), names)
	}
	if len(c.Compare.Set)+len(c.Compare.Also) == 0 {
		return // they run as they ship
	}
	for _, s := range c.strategies {
		t.Run(s.name, func(t *testing.T) {
			s.cfg.Eval = c.Eval
			runShipped(t, s.cfg)
		})
	}
}

// twoSteps trains without a probe and without files, which are what takes time here.
func (r *run) twoSteps(t *testing.T, f fitting) {
	t.Helper()
	tr, err := r.newTrainer(f)
	if err != nil {
		t.Fatal(err)
	}
	before := tr.model.Weights()
	for step := range 2 {
		tr.loader.Batch(step/tr.replays, tr.batch)
		tr.prepare(tr.session, step)
		metrics, err := f.defense.Step(tr.session, tr.batch)
		if err == nil {
			err = tr.model.Update(f.stage.Optimizer.Value.Rule(), f.stage.Optimizer.Value.Rate())
		}
		if err != nil {
			t.Fatalf("%s: %v", f.title, err)
		}
		if metrics.Rows != 2 || !(metrics.Loss > 0) {
			t.Errorf("%s: %+v", f.title, metrics)
		}
		tr.accumulate(step + 1)
	}
	m, err := tr.deployable(2)
	if err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(m.Weights(), before) {
		t.Errorf("%s: the weights have not changed", f.title)
	}
	r.state.nets[f.net] = m.Weights()
}
