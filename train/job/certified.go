package job

import (
	"rampart/configs"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/nn/registry"
)

// Smoothing certifies the hardened network by randomised smoothing (Cohen et al. 2019).
type Smoothing struct {
	Sigma configs.Number `toml:"sigma"` // of the noise; that of the training, for good results
	// N0 draws choose an image's class, N bound its probability.
	N0    int            `toml:"n0"`
	N     int            `toml:"n"`
	Alpha configs.Number `toml:"alpha"` // probability with which a certificate may be wrong
	// Examples is the number of test images, evenly spaced among those of [eval]; 0 is all of
	// them, as is a number above theirs.
	Examples int `toml:"examples"`
	// Radii, in L2, are the rows of the table.
	Radii []configs.Number `toml:"radii"`
	// Attacked is the number of certified images that PGD on the smoothed network attacks within their
	// radius, with AttackSteps steps, each on the mean of AttackSamples draws.
	Attacked      int `toml:"attacked"`
	AttackSteps   int `toml:"attack_steps"`
	AttackSamples int `toml:"attack_samples"`
	// Batch is the number of draws that the network classifies at once; results do not depend on it.
	Batch int `toml:"batch"`
}

// Defaults implements configs.Defaulter: those of Cohen et al., section 4.
func (s *Smoothing) Defaults() {
	*s = Smoothing{Sigma: 0.25, N0: 100, N: 100000, Alpha: 0.001, Examples: 500, Radii: []configs.Number{0, 0.25, 0.5, 0.75},
		Attacked: 20, AttackSteps: 20, AttackSamples: 32, Batch: 500}
}

// Validate reports options that certify nothing.
func (s Smoothing) Validate() error {
	if !(s.Sigma > 0) {
		return registry.Errorf("sigma", "%v must be above 0", float64(s.Sigma))
	}
	for _, k := range []struct {
		key      string
		n, least int
	}{{"n0", s.N0, 1}, {"n", s.N, 1}, {"examples", s.Examples, 0}, {"attacked", s.Attacked, 0},
		{"attack_steps", s.AttackSteps, 1}, {"attack_samples", s.AttackSamples, 1}, {"batch", s.Batch, 1}} {
		if k.n < k.least {
			return registry.Errorf(k.key, "%d must be at least %d", k.n, k.least)
		}
	}
	if !(s.Alpha > 0 && s.Alpha < 0.5) {
		return registry.Errorf("alpha", "%v must lie between 0 and 0.5", float64(s.Alpha))
	}
	return ascending("radii", s.Radii, 0)
}

// Verify proves accuracy by bounds, on all test images of [eval].
type Verify struct {
	// Epsilon, in Linf, are the rows of the table.
	Epsilon []configs.Number `toml:"eps"`
	// Bound says how: "ibp" by intervals (Gowal et al. 2019), "crown_ibp" also by linear bounds (Zhang et
	// al. 2020), of which the better one counts for each difference of logits. It takes longer, and fewer
	// networks have it.
	Bound Bound `toml:"bound"`
}

// Bound names a kind of proof.
type Bound string

// The kinds.
const (
	IBP      Bound = "ibp"
	CROWNIBP Bound = "crown_ibp"
)

// proof makes the bounds of a network behind a chain.
func (b Bound) proof(m *nn.Model, behind transform.Chain, rows int) (interface {
	Verified(images []float32, labels []int32, eps float64) ([]bool, error)
}, error) {
	before, err := behind.Bounds(m.Input())
	if err != nil {
		return nil, err
	}
	if b == CROWNIBP {
		c, err := nn.NewCrown(m, rows)
		if err == nil {
			c.Before = before
		}
		return c, err
	}
	p, err := nn.NewBounds(m, rows)
	if err == nil {
		p.Before = before
	}
	return p, err
}

// method is the bound's name in tables, and what is to be said of it.
func (b Bound) method() (name, note string) {
	if b == CROWNIBP {
		return "CROWN-IBP bounds", "CROWN-IBP bounds, each the better one of a linear and an interval bound, hold for every image within the radius, as float32 arithmetic evaluates the network."
	}
	return "interval bounds", "Interval bounds hold for every image within the radius, as float32 arithmetic evaluates the network."
}

// Defaults implements configs.Defaulter.
func (v *Verify) Defaults() { v.Epsilon, v.Bound = []configs.Number{0.1, 0.2, 0.3}, IBP }

// Validate reports what proves nothing.
func (v Verify) Validate() error {
	if v.Bound != IBP && v.Bound != CROWNIBP {
		return registry.Errorf("bound", "unknown bound %q: use %q or %q", string(v.Bound), IBP, CROWNIBP)
	}
	if err := ascending("eps", v.Epsilon, 0); err != nil {
		return err
	}
	if last := v.Epsilon[len(v.Epsilon)-1]; last > 1 {
		return registry.Errorf("eps", "%v is more than the whole range of a pixel in [0,1]", float64(last))
	}
	return nil
}

// ascending reports a list of radii that is empty, does not ascend, or has one below least.
func ascending(key string, list []configs.Number, least configs.Number) error {
	if len(list) == 0 {
		return registry.Errorf(key, "name one radius at least")
	}
	for i, v := range list {
		if !(v >= least) || i > 0 && !(v > list[i-1]) {
			return registry.Errorf(key, "%v: radii must be at least %v and ascend", float64(v), float64(least))
		}
	}
	return nil
}
