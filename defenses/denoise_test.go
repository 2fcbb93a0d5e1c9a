package defenses_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/device"
)

// TestDenoise: the gradient is the base's and that of the reconstruction of noisy and of adversarial images.
func TestDenoise(t *testing.T) {
	base, _ := painting(0.5)
	for _, c := range []struct {
		base  defenses.Defense
		kinds int
	}{{&defenses.Natural{}, 1}, {base, 2}} {
		m, b := denoised(t, 2), batch(1)
		alone := step(t, c.base, session(m, 6), b)
		want := gradient(m)
		r, err := nn.NewReconstruction(m, rows)
		if err != nil {
			t.Fatal(err)
		}
		s, noisy, noise := session(m, 6), slices.Clone(b.X), make([]float32, pixels)
		for i := range b.Labels {
			s.Noise.Normal(noise, 0, 0.3, b.Index[i], 6, math.MaxUint32)
			for j, v := range noise {
				noisy[i*pixels+j] = min(max(noisy[i*pixels+j]+v, 0), 1)
			}
		}
		loss := alone.Loss
		for _, x := range [][]float32{noisy, paintedBatch(b, rows/2)}[:c.kinds] {
			call := device.Call{Rows: rows, X: m.New(len(x)), Soft: m.New(len(x)), Value: m.New(rows), Scale: 4 / float32(c.kinds*rows)}
			call.X.Upload(x, 0)
			call.Soft.Upload(b.X, 0)
			zero := byHand(t, m, b.X, b.Labels, nn.CrossEntropy{})
			if err := r.AddGrad(&call); err != nil {
				t.Fatal(err)
			}
			for i, v := range gradient(m) {
				want[i] += v - zero[i]
			}
			values := make([]float32, rows)
			call.Value.Download(values, 0)
			for _, v := range values {
				loss += 4 * float64(v) / float64(c.kinds)
			}
		}
		d := &defenses.Denoise{Weight: 4, Sigma: 0.3, Base: configs.Choice[defenses.Defense]{Name: "base", Value: c.base}}
		got := step(t, d, s, b)
		if far := farthest(gradient(m), want); far > 1e-5 {
			t.Errorf("%d kinds: the gradient is %v from the sum of its parts", c.kinds, far)
		}
		if math.Abs(got.Loss-loss) > 1e-4 || got.Rows != alone.Rows || got.CleanCorrect != alone.CleanCorrect {
			t.Errorf("%d kinds: metrics %+v, want a loss of %v", c.kinds, got, loss)
		}
	}
}

func TestDenoiseOptions(t *testing.T) {
	choice := func(d defenses.Defense) configs.Choice[defenses.Defense] {
		return configs.Choice[defenses.Defense]{Name: "base", Value: d}
	}
	natural := choice(&defenses.Natural{})
	inner := &defenses.Denoise{Weight: 1, Sigma: 1, Base: natural}
	for want, d := range map[string]defenses.Defense{
		"weight":       &defenses.Denoise{Sigma: 1, Base: natural},
		"sigma":        &defenses.Denoise{Weight: 1, Base: natural},
		"base]":        &defenses.Denoise{Weight: 1, Sigma: 1},
		"one denoiser": &defenses.Denoise{Weight: 1, Sigma: 1, Base: choice(inner)},
		"several":      &defenses.Denoise{Weight: 1, Sigma: 1, Base: choice(&defenses.ADP{})},
	} {
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one of %q", d, err, want)
		}
	}
	if err := defenses.Suits(inner, model(t, 1, 1, hidden)); err == nil || !strings.Contains(err.Error(), "[input.denoiser]") {
		t.Errorf("a network without a denoiser: %v", err)
	}
	m := denoised(t, 1)
	if err := defenses.Suits(inner, m); err != nil {
		t.Error(err)
	}
	if a, ok := any(inner).(interface{ Attack() attacks.Attack }); !ok || a.Attack() != nil {
		t.Error("an attack where the base has none")
	}
	crown := &defenses.Denoise{Weight: 1, Sigma: 1, Base: choice(&defenses.CROWNIBP{IBP: defenses.IBP{Epsilon: 0.1}})}
	if err := defenses.Suits(crown, m); err == nil || !strings.Contains(err.Error(), "CROWN-IBP") {
		t.Errorf("the base's bounds: %v", err)
	}
}
