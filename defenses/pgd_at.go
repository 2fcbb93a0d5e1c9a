package defenses

import (
	"math"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// PGDAT is adversarial training (Madry et al. 2018, section 2), mixed with clean images where
// Adversarial is below 1 (Goodfellow et al. 2015 and Kurakin et al. 2017 mix; Madry et al. do not).
type PGDAT struct {
	// Adversarial is the weight of adversarial examples.
	Adversarial configs.Number `toml:"adversarial"`
	// Mix is "share": the first share of each minibatch is replaced by examples that the attack makes
	// against the network as it is, the rest stays clean; or "loss": all of the minibatch is there
	// twice, attacked and clean, and the share weights the two losses.
	Mix string `toml:"mix"`
	// OnlyCorrect leaves examples alone that are misclassified already.
	OnlyCorrect bool                           `toml:"only_correct"`
	With        configs.Choice[attacks.Attack] `toml:"attack"`
	Smoothing
}

// Validate implements Defense.
func (d *PGDAT) Validate() error {
	if !(d.Adversarial > 0 && d.Adversarial <= 1) {
		return registry.Errorf("adversarial", `%v must be a share above 0 and at most 1 (for none, choose the defence "natural")`, float64(d.Adversarial))
	}
	if d.Mix != "share" && d.Mix != "loss" {
		return registry.Errorf("mix", `unknown mix %q: use "share" (of each minibatch) or "loss" (a weighted sum over all of it)`, d.Mix)
	}
	if err := d.Smoothing.Validate(); err != nil {
		return err
	}
	return validAttack(d.With)
}

// Share implements Defense.
func (d *PGDAT) Share() float64 {
	if d.weighted() {
		return 1 // every example is attacked
	}
	return float64(d.Adversarial)
}

// Attack implements Defense.
func (d *PGDAT) Attack() attacks.Attack { return d.With.Value }

// Rows implements Wide.
func (d *PGDAT) Rows(batch int) int {
	if d.weighted() {
		return 2 * batch
	}
	return batch
}

// OwnLoss implements OwnLoss.
func (d *PGDAT) OwnLoss() bool { return d.weighted() || d.Label > 0 }

// weighted: without clean images both mixes are the same, and one copy is enough.
func (d *PGDAT) weighted() bool { return d.Mix == "loss" && d.Adversarial < 1 }

// Step implements Defense.
func (d *PGDAT) Step(s *Session, b *data.Batch) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	rows := int(math.Round(d.Share() * float64(len(b.Labels))))
	perturb := s.perturb
	if d.OnlyCorrect {
		perturb = s.perturbCorrect
	}
	counts, err := perturb(d.With.Value, b, rows, nil)
	if err != nil {
		return Metrics{}, err
	}
	var m Metrics
	if d.weighted() {
		m, err = s.updatePairs(b, nn.Mixed{Adversarial: float32(d.Adversarial), Smoothing: float32(d.Label)}, false)
	} else {
		m, err = s.update(s.adv, b, rows, d.Smoothing)
	}
	return m.count(counts), err
}

// perturbCorrect is perturb on those of the first n examples that are classified right.
func (s *Session) perturbCorrect(a attacks.Attack, b *data.Batch, n int, bend bend) (device.Counts, error) {
	if n == 0 {
		return s.perturb(a, b, 0, bend)
	}
	size, k := s.Model.Input().Size(), s.Model.Classes()
	if err := s.answer(n, s.x, s.logits); err != nil {
		return device.Counts{}, err
	}
	s.logits.Download(s.hostLogits[:n*k], 0)
	some, from := &data.Batch{}, []int(nil)
	if b.Mix != nil {
		some.Mix = &data.Mix{}
	}
	for r := range n {
		if device.Argmax(s.hostLogits[r*k:(r+1)*k]) == int(b.Labels[r]) {
			from = append(from, r)
			some.X = append(some.X, b.X[r*size:(r+1)*size]...)
			some.Labels, some.Index = append(some.Labels, b.Labels[r]), append(some.Index, b.Index[r])
			if b.Mix != nil {
				some.Mix.Labels, some.Mix.Weight = append(some.Mix.Labels, b.Mix.Labels[r]), append(some.Mix.Weight, b.Mix.Weight[r])
			}
		}
	}
	s.x.Upload(some.X, 0)
	counts, err := s.perturb(a, some, len(from), bend)
	if err != nil {
		return counts, err
	}
	s.adv.Download(some.X, 0)
	s.x.Upload(b.X, 0)
	s.adv.Upload(b.X, 0)
	for i, r := range from {
		s.adv.Upload(some.X[i*size:(i+1)*size], r*size)
	}
	return counts, nil
}

func init() {
	registry.Register("pgd_at", func() Defense {
		return &PGDAT{Adversarial: 0.5, Mix: "share", With: chosen("pgd", lastIterate)}
	})
}

// lastIterate is how PGD is trained against, from Madry et al. on.
func lastIterate(a *attacks.PGD) { a.EarlyStop, a.KeepBest = false, false }

// fromNear is PGD as TRADES and those after it use it.
func fromNear(a *attacks.PGD) {
	lastIterate(a)
	a.RandomStart = false // the defence starts at x + 0.001 N(0,1)
}
