package transform_test

import (
	"slices"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/rng"
)

// TestNaiveDenoiser: the naive attack on a network with a denoiser is the attack on its classifier, by the
// weights of the moment, and the attack itself goes through the denoiser.
func TestNaiveDenoiser(t *testing.T) {
	d := strokes(t)
	bare := network(t, n)
	spec := bare.Spec
	spec.Denoiser = &nn.Denoiser{Channels: 3, Depth: 2}
	m, err := nn.Build(spec, cpu.New(1), n, rng.New(1, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	fill := func(seed uint64) {
		list := m.Weights()
		for i, w := range list {
			if strings.HasPrefix(w.Name, "denoiser.") {
				rng.New(seed, "denoiser").Normal(w.Data, 0, 0.2, uint32(i), 0, 0)
			}
		}
		for _, w := range bare.Weights() {
			copy(list[slices.IndexFunc(list, func(o nn.Weight) bool { return o.Name == w.Name })].Data, w.Data)
		}
		if err := m.SetWeights(list); err != nil {
			t.Fatal(err)
		}
	}
	attack := chosenAttack(t)
	perturbed := func(a attacks.Attack, v attacks.Victim) []float32 {
		b := &attacks.Batch{X: v.New(n * d.Size())}
		x := make([]float32, d.Size())
		for i := range n {
			d.Image(i, x)
			b.X.Upload(x, i*d.Size())
			b.Labels, b.Index = append(b.Labels, d.Label(i)), append(b.Index, d.Index(i))
		}
		adv := v.New(n * d.Size())
		if _, err := a.Perturb(v, b, adv, attacks.Draw{Stream: rng.New(1, "attack")}); err != nil {
			t.Fatal(err)
		}
		out := make([]float32, n*d.Size())
		adv.Download(out, 0)
		return out
	}
	want := perturbed(attack, bare)
	for seed := range uint64(2) {
		fill(seed)
		if got := perturbed(transform.NewNaive(attack), m); !slices.Equal(got, want) {
			t.Error("the naive attack is not that on the classifier")
		}
		if slices.Equal(perturbed(attack, m), want) {
			t.Error("the attack does not go through the denoiser: the test shows nothing")
		}
	}
	halved := bare.Weights()
	for _, w := range halved {
		for i := range w.Data {
			w.Data[i] *= float32(1 - 2*(i%2))
		}
	}
	if err := bare.SetWeights(halved); err != nil {
		t.Fatal(err)
	}
	fill(0)
	if got := perturbed(transform.NewNaive(attack), m); slices.Equal(got, want) || !slices.Equal(got, perturbed(attack, bare)) {
		t.Error("the naive attack is on weights that were replaced")
	}
}

func chosenAttack(t *testing.T) attacks.Attack {
	t.Helper()
	return &attacks.PGD{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 0.1}, Steps: 3, StepSize: 0.05, Runs: 1, Loss: "cross_entropy"}
}
