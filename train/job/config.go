// Package job is a run of Rampart: it trains, measures and saves a network as a config says.
package job

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/defenses"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// Config is everything that a config file can set.
type Config struct {
	Name string `toml:"-"` // of the file
	// Precision is that of convolutions and dense layers; less than fp32 needs a GPU.
	Precision device.Precision `toml:"precision,omitempty"`
	// Init is a file of weights to start from instead of a warm-up: a checkpoint, other safetensors, or
	// PyTorch's .pth.
	Init     string                           `toml:"init,omitempty"`
	Seed     uint64                           `toml:"seed"`
	Data     Data                             `toml:"data"`
	Model    configs.Choice[nn.Architecture]  `toml:"model"`
	Input    Input                            `toml:"input"`
	Warmup   Stage                            `toml:"warmup"`
	Train    Training                         `toml:"train"`
	Defense  configs.Choice[defenses.Defense] `toml:"defense"`
	Probe    Probe                            `toml:"probe"`
	Distill  *Distill                         `toml:"distill"`
	Teacher  *Teacher                         `toml:"teacher"`
	Sources  *Sources                         `toml:"sources"`
	Ensemble *Ensemble                        `toml:"ensemble"`
	Eval     Evaluation                       `toml:"eval"`
	// Smoothing and Verify certify the hardened network.
	Smoothing *Smoothing `toml:"smoothing"`
	Verify    *Verify    `toml:"verify"`
}

// Data is the data set, and how much of it is used.
type Data struct {
	Source configs.Choice[data.Source] `toml:"source"`
	// HeldOut is how many training images are set aside for the probe that selects the best
	// weights, or taken from the validation images where the source has some; Limit, where not 0,
	// is how many of the others are used.
	HeldOut int `toml:"held_out"`
	Limit   int `toml:"limit"`
	// Download allows published files that are missing to be fetched.
	Download bool `toml:"download,omitempty"`
	// OnError is what an image does that cannot be read: "fail" (also "") or "skip".
	OnError string `toml:"on_error,omitempty"`
	// Augment varies the images of the warm-up and of the training, in this order.
	Augment []configs.Choice[data.Augmentation] `toml:"augment,omitempty"`
}

// Input is what stands between an image and the network's layers.
type Input struct {
	// Mean and Std normalise pixels by channel inside the network; empty for none.
	Mean []float32 `toml:"mean"`
	Std  []float32 `toml:"std"`
	// Denoiser is a part of the network, before that normalisation; the defence "denoise" trains it.
	Denoiser *nn.Denoiser `toml:"denoiser,omitempty"`
	// Transform stands before the network, in this order.
	Transform transform.Chain `toml:"transform,omitempty"`
}

// Stage is a length of training with its optimiser.
type Stage struct {
	// Epochs or, where it is not 0, Steps.
	Epochs    int                          `toml:"epochs"`
	Steps     int                          `toml:"steps"`
	Batch     int                          `toml:"batch"`
	Optimizer configs.Choice[nn.Optimizer] `toml:"optimizer"`
	Schedule  configs.Choice[nn.Schedule]  `toml:"schedule"`
}

// Training is the stage that hardens the network.
type Training struct {
	Stage
	// Start is "baseline", the warm-up's weights, or "scratch", fresh ones.
	Start string `toml:"start"`
	// EpsilonSchedule scales the training attack's epsilon, its step in proportion.
	EpsilonSchedule configs.Choice[nn.Schedule] `toml:"eps_schedule"`
	// StepsSchedule scales the number of the training attack's steps, which is never below 1.
	StepsSchedule configs.Choice[nn.Schedule] `toml:"steps_schedule"`
	// Average, where it is set, is deployed in the place of the weights, and measured by the probe.
	Average configs.Choice[nn.Averaging] `toml:"average"`
	// Freeze names what training leaves as it is, and Groups what has a learning rate of its own; see
	// nn.Tuning.
	Freeze Names      `toml:"freeze,omitempty"`
	Groups []nn.Group `toml:"group,omitempty"`
	// AttackBN is how the training attack meets batch normalisations: "eval", by running statistics, as
	// the network is deployed; "train", by those of the attacked batch, as the update does (Rice et
	// al. 2020); or "separate", where adversarial and clean rows have batch normalisations of their own
	// (Xie et al. 2020), by the running statistics of adversarial rows.
	AttackBN string `toml:"attack_bn"`
	// DeployBN is the branch of "separate" that is deployed: that of adversarial rows, or that of clean
	// ones, which Xie et al. deploy for accuracy on clean images.
	DeployBN nn.RowKind `toml:"deploy_bn"`
	// CheckpointSegments, where it is above 1, trades time for memory in every training step and in its
	// attacks, the warm-up's too; see nn.Tuning.
	CheckpointSegments int `toml:"checkpoint_segments,omitempty"`
	// SaveEvery is the number of steps between savings of the training state; 0 is each epoch.
	SaveEvery int `toml:"save_every"`
	// LogEvery is the number of steps between lines of log.jsonl.
	LogEvery int `toml:"log_every"`
}

