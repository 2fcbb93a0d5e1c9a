package defenses

import (
	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// Friendly is friendly adversarial training (Zhang et al. 2020, algorithm 1): PGD leaves an example
// tau iterates after the first that is misclassified, so that training meets examples that are just
// wrong, not the worst. Tau rises from Tau to TauFinal in equal parts of the training; the authors
// let it rise from 0 to 2.
type Friendly struct {
	Tau      int                            `toml:"tau"`
	TauFinal int                            `toml:"tau_final"`
	With     configs.Choice[attacks.Attack] `toml:"attack"`
	Smoothing
}

// Validate implements Defense.
func (d *Friendly) Validate() error {
	if d.Tau < 0 {
		return registry.Errorf("tau", "%d must not be negative", d.Tau)
	}
	if d.TauFinal < d.Tau {
		return registry.Errorf("tau_final", "%d is less than tau = %d, and tau only rises", d.TauFinal, d.Tau)
	}
	if err := d.Smoothing.Validate(); err != nil {
		return err
	}
	if err := validAttack(d.With); err != nil {
		return err
	}
	pgd, ok := d.With.Value.(*attacks.PGD)
	if !ok {
		return registry.Errorf("attack.name", `friendly training stops the steps of "pgd", and needs it`)
	}
	if pgd.KeepBest || pgd.EarlyStop {
		return registry.Errorf("attack.early_stop", "friendly training has its own early stop: leave out early_stop and keep_best")
	}
	return nil
}

// Share implements Defense.
func (d *Friendly) Share() float64 { return 1 }

// Attack implements Defense.
func (d *Friendly) Attack() attacks.Attack { return d.With.Value }

// OwnLoss implements OwnLoss.
func (d *Friendly) OwnLoss() bool { return d.Label > 0 }

// Step implements Defense.
func (d *Friendly) Step(s *Session, b *data.Batch) (Metrics, error) {
	tau := min(d.Tau+int(s.Progress*float64(d.TauFinal-d.Tau+1)), d.TauFinal)
	return s.adversarial(d.With.Value, b, func(_ *device.Call, l *device.Loop) { l.EarlyStop, l.Tau = true, tau }, d.Smoothing)
}

func init() {
	registry.Register("friendly", func() Defense { return &Friendly{TauFinal: 2, With: chosen("pgd", lastIterate)} })
}
