package attacks_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/rng"
)

// linear is a network of two classes without a hidden layer, logits W x + b, with images far from
// the border of the box: the best perturbation is known in closed form.
type linear struct {
	m         *nn.Model
	d         *data.Dataset
	w         []float64 // W[1] - W[0]
	linf, l2  []float64 // distance of each example from the boundary
	margin    []float64 // logit of the label minus the other
	norm1, n2 float64
}

func newLinear(t *testing.T) *linear {
	t.Helper()
	s := spec()
	s.Classes = 2
	l := &linear{m: build(t, s, 2, 16)}
	w := make([]float32, 2*pixels)
	rng.New(3, "linear").Normal(w, 0, 0.5, 0, 0, 0)
	if err := l.m.SetWeights([]nn.Weight{{Name: "fc1.weight", Shape: []int{2, pixels}, Data: w}, {Name: "fc1.bias", Shape: []int{2}, Data: []float32{0.1, 0.3}}}); err != nil {
		t.Fatal(err)
	}
	const n = 12
	images, labels := make([]byte, n*pixels), make([]int32, n)
	for i := range images {
		images[i] = byte(100 + i*i*31%56)
	}
	for j := range pixels {
		d := float64(w[pixels+j]) - float64(w[j])
		l.w = append(l.w, d)
		l.norm1, l.n2 = l.norm1+math.Abs(d), l.n2+d*d
	}
	l.n2 = math.Sqrt(l.n2)
	for i := range n {
		z := 0.2
		for j, d := range l.w {
			z += d * float64(images[i*pixels+j]) / 255
		}
		if z > 0 {
			labels[i] = 1
		}
		l.margin = append(l.margin, math.Abs(z))
		l.linf, l.l2 = append(l.linf, math.Abs(z)/l.norm1), append(l.l2, math.Abs(z)/l.n2)
	}
	var err error
	if l.d, err = data.NewDataset("linear", side, side, 1, []string{"no", "yes"}, images, labels); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLinearOptimum: the best perturbation is eps*sign(w) in Linf, and eps*w/|w| in L2.
func TestLinearOptimum(t *testing.T) {
	l := newLinear(t)
	for _, name := range []string{"fgsm", "pgd"} {
		for norm, most := range map[string]float64{"linf": l.norm1, "l2": l.n2} {
			a, err := decoded(name, "norm = \""+norm+"\"\neps = 0.25")
			if err != nil {
				t.Fatal(err)
			}
			if p, ok := a.(*attacks.PGD); ok {
				p.RandomStart, p.EarlyStop = false, false
				if p.Norm == attacks.Linf { // any corner is within 2 eps/step size of any start
					p.RandomStart, p.Steps = true, 60
				}
			}
			z := logitsOf(t, l.m, run(t, l.m, a, l.d).Adv)
			for i, margin := range l.margin {
				y := l.d.Label(i)
				got, want := float64(z[2*i+int(y)]-z[2*i+1-int(y)]), margin-0.25*most
				if math.Abs(got-want) > 1e-4 {
					t.Errorf("%s in %s, example %d: margin %v, the least is %v", name, norm, i, got, want)
				}
			}
		}
	}
}

// leastL1 is the margin that the best perturbation in L1 leaves: pixels in the order of their
// weight, each as far as the box allows, until eps is used.
func (l *linear) leastL1(i int, eps float64) float64 {
	order := count(pixels)
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(math.Abs(l.w[b]), math.Abs(l.w[a])) })
	x, margin := make([]float32, pixels), l.margin[i]
	l.d.Image(i, x)
	for _, j := range order {
		room := float64(x[j])
		if (l.w[j] > 0) == (l.d.Label(i) == 0) { // towards the other class is up
			room = 1 - room
		}
		room = min(room, eps)
		margin, eps = margin-room*math.Abs(l.w[j]), eps-room
	}
	return margin
}

