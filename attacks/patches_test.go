package attacks_test

import (
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/checkpoints"
	"rampart/data"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// forgetful hides what a victim can do beyond an attacks.Victim.
type forgetful struct{ attacks.Victim }

// narrow is a victim that remembers few images at a time.
type narrow struct {
	attacks.Victim
	places int
}

func (n narrow) Patches(rows int) device.Patches {
	return n.Victim.(attacks.Patching).Patches(min(rows, n.places))
}

// TestSquarePatches: what Square finds does not depend on whether the victim recomputes whole images or
// what a square has changed, nor on how many images it remembers.
func TestSquarePatches(t *testing.T) {
	_, test, err := (&data.MNIST{}).Load()
	if err != nil {
		t.Fatal(err)
	}
	const n = 24
	d := test.Slice(0, n)
	v, err := checkpoints.LoadOn("testdata/networks/substitute_trades.safetensors", cpu.New(2), n)
	if err != nil {
		t.Fatal(err)
	}
	if p := v.Model.Patches(n); p == nil || p.Places() != n || !p.Pays(3, 3) || p.Pays(28, 28) {
		t.Fatal("the network remembers nothing, or always")
	}
	for _, options := range []string{"n_queries = 250\neps = 0.35", "n_queries = 60\np_init = 0.02\nresc_schedule = false\neps = 0.35\nloss = \"cross_entropy\"", "n_queries = 60\nnorm = \"l2\"\neps = 6"} {
		a, err := decoded("square", options)
		if err != nil {
			t.Fatal(err)
		}
		run := func(v attacks.Victim) *attacks.Result {
			res, err := attacks.Run(v, a, d, rng.New(3, "patches"), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		want := run(forgetful{v.Model})
		if broken := n - want.Correct(d); broken < 2 || broken > n-2 {
			t.Errorf("%q breaks %d of %d: it must break some, and leave some", options, broken, n)
		}
		for name, v := range map[string]attacks.Victim{"all": v.Model, "7 at a time": narrow{v.Model, 7}} {
			got := run(v)
			if !slices.Equal(got.Adv, want.Adv) || got.Counts != want.Counts {
				t.Errorf("%q, %s remembered: other images or counts", options, name)
			}
		}
	}
}
