package defenses

import (
	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// ARD is adversarially robust distillation (Goldblum et al. 2020, section 4): the student's output
// for an adversarial example, made against the student, learns to agree with a hardened teacher's
// for the clean image, at a temperature.
type ARD struct {
	// Alpha weights that against the student's clean loss; the paper takes 1.
	Alpha       configs.Number                 `toml:"alpha"`
	Temperature configs.Number                 `toml:"temperature"`
	With        configs.Choice[attacks.Attack] `toml:"attack"`
}

// Validate implements Defense.
func (d *ARD) Validate() error {
	if err := validShare("alpha", float64(d.Alpha)); err != nil {
		return err
	}
	if err := positive("temperature", float64(d.Temperature)); err != nil {
		return err
	}
	return validAttack(d.With)
}

func validShare(key string, v float64) error {
	if !(v > 0 && v <= 1) {
		return registry.Errorf(key, "%v must be above 0 and at most 1", v)
	}
	return nil
}

// Share implements Defense.
func (d *ARD) Share() float64 { return 1 }

// Attack implements Defense.
func (d *ARD) Attack() attacks.Attack { return d.With.Value }

// Rows implements Wide.
func (d *ARD) Rows(batch int) int { return 2 * batch }

// Student implements Student.
func (d *ARD) Student() {}

// OwnLoss implements OwnLoss.
func (d *ARD) OwnLoss() bool { return true }

// Step implements Defense.
func (d *ARD) Step(s *Session, b *data.Batch) (Metrics, error) {
	return s.learn(d.With.Value, b, nn.ARD{Alpha: float32(d.Alpha), Temperature: float32(d.Temperature)}, func(device.Tensor) bend { return nil })
}

// learn is a step of robust distillation; inner bends the attack, given the teacher's logits.
func (s *Session) learn(a attacks.Attack, b *data.Batch, loss device.Tied, inner func(soft device.Tensor) bend) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	if err := s.teach(len(b.Labels)); err != nil {
		return Metrics{}, err
	}
	counts, err := s.perturb(a, b, len(b.Labels), inner(s.soft))
	if err != nil {
		return Metrics{}, err
	}
	m, err := s.updatePairs(b, loss, true)
	return m.count(counts), err
}

// RSLAD is robust soft label distillation (Zi et al. 2021, section 3.3): the teacher's outputs for
// the clean image take the labels' place everywhere, in the attack, too, which ascends the
// divergence from them, from x + 0.001 N(0,1).
type RSLAD struct {
	// Alpha weights the adversarial example against the clean image; the paper takes 5/6.
	Alpha configs.Number                 `toml:"alpha"`
	With  configs.Choice[attacks.Attack] `toml:"attack"`
}

// Validate implements Defense.
func (d *RSLAD) Validate() error {
	if err := validShare("alpha", float64(d.Alpha)); err != nil {
		return err
	}
	if err := validAttack(d.With); err != nil {
		return err
	}
	return validInner(d.With.Value)
}

// Share implements Defense.
func (d *RSLAD) Share() float64 { return 1 }

// Attack implements Defense.
func (d *RSLAD) Attack() attacks.Attack { return d.With.Value }

// Rows implements Wide.
func (d *RSLAD) Rows(batch int) int { return 2 * batch }

// Student implements Student.
func (d *RSLAD) Student() {}

// OwnLoss implements OwnLoss.
func (d *RSLAD) OwnLoss() bool { return true }

// Step implements Defense.
func (d *RSLAD) Step(s *Session, b *data.Batch) (Metrics, error) {
	return s.learn(d.With.Value, b, nn.RSLAD{Alpha: float32(d.Alpha)}, awayFrom)
}

func init() {
	registry.Register("ard", func() Defense {
		return &ARD{Alpha: 1, Temperature: 30, With: chosen("pgd", lastIterate)}
	})
	registry.Register("rslad", func() Defense {
		return &RSLAD{Alpha: configs.Number(5. / 6), With: chosen("pgd", fromNear)}
	})
}