// Probe measures robust accuracy on the held-out split after each epoch.
type Probe struct {
	N      int                            `toml:"n"`
	Attack configs.Choice[attacks.Attack] `toml:"attack"`
}

// Distill is defensive distillation (Papernot et al. 2016): a teacher is trained with the same
// defence at a temperature, the student on the teacher's outputs at it; deployed at 1.
type Distill struct {
	Temperature float64 `toml:"temperature"`
	// Teacher is a checkpoint; "" trains one.
	Teacher string `toml:"teacher"`
}

// Evaluation is what the tables measure.
type Evaluation struct {
	// Claim is the threat model of the tables, where it is not that of the training attack.
	Claim
	// N is the number of test images, evenly spaced; 0 is all.
	N     int `toml:"n"`
	Batch int `toml:"batch"`
	// Protocol adds attacks and checks to Attacks.
	Protocol Protocol `toml:"protocol"`
	// Attacks are the rows between clean and worst case.
	Attacks []configs.Choice[attacks.Attack] `toml:"attack"`
	// CurveEps and CurveN say at which epsilons, and on how many images, accuracy is drawn.
	CurveEps []configs.Number `toml:"curve_eps"`
	CurveN   int              `toml:"curve_n"`
	// Draws is the number of draws that each gradient is taken over where transformations draw
	// random numbers (EOT).
	Draws int `toml:"eot_samples"`

	named func(path string, keys ...string) bool // by the file and -set
}

// Defaults implements configs.Defaulter.
func (d *Distill) Defaults() { d.Temperature = 20 }

// Validate reports a temperature that distils nothing.
func (d Distill) Validate() error {
	if !(d.Temperature > 0) {
		return registry.Errorf("temperature", "%v must be above 0", d.Temperature)
	}
	return fileExists("teacher", d.Teacher)
}

// Validate reports a stage that cannot run.
func (s Stage) Validate() error {
	for _, k := range []struct {
		key string
		n   int
	}{{"epochs", s.Epochs}, {"steps", s.Steps}} {
		if k.n < 0 {
			return registry.Errorf(k.key, "%d must not be negative", k.n)
		}
	}
	if s.Epochs > 0 && s.Steps > 0 {
		return registry.Errorf("steps", "epochs = %d is set too: set one of them to 0", s.Epochs)
	}
	if s.Batch < 1 {
		return registry.Errorf("batch", "%d must be at least 1", s.Batch)
	}
	return nil
}

// Validate reports what the stage that hardens cannot do.
func (t Training) Validate() error {
	if t.Start != "baseline" && t.Start != "scratch" {
		return registry.Errorf("start", `%q: use "baseline" (the warm-up's weights) or "scratch" (fresh ones)`, t.Start)
	}
	if err := t.Stage.Validate(); err != nil {
		return err
	}
	if t.Epochs+t.Steps == 0 {
		return registry.Errorf("epochs", "set epochs or steps above 0")
	}
	if err := t.checkTuning(); err != nil {
		return err
	}
	if err := t.checkBN(); err != nil {
		return err
	}
	if t.CheckpointSegments < 0 {
		return registry.Errorf("checkpoint_segments", "%d must not be negative (0 and 1 keep all activations)", t.CheckpointSegments)
	}
	if t.SaveEvery < 0 || t.LogEvery < 1 {
		return registry.Errorf("log_every", "log_every must be at least 1 and save_every at least 0")
	}
	return nil
}

// Validate reports counts that cannot be.
func (e Evaluation) Validate() error {
	if err := e.Protocol.Validate(); err != nil {
		return err
	}
	if e.N < 0 {
		return registry.Errorf("n", "%d must not be negative (0 means all test images)", e.N)
	}
	if e.Batch < 1 {
		return registry.Errorf("batch", "%d must be at least 1", e.Batch)
	}
	if e.CurveN < 1 {
		return registry.Errorf("curve_n", "%d must be at least 1", e.CurveN)
	}
	if e.Draws < 2 {
		return registry.Errorf("eot_samples", "%d must be at least 2: one draw is no expectation", e.Draws)
	}
	last := 0.0
	for _, v := range e.CurveEps {
		if !(float64(v) > last) {
			return registry.Errorf("curve_eps", "%v: epsilons must be above 0 and ascend", float64(v))
		}
		last = float64(v)
	}
	return nil
}

