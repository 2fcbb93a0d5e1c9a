package defenses

import (
	"errors"
	"fmt"
	"math"

	"rampart/attacks"
	"rampart/configs"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// Denoise trains the denoiser that a network begins with (nn.Denoiser) together with the network, on top of
// another defence: to the base's loss, whose gradient reaches the denoiser too, it adds Weight times the
// mean squared difference of what the denoiser makes of a disturbed image to the clean one (Vincent et al.
// 2008; Gu and Rigazio 2015, section 3). Disturbed are all images by Gaussian noise and, where the base
// attacks, those that its attack has made, each kind with the same share.
type Denoise struct {
	Weight configs.Number `toml:"weight"`
	// Sigma is the noise's standard deviation in pixels; the result is cut at [0,1].
	Sigma configs.Number          `toml:"sigma"`
	Base  configs.Choice[Defense] `toml:"base"`
}

// Validate implements Defense.
func (d *Denoise) Validate() error {
	if err := positive("weight", float64(d.Weight)); err != nil {
		return err
	}
	if err := positive("sigma", float64(d.Sigma)); err != nil {
		return err
	}
	if !d.Base.Set() {
		return registry.Errorf("base", "a [defense.base] table is needed: the defence by which the whole network is trained")
	}
	if _, twice := as[*Denoise](d.Base.Value); twice {
		return registry.Errorf("base.name", "there is one denoiser to train: choose another defence than \"denoise\"")
	}
	if TrainsMembers(d.Base.Value) {
		return registry.Errorf("base.name", "%q trains several networks at once, each with a denoiser of its own: choose another defence", d.Base.Name)
	}
	return nil
}

// Unwrap returns the defence below.
func (d *Denoise) Unwrap() Defense { return d.Base.Value }

// Share implements Defense.
func (d *Denoise) Share() float64 { return d.Base.Value.Share() }

// Attack implements Defense.
func (d *Denoise) Attack() attacks.Attack { return d.Base.Value.Attack() }

// Suits implements Choosy.
func (d *Denoise) Suits(m *nn.Model) error {
	if m.Spec.Denoiser == nil {
		return errors.New("the network has no denoiser: add a table [input.denoiser]")
	}
	return Suits(d.Base.Value, m)
}

// Step implements Defense.
func (d *Denoise) Step(s *Session, b *data.Batch) (Metrics, error) {
	m, err := d.Base.Value.Step(s, b)
	if err != nil {
		return m, err
	}
	if s.denoiser == nil {
		if s.denoiser, err = nn.NewReconstruction(s.Model, s.rows); err != nil {
			return m, err
		}
		s.disturbed = s.Model.New(s.rows * s.Model.Input().Size())
	}
	kinds := 1
	if d.Attack() != nil {
		kinds = 2
	}
	share := float64(d.Weight) / float64(kinds)
	s.disturbed.Upload(s.noisy(b, float32(d.Sigma)), 0)
	for kind := range kinds {
		x := s.disturbed
		if kind == 1 {
			x = s.adv
		}
		sum, err := s.reconstruct(b, x, share)
		if err != nil {
			return m, fmt.Errorf("denoise: %w", err)
		}
		m.Loss += share * sum * float64(m.Rows) / float64(len(b.Labels))
	}
	return m, nil
}

// ownDraw tells this noise from other draws of the same example and step.
const ownDraw = math.MaxUint32

// noisy is the batch with Gaussian noise.
func (s *Session) noisy(b *data.Batch, sigma float32) []float32 {
	size := s.Model.Input().Size()
	out := make([]float32, len(b.X))
	for r := range b.Labels {
		row := out[r*size:][:size]
		s.Noise.Normal(row, 0, sigma, b.Index[r], uint32(s.Step), ownDraw)
		for i, v := range b.X[r*size:][:size] {
			row[i] = min(max(row[i]+v, 0), 1)
		}
	}
	return out
}

// reconstruct adds weight times the gradient of the mean over the batch of what the denoiser misses of the
// clean images when it is given x, and returns the sum of that.
func (s *Session) reconstruct(b *data.Batch, x device.Tensor, weight float64) (sum float64, err error) {
	n := len(b.Labels)
	s.x.Upload(b.X, 0)
	c := device.Call{Rows: n, X: x, Soft: s.x, Value: s.value, Scale: float32(weight / float64(n))}
	if err := s.denoiser.AddGrad(&c); err != nil {
		return 0, err
	}
	s.value.Download(s.host[:n], 0)
	for _, v := range s.host[:n] {
		sum += float64(v)
	}
	return sum, nil
}

func init() {
	registry.Register("denoise", func() Defense {
		base, err := configs.Choose[Defense]("pgd_at")
		if err != nil {
			panic(err) // registered above
		}
		return &Denoise{Weight: 1, Sigma: 0.2, Base: base}
	})
}
