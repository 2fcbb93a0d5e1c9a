package attacks_test

import (
	"testing"

	"rampart/attacks"
)

// TestDropOut: examples that are done cost nothing more.
func TestDropOut(t *testing.T) {
	d, m := bars(t, 40, 3), trained(t, 2, 16)
	for _, name := range []string{"cw", "ead", "deepfool", "hopskipjump"} {
		a, err := decoded(name, quick[name])
		if err != nil {
			t.Fatal(err)
		}
		// What is misclassified as it is takes no gradient and lies at distance 0.
		wrong := *d
		wrong.Labels = make([]int32, d.Len())
		for i := range wrong.Labels {
			wrong.Labels[i] = (d.Label(i) + 1) % classes
		}
		clean, err := attacks.Clean(m, &wrong)
		if err != nil {
			t.Fatal(err)
		}
		if n := clean.Correct(&wrong); n > 0 {
			t.Fatalf("%d right with wrong labels", n)
		}
		res := run(t, m, a, &wrong)
		if res.Counts.Gradients > 0 || res.Counts.Forwards > d.Len() {
			t.Errorf("%s: %+v for examples that are misclassified", name, res.Counts)
		}
		for i, distance := range res.Distance {
			if distance != 0 {
				t.Errorf("%s: misclassified example %d at distance %v", name, i, distance)
			}
		}
	}
	full, err := decoded("cw", "binary_search_steps = 3\nsteps = 200\ninitial_const = 1\nabort_early = false")
	if err != nil {
		t.Fatal(err)
	}
	early, err := decoded("cw", "binary_search_steps = 3\nsteps = 200\ninitial_const = 1")
	if err != nil {
		t.Fatal(err)
	}
	all, some := run(t, m, full, d), run(t, m, early, d)
	if some.Counts.Gradients >= all.Counts.Gradients*9/10 {
		t.Errorf("%d gradients with early abort, %d without", some.Counts.Gradients, all.Counts.Gradients)
	}
	mean := func(r *attacks.Result) (sum float64) {
		for _, v := range r.Distance {
			sum += v / float64(d.Len())
		}
		return sum
	}
	if mean(some) > 1.05*mean(all) {
		t.Errorf("mean distance %v with early abort, %v without", mean(some), mean(all))
	}
	t.Logf("%d gradients with early abort, %d without", some.Counts.Gradients, all.Counts.Gradients)
}
