package attacks_test

import (
	"slices"
	"testing"

	"rampart/attacks"
)

// TestMIFGSMStarts: with a random start the first gradient is taken elsewhere in the ball, in each run
// at another point; without one at the image itself.
func TestMIFGSMStarts(t *testing.T) {
	d := bars(t, 8, 2)
	clean := imagesOf(d)
	for _, c := range []struct {
		options string
		runs    int
	}{{"", 1}, {"random_start = true\nrestarts = 3", 3}, {"norm = \"l2\"\neps = 0.8\nrandom_start = true\nrestarts = 2", 2}} {
		a, err := decoded("mifgsm", "steps = 1\nearly_stop = false\n"+c.options)
		if err != nil {
			t.Fatal(err)
		}
		if a.Restarts() != c.runs {
			t.Errorf("%q: %d runs, want %d", c.options, a.Restarts(), c.runs)
		}
		var starts [][]float32
		for restart := range uint32(c.runs) {
			v := &recorder{Model: trained(t, 1, 8)}
			b, x := d.NewBatch(8), v.New(8*pixels)
			d.Fill(b, 0)
			x.Upload(b.X, 0)
			if _, err := a.Perturb(v, &attacks.Batch{X: x, Labels: b.Labels, Index: b.Index}, v.New(8*pixels), attacks.Draw{Stream: noise, Restart: restart}); err != nil {
				t.Fatal(err)
			}
			starts = append(starts, v.gradients[0])
		}
		for k, start := range starts {
			for i := range d.Len() {
				at, eps := start[i*pixels:(i+1)*pixels], float64(a.Threat().Epsilon)
				if far := a.Threat().Norm.Distance(at, clean[i*pixels:(i+1)*pixels]); far > eps*(1+1e-6) || (far > eps/20) != (c.runs > 1) {
					t.Errorf("%q, run %d: example %d begins %v away", c.options, k, i, far)
				}
			}
			if slices.ContainsFunc(starts[:k], func(other []float32) bool { return slices.Equal(other, start) }) {
				t.Errorf("%q: run %d begins where another does", c.options, k)
			}
		}
	}
}
