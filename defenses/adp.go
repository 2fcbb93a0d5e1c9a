package defenses

import (
	"errors"
	"math"
	"slices"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// ADP trains the members of an ensemble jointly, on clean images, and pulls their predictions for
// the wrong classes apart (adaptive diversity promoting, Pang et al. 2019): what fools one member
// should not fool the others. Tramèr et al. (2020, section 5.5) broke it with more steps.
type ADP struct {
	// Alpha weights the entropy of the mean prediction, Beta the log of the ensemble's diversity; the
	// paper takes 2 and 0.5.
	Alpha configs.Number `toml:"alpha"`
	Beta  configs.Number `toml:"beta"`
}

// Validate implements Defense.
func (d *ADP) Validate() error {
	if !(d.Alpha >= 0) {
		return registry.Errorf("alpha", "%v must not be negative", float64(d.Alpha))
	}
	if !(d.Beta >= 0) {
		return registry.Errorf("beta", "%v must not be negative", float64(d.Beta))
	}
	return nil
}

// Share implements Defense.
func (d *ADP) Share() float64 { return 0 }

// Attack implements Defense.
func (d *ADP) Attack() attacks.Attack { return nil }

// OwnLoss implements OwnLoss.
func (d *ADP) OwnLoss() bool { return true }

// Together implements Joint.
func (d *ADP) Together() {}

// Step implements Defense. The session's network is a Stacked ensemble.
func (d *ADP) Step(s *Session, b *data.Batch) (Metrics, error) {
	members := len(s.Model.Spec.Members)
	if members == 0 || s.Model.Spec.Combine != nn.Stacked {
		return Metrics{}, errors.New("adaptive diversity promoting trains an ensemble")
	}
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	rows := len(b.Labels)
	m, err := s.run(&device.Call{Rows: rows, X: s.x, Labels: b.Labels, Scale: 1 / float32(rows),
		Loss: nn.ADP{Members: members, Alpha: float32(d.Alpha), Beta: float32(d.Beta)}}, 0)
	if err != nil {
		return m, err
	}
	m.CleanCorrect = 0
	for r, y := range b.Labels {
		if meanPrediction(s.hostLogits[r*s.Model.Classes():][:s.Model.Classes()], members) == int(y) {
			m.CleanCorrect++
		}
	}
	return m, nil
}

// meanPrediction is the class of the largest mean probability over stacked members.
func meanPrediction(logits []float32, members int) int {
	classes := len(logits) / members
	mean := make([]float32, classes)
	for m := range members {
		z := logits[m*classes:][:classes]
		top, sum := slices.Max(z), 0.0
		for _, v := range z {
			sum += math.Exp(float64(v - top))
		}
		for c, v := range z {
			mean[c] += float32(math.Exp(float64(v-top)) / sum)
		}
	}
	return device.Argmax(mean)
}

func init() {
	registry.Register("adp", func() Defense { return &ADP{Alpha: 2, Beta: 0.5} })
}
