package attacks_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/data"
)

// TestGaussianNoise: around grey images, with eps so small that the box cuts nothing, what is not
// projected has the normal distribution's moments.
func TestGaussianNoise(t *testing.T) {
	const n = 60
	d, err := data.NewDataset("grey", side, side, 1, []string{"a", "b", "c", "d"}, slices.Repeat([]byte{127}, n*pixels), make([]int32, n))
	if err != nil {
		t.Fatal(err)
	}
	m, grey := build(t, spec(), 1, 16), imagesOf(d)
	for _, c := range []struct {
		norm string
		eps  float64
	}{{"linf", 0.1}, {"l2", 0.5}, {"l1", 2}} {
		a, err := decoded("noise", fmt.Sprintf("distribution = \"gaussian\"\nnorm = %q\neps = %v", c.norm, c.eps))
		if err != nil {
			t.Fatal(err)
		}
		res := run(t, m, a, d)
		inside, mean := 0, 0.0 // pixels in Linf, else examples
		for i := range n {
			adv := res.Adv[i*pixels : (i+1)*pixels]
			if c.norm != "linf" {
				distance := attacks.Norm(c.norm).Distance(adv, grey)
				mean += distance / n
				if distance < c.eps*(1-1e-5) {
					inside++
				}
				continue
			}
			for j, v := range adv {
				if move := math.Abs(float64(v) - float64(grey[j])); move < c.eps*(1-1e-5) {
					inside++
				}
			}
		}
		// Bounds of five standard deviations. In Linf a pixel stays inside with probability .683; in L2
		// and L1 about half of the examples do, and those that do not are projected.
		if c.norm == "linf" {
			if want, bound := 0.6827*n*pixels, 5*math.Sqrt(0.6827*0.3173*n*pixels); math.Abs(float64(inside)-want) > bound {
				t.Errorf("%d pixels of %d lie inside, want %.0f within %.0f", inside, n*pixels, want, bound)
			}
		} else if math.Abs(float64(inside)-n/2.) > 5*math.Sqrt(n)/2 || mean < 0.85*c.eps {
			t.Errorf("%s: %d of %d lie inside, the mean distance is %v", c.norm, inside, n, mean)
		}
	}
}