// Validate reports parts that do not go together.
func (c Config) Validate() error {
	if err := c.Precision.Validate(); err != nil {
		return registry.Errorf("precision", "%w", err)
	}
	if c.Data.HeldOut < 1 {
		return registry.Errorf("data.held_out", "%d: the best weights are chosen on held-out training images, at least 1 is needed", c.Data.HeldOut)
	}
	if c.Data.Limit < 0 {
		return registry.Errorf("data.limit", "%d must not be negative (0 means no limit)", c.Data.Limit)
	}
	if c.Probe.N < 1 || c.Probe.N > c.Data.HeldOut {
		return registry.Errorf("probe.n", "%d must lie between 1 and data.held_out = %d", c.Probe.N, c.Data.HeldOut)
	}
	if c.Init == "" && c.Warmup.Epochs+c.Warmup.Steps == 0 {
		return registry.Errorf("warmup.epochs", "a warm-up is needed (it is the undefended network of the tables), or init = \"FILE\"")
	}
	if err := c.checkTeaching(); err != nil {
		return err
	}
	if err := c.checkMembers(); err != nil {
		return err
	}
	if err := c.checkTransforms(); err != nil {
		return err
	}
	if err := c.checkJoint(); err != nil {
		return err
	}
	if err := c.checkSeparate(); err != nil {
		return err
	}
	if !c.Ensemble.named() { // those of other configs are not known yet
		if err := c.checkSources(); err != nil {
			return err
		}
	}
	return fileExists("init", c.Init)
}

// reason leaves the path out, which the message names already.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func fileExists(key, path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = fmt.Errorf("is a folder")
	}
	if err != nil {
		return registry.Errorf(key, "checkpoint %q cannot be read: %w", path, reason(err))
	}
	return nil
}

// UsageError is a mistake in a config or in how a command was called.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the mistake.
func (e *UsageError) Unwrap() error { return e.Err }

// Load finds and reads a config; set holds "key=value" overrides.
func Load(name string, set []string) (*Config, error) {
	file, err := configs.Find(name)
	if err != nil {
		return nil, &UsageError{err}
	}
	if isComparison(file) {
		return nil, &UsageError{fmt.Errorf("%s compares other configs: it is for the command \"train compare\"", file.Path)}
	}
	c := defaultConfig()
	c.Name = file.Name
	if err := configs.Decode(file, set, c); err != nil {
		return nil, &UsageError{err}
	}
	if err := c.resolveMembers(); err != nil {
		return nil, err
	}
	c.Eval.named = configs.Named(file, set)
	c.Probe.Attack.Value = under(c.threat(), c.Probe.Attack.Value, "probe.attack", c.Eval.named)
	c.Eval.settle(c.threat())
	if err := errors.Join(c.checkMembers(), c.checkJoint(), c.checkSeparate(), c.checkSources()); err != nil {
		return nil, &UsageError{fmt.Errorf("%s: %w", file.Path, err)}
	}
	return c, nil
}

// choose returns a registered thing's Choice; the names below are registered by our own packages.
func choose[T any](name string) configs.Choice[T] {
	c, err := configs.Choose[T](name)
	if err != nil {
		panic(err)
	}
	return c
}

// defaultConfig is Madry's set-up on MNIST at a length for a laptop.
func defaultConfig() *Config {
	stage := Stage{Epochs: 1, Batch: 128, Optimizer: choose[nn.Optimizer]("adam"), Schedule: choose[nn.Schedule]("constant")}
	c := &Config{
		Seed:   1,
		Data:   Data{Source: choose[data.Source]("mnist"), HeldOut: 1000},
		Model:  choose[nn.Architecture]("madry_cnn"),
		Warmup: stage,
		Train: Training{Stage: stage, Start: "baseline", AttackBN: "eval", DeployBN: nn.AdversarialRows, EpsilonSchedule: choose[nn.Schedule]("constant"),
			StepsSchedule: choose[nn.Schedule]("constant"), LogEvery: 50},
		Defense: choose[defenses.Defense]("pgd_at"),
		Probe:   Probe{N: 500, Attack: choose[attacks.Attack]("pgd")},
		Eval:    Evaluation{Protocol: ProtocolQuick, N: 1000, Batch: 256, CurveN: 200, Draws: 20},
	}
	c.Train.Optimizer = choose[nn.Optimizer]("adam") // its own, for options are set in place
	c.Train.Schedule = choose[nn.Schedule]("constant")
	c.Probe.Attack.Value.(*attacks.PGD).Steps = 20
	c.Probe.Attack.Value.(*attacks.PGD).StepSize = 0.02
	c.Eval.Attacks = []configs.Choice[attacks.Attack]{choose[attacks.Attack]("noise"), choose[attacks.Attack]("fgsm")}
	for _, p := range []struct{ steps, restarts int }{{40, 1}, {100, 1}, {100, 10}} {
		a := choose[attacks.Attack]("pgd")
		a.Value.(*attacks.PGD).Steps, a.Value.(*attacks.PGD).Runs = p.steps, p.restarts
		c.Eval.Attacks = append(c.Eval.Attacks, a)
	}
	for i := 1; i <= 8; i++ {
		c.Eval.CurveEps = append(c.Eval.CurveEps, configs.Number(math.Round(5*float64(i))/100))
	}
	return c
}

// steps is the length of a stage on n examples.
func (s Stage) steps(n int) int {
	if s.Steps > 0 {
		return s.Steps
	}
	return s.Epochs * (n / s.Batch)
}
