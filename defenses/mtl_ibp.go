package defenses

import (
	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// MTLIBP is the multi-task loss of De Palma et al. (2024, "Expressive Losses for Verified Robustness via
// Convex Combinations", section 4.3): 1-Alpha times the loss of adversarial examples and Alpha times that of
// the worst logits which interval bounds allow. A small Alpha makes a network that is nearly as accurate as
// adversarial training's and whose loss is smooth enough for gradients to tell the truth about it.
// train.eps_schedule scales the epsilon of both.
type MTLIBP struct {
	// Alpha is the weight of the interval bounds.
	Alpha configs.Number `toml:"alpha"`
	// Epsilon is that of the bounds, in Linf.
	Epsilon configs.Number                 `toml:"eps"`
	With    configs.Choice[attacks.Attack] `toml:"attack"`
}

// Validate implements Defense.
func (d *MTLIBP) Validate() error {
	if !(d.Alpha > 0 && d.Alpha < 1) {
		return registry.Errorf("alpha", `%v must lie in (0,1): for 0 choose the defence "pgd_at", for 1 "ibp"`, float64(d.Alpha))
	}
	if err := (attacks.Bound{Norm: attacks.Linf, Epsilon: d.Epsilon}).Validate(); err != nil {
		return err
	}
	return validAttack(d.With)
}

// Share implements Defense.
func (d *MTLIBP) Share() float64 { return 1 }

// Attack implements Defense.
func (d *MTLIBP) Attack() attacks.Attack { return d.With.Value }

// OwnLoss implements OwnLoss.
func (d *MTLIBP) OwnLoss() bool { return true }

// Work implements Worker: bounds take a centre and a half-width, beside the adversarial examples.
func (d *MTLIBP) Work() (attack, update float64) {
	return float64(d.With.Value.Gradients()), 3
}

// certified marks what trains for bounds, for AWP.
func (d *MTLIBP) certified() {}

// Suits implements Choosy.
func (d *MTLIBP) Suits(m *nn.Model) error {
	_, err := nn.NewBounds(m, 1)
	return err
}

// Step implements Defense.
func (d *MTLIBP) Step(s *Session, b *data.Batch) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	n := len(b.Labels)
	counts, err := s.perturb(d.With.Value, b, n, nil)
	if err != nil {
		return Metrics{}, err
	}
	alpha := float64(d.Alpha)
	m, err := s.measure(&device.Call{Rows: n, X: s.adv, Labels: b.Labels, Loss: nn.CrossEntropy{},
		Scale: float32(1-alpha) / float32(n)}, n, false)
	if err != nil {
		return m, err
	}
	loss, err := s.worstCase(b, float64(d.Epsilon)*s.EpsilonScale, alpha/float64(n))
	m.Loss = (1-alpha)*m.Loss + alpha*loss
	return m.count(counts), err
}

func init() {
	registry.Register("mtl_ibp", func() Defense {
		return &MTLIBP{Alpha: 0.01, Epsilon: 0.3, With: chosen("pgd", lastIterate)}
	})
}
