package defenses

import (
	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// Gaussian trains on images with Gaussian noise, which is not cut at [0,1], for a network that
// randomised smoothing deploys (Cohen et al. 2019, section 3.3). It may take several draws of noise of
// each image in one step.
type Gaussian struct {
	Sigma configs.Number `toml:"sigma"` // standard deviation, in pixels of [0,1]
	Draws int            `toml:"draws"`
	Smoothing
}

// Validate implements Defense.
func (d *Gaussian) Validate() error {
	if err := positive("sigma", float64(d.Sigma)); err != nil {
		return err
	}
	if d.Draws < 1 {
		return registry.Errorf("draws", "%d must be at least 1", d.Draws)
	}
	return d.Smoothing.Validate()
}

// Share implements Defense: noise is no attack.
func (d *Gaussian) Share() float64 { return 0 }

// Attack implements Defense.
func (d *Gaussian) Attack() attacks.Attack { return nil }

// Rows implements Wide.
func (d *Gaussian) Rows(batch int) int { return d.Draws * batch }

// OwnLoss implements OwnLoss: a teacher has no outputs for the noisy images.
func (d *Gaussian) OwnLoss() bool { return true }

// Step implements Defense.
func (d *Gaussian) Step(s *Session, b *data.Batch) (Metrics, error) {
	if err := s.upload(b); err != nil {
		return Metrics{}, err
	}
	n, size := len(b.Labels), s.Model.Input().Size()
	noisy, noise := make([]float32, d.Draws*n*size), make([]float32, size)
	s.labels = s.labels[:0]
	for draw := range d.Draws {
		s.labels = append(s.labels, b.Labels...)
		for r := range n {
			s.Noise.Normal(noise, 0, float32(d.Sigma), b.Index[r], uint32(s.Step), uint32(draw))
			row, image := noisy[(draw*n+r)*size:][:size], b.X[r*size:][:size]
			for i, v := range noise {
				row[i] = image[i] + v
			}
		}
	}
	s.adv.Upload(noisy, 0)
	m, err := s.measure(&device.Call{Rows: d.Draws * n, X: s.adv, Labels: s.labels, Scale: 1 / float32(d.Draws*n),
		Loss: nn.CrossEntropy{Smoothing: float32(d.Label)}}, 0, false)
	// Each image counts once: Loss is the mean over its draws.
	m.Rows, m.Loss = n, m.Loss/float64(d.Draws)
	return m, err
}

func init() {
	registry.Register("gaussian", func() Defense { return &Gaussian{Sigma: 0.25, Draws: 1} })
}
