package attacks_test

import (
	"math"
	"testing"

	"rampart/attacks"
)

// TestRFGSM: on a linear network, whose gradient is the same everywhere, a pixel has moved by eps
// where the random step led the right way, else by eps - 2 alpha.
func TestRFGSM(t *testing.T) {
	l := newLinear(t)
	clean := imagesOf(l.d)
	for _, c := range []struct {
		options    string
		eps, alpha float64
	}{{"eps = 0.1", 0.1, 0.05}, {"eps = 0.1\nalpha = 0.02", 0.1, 0.02}} {
		a, err := decoded("rfgsm", c.options)
		if err != nil {
			t.Fatal(err)
		}
		res, far := run(t, l.m, a, l.d), 0
		for i, v := range res.Adv {
			up := math.Copysign(1, l.w[i%pixels])
			if l.d.Label(i/pixels) == 1 {
				up = -up
			}
			switch move := up * (float64(v) - float64(clean[i])); {
			case math.Abs(move-c.eps) < 1e-6:
				far++
			case math.Abs(move-(c.eps-2*c.alpha)) > 1e-6:
				t.Fatalf("%q: pixel %d has moved by %v", c.options, i, move)
			}
		}
		// Five standard deviations of fair coins.
		if n := float64(len(res.Adv)); math.Abs(float64(far)-n/2) > 2.5*math.Sqrt(n) {
			t.Errorf("%q: %d of %v pixels went the right way first", c.options, far, n)
		}
		if half := a.At(c.eps / 2).(*attacks.RFGSM); math.Abs(float64(half.Alpha)-float64(a.(*attacks.RFGSM).Alpha)/2) > 1e-12 {
			t.Errorf("At leaves alpha at %v", half.Alpha)
		}
	}
}
