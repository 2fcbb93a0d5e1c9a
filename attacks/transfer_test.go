package attacks_test

import (
	"slices"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/nn"
)

// TestTransfer: the examples are those that the attack makes on the source; the victim judges them.
func TestTransfer(t *testing.T) {
	const options = "eps = 0.2\nsteps = 10\nstep_size = 0.04\nrestarts = 2"
	d, victim := bars(t, 60, 5), trained(t, 2, 16)
	source := build(t, spec(30), 2, 7)
	plain, err := decoded("pgd", options)
	if err != nil {
		t.Fatal(err)
	}
	a, err := decoded("transfer", "checkpoint = \"other.safetensors\"\n[attack.attack]\n"+options)
	if err != nil {
		t.Fatal(err)
	}
	s := a.(attacks.Sourced)
	if s.Checkpoint() != "other.safetensors" || a.Label() != "transfer PGD-10 x2" || a.Restarts() != 2 {
		t.Errorf("%s of %q, %d runs", a.Label(), s.Checkpoint(), a.Restarts())
	}
	if _, err := attacks.Run(victim, a, d, noise, never, nil); err == nil || err.Error() != "transfer PGD-10 x2: the network to transfer from is not loaded" {
		t.Errorf("without a source: %v", err)
	}
	s.SetSource(source)
	// On a source that gets nothing right the plain attack's first run counts; so does the transfer's.
	labels := slices.Clone(d.Labels)
	first := a.At(0.2)
	first.(*attacks.Transfer).Attack.Value.(*attacks.PGD).Runs = 1
	plain.(*attacks.PGD).Runs, plain.(*attacks.PGD).EarlyStop = 1, false
	got, want := run(t, victim, first, d), run(t, source, plain, d)
	if !slices.Equal(got.Adv, want.Adv) || got.Counts != want.Counts {
		t.Error("the examples are not those of the source")
	}
	if slices.Equal(got.Prediction, want.Prediction) || !slices.Equal(d.Labels, labels) {
		t.Error("the source has judged them")
	}
	white := run(t, victim, plain, d)
	if white.Correct(d) >= got.Correct(d) {
		t.Errorf("%d right under transfer, %d under the attack itself", got.Correct(d), white.Correct(d))
	}
	// A source that is the victim is no transfer at all.
	s.SetSource(trained(t, 1, 5))
	if same, want := run(t, victim, a, d), run(t, victim, pgd(t, func(p *attacks.PGD) { p.Epsilon, p.Steps, p.StepSize, p.Runs, p.EarlyStop = 0.2, 10, 0.04, 2, false }), d); !slices.Equal(same.Adv, want.Adv) {
		t.Error("from the victim itself the result is another")
	}
	other := spec(8)
	other.Input = nn.Shape{H: 5, W: 5, C: 1}
	s.SetSource(build(t, other, 1, 4))
	if _, err := attacks.Run(victim, a, d, noise, never, nil); err == nil || !strings.Contains(err.Error(), "has inputs of 5x5x1 and 4 classes, the one under attack 6x6x1 and 4: train it on the same data") {
		t.Errorf("another shape: %v", err)
	}
	for _, outer := range []string{"eot", "transfer"} {
		options := "checkpoint = \"other.safetensors\"\n[attack.attack]\nname = \"transfer\"\ncheckpoint = \"other.safetensors\""
		if outer == "eot" {
			options = strings.SplitAfterN(options, "\n", 2)[1]
		}
		if _, err := decoded(outer, options); err == nil || !strings.Contains(err.Error(), `"attack.attack": "transfer" makes its examples on another network`) {
			t.Errorf("%s around transfer: %v", outer, err)
		}
	}
	if _, err := decoded("transfer", ""); err == nil || !strings.Contains(err.Error(), `"attack.checkpoint": missing: name the checkpoint of the network to transfer from`) {
		t.Errorf("no checkpoint: %v", err)
	}
}
