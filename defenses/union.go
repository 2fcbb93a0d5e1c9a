package defenses

import (
	"fmt"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// Union trains against several threat models at once, such as Linf and L2 (Tramèr and Boneh 2019,
// section 2): on the strongest of the attacks' examples for each image, or on all of them alike.
type Union struct {
	// Combine is "max", the example with the highest loss, or "average", the loss over all examples.
	Combine string                           `toml:"combine"`
	With    []configs.Choice[attacks.Attack] `toml:"attack"`
}

// Validate implements Defense.
func (d *Union) Validate() error {
	if d.Combine != "max" && d.Combine != "average" {
		return registry.Errorf("combine", `unknown combination %q: use "max" or "average"`, d.Combine)
	}
	if len(d.With) < 2 {
		return registry.Errorf("attack", "a union has at least two [[defense.attack]] tables, not %d", len(d.With))
	}
	for _, a := range d.With {
		if err := validAttack(a); err != nil {
			return err
		}
	}
	return nil
}

// Share implements Defense.
func (d *Union) Share() float64 { return 1 }

// Attack implements Defense: the first of the union's.
func (d *Union) Attack() attacks.Attack { return d.With[0].Value }

// Attacks implements Many.
func (d *Union) Attacks() (list []attacks.Attack) {
	for _, a := range d.With {
		list = append(list, a.Value)
	}
	return list
}

// Rows implements Wide.
func (d *Union) Rows(batch int) int {
	if d.Combine == "average" {
		return len(d.With) * batch
	}
	return batch
}

// OwnLoss implements OwnLoss.
func (d *Union) OwnLoss() bool { return true }

// Step implements Defense.
func (d *Union) Step(s *Session, b *data.Batch) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	n, size := len(b.Labels), s.Model.Input().Size()
	var counts device.Counts
	found := make([][]float32, len(d.With))
	for i, a := range d.With {
		c, err := s.perturb(a.Value, b, n, nil)
		if err != nil {
			return Metrics{}, err
		}
		counts.Gradients, counts.Zero, counts.NonFinite = counts.Gradients+c.Gradients, counts.Zero+c.Zero, counts.NonFinite+c.NonFinite
		found[i] = make([]float32, n*size)
		s.adv.Download(found[i], 0)
	}
	if d.Combine == "max" {
		worst, err := s.strongest(b, found)
		if err != nil {
			return Metrics{}, err
		}
		found = [][]float32{worst}
	}
	s.labels = s.labels[:0]
	for i, rows := range found {
		s.adv.Upload(rows, i*n*size)
		s.labels = append(s.labels, b.Labels...)
	}
	rows := n * len(found)
	m, err := s.run(&device.Call{Rows: rows, X: s.adv, Labels: s.labels, Loss: nn.CrossEntropy{}, Scale: 1 / float32(rows)}, rows)
	return m.count(counts), err
}

// strongest picks the version of each example with the highest cross-entropy, the first of equals.
func (s *Session) strongest(b *data.Batch, found [][]float32) ([]float32, error) {
	n, size := len(b.Labels), s.Model.Input().Size()
	k := s.Model.Classes()
	worst, best, grad := make([]float32, n*size), make([]float32, n), make([]float32, n*k)
	for i, rows := range found {
		s.adv.Upload(rows, 0)
		if err := s.answer(n, s.adv, s.logits); err != nil {
			return nil, fmt.Errorf("the union's strongest: %w", err)
		}
		s.logits.Download(s.hostLogits[:n*k], 0)
		nn.CrossEntropy{}.Rows(&device.Block{Rows: n, Classes: k, Logits: s.hostLogits, Labels: b.Labels, Value: s.host, Grad: grad})
		for r, v := range s.host[:n] {
			if i == 0 || v > best[r] {
				best[r] = v
				copy(worst[r*size:(r+1)*size], rows[r*size:(r+1)*size])
			}
		}
	}
	return worst, nil
}

func init() {
	registry.Register("union", func() Defense {
		return &Union{Combine: "max", With: []configs.Choice[attacks.Attack]{
			chosen("pgd", lastIterate),
			chosen("pgd", func(a *attacks.PGD) {
				lastIterate(a)
				a.Norm, a.Epsilon, a.StepSize = attacks.L2, 2, 0.1
			}),
		}}
	})
}
