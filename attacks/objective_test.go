package attacks_test

import (
	"testing"

	"rampart/attacks"
)

// TestTargetLosses: PGD with a loss that takes label and target brings the target's logit up
// against the label's, whatever the batch.
func TestTargetLosses(t *testing.T) {
	d := bars(t, 60, 4)
	clean := logitsOf(t, trained(t, 2, 32), imagesOf(d))
	for _, loss := range []string{"logit_difference", "targeted_dlr"} {
		for _, rows := range []int{7, 60} {
			m := trained(t, 2, rows)
			a := pgd(t, func(a *attacks.PGD) {
				a.Target, a.Loss, a.RandomStart, a.EarlyStop, a.KeepBest = "next", loss, false, false, false
				a.Epsilon, a.StepSize, a.Steps = 0.1, 0.01, 12
			})
			z := logitsOf(t, m, run(t, m, a, d).Adv)
			for i := range d.Len() {
				y := int(d.Label(i))
				target := (y + 1) % classes
				before, after := clean[i*classes+target]-clean[i*classes+y], z[i*classes+target]-z[i*classes+y]
				if after <= before {
					t.Errorf("%s, %d rows, example %d: target minus label went from %v to %v", loss, rows, i, before, after)
				}
			}
		}
	}
}