// TestLinearOptimumL1: PGD in L1 comes to the best perturbation from the clean image. (From others
// it may stay short of it: the projection keeps opening pixels that were at their walls.)
func TestLinearOptimumL1(t *testing.T) {
	l := newLinear(t)
	const eps, step = 2.3, 0.02
	top := 0.0
	for _, w := range l.w {
		top = max(top, math.Abs(w))
	}
	a, err := decoded("pgd", "norm = \"l1\"\neps = 2.3\nstep_size = 0.02\nsteps = 600\nsparsity = 0.01\nearly_stop = false\nrandom_start = false")
	if err != nil {
		t.Fatal(err)
	}
	z := logitsOf(t, l.m, run(t, l.m, a, l.d).Adv)
	for i := range l.margin {
		y := int(l.d.Label(i))
		got, want := float64(z[2*i+y]-z[2*i+1-y]), l.leastL1(i, eps)
		if got > want+step*top || got < want-1e-4 {
			t.Errorf("example %d: margin %v, the least is %v", i, got, want)
		}
	}
}

// TestLinearDistance finds each example's distance from the boundary by bisection over epsilon.
func TestLinearDistance(t *testing.T) {
	l := newLinear(t)
	for _, name := range []string{"fgsm", "pgd"} {
		for norm, distance := range map[string][]float64{"linf": l.linf, "l2": l.l2} {
			a, err := decoded(name, "norm = \""+norm+"\"")
			if err != nil {
				t.Fatal(err)
			}
			if p, ok := a.(*attacks.PGD); ok {
				p.RandomStart = false
			}
			for i, want := range distance {
				lo, hi := 1e-6, 0.38 // the nearest pixel is 100/255 from the border
				if want > 0.37 {
					continue
				}
				one := l.d.Slice(i, i+1)
				for hi-lo > 1e-4*want {
					mid := (lo + hi) / 2
					if run(t, l.m, a.At(mid), one).Correct(one) == 1 {
						lo = mid
					} else {
						hi = mid
					}
				}
				if math.Abs(hi-want) > 1e-3*want+1e-6 {
					t.Errorf("%s in %s, example %d breaks at %v, its distance is %v", name, norm, i, hi, want)
				}
			}
		}
	}
}

// TestLinearFAB: FAB reports each example's distance from the boundary, up to what it oversteps.
func TestLinearFAB(t *testing.T) {
	l := newLinear(t)
	most := 0.0
	for _, w := range l.w {
		most = max(most, math.Abs(w))
	}
	for _, norm := range []attacks.Norm{attacks.Linf, attacks.L2, attacks.L1} {
		for _, options := range []string{"", "restarts = 3"} {
			a, err := decoded("fab_t", "norm = \""+string(norm)+"\"\neps = 0.3\n"+options)
			if err != nil {
				t.Fatal(err)
			}
			res := run(t, l.m, a, l.d)
			for i, got := range res.Distance {
				want := l.linf[i]
				switch norm {
				case attacks.L2:
					want = l.l2[i]
				case attacks.L1:
					if want = l.margin[i] / most; want > 0.38 {
						continue // the largest entry meets the wall before the boundary
					}
				}
				if got < want*(1-1e-4) || got > want*1.01+1e-6 {
					t.Errorf("%v, %q, example %d: distance %v, the least is %v", norm, options, i, got, want)
				}
			}
		}
	}
}

// TestLinearAPGD: where eps is too small to break an example, APGD ends at the point of least margin.
func TestLinearAPGD(t *testing.T) {
	l := newLinear(t)
	most := 0.0
	for _, w := range l.w {
		most = max(most, math.Abs(w))
	}
	for _, loss := range []string{"cross_entropy", "margin"} {
		for norm, slope := range map[attacks.Norm]float64{attacks.Linf: l.norm1, attacks.L2: l.n2, attacks.L1: most} {
			for i, margin := range l.margin {
				eps := min(0.9*margin/slope, 0.38)
				a, err := decoded("apgd", fmt.Sprintf("norm = %q\neps = %v\nloss = %q", string(norm), eps, loss))
				if err != nil {
					t.Fatal(err)
				}
				one := l.d.Slice(i, i+1)
				z := logitsOf(t, l.m, run(t, l.m, a, one).Adv)
				y := int(one.Label(0))
				short := 0.01
				if norm == attacks.L1 { // a single entry would be best: the sparse steps come near
					short = 0.25
				}
				if got, want := float64(z[y]-z[1-y]), margin-eps*slope; math.Abs(got-want) > short*eps*slope+1e-5 {
					t.Errorf("%s in %v, example %d: margin %v, the least is %v", loss, norm, i, got, want)
				}
			}
		}
	}
}
