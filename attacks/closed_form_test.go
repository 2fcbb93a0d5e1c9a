package attacks_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"rampart/attacks"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// sphere is a network of two classes with logits r²-|x-c|² and 0: class 0 lies within r of c.
type sphere struct {
	center []float64
	radius float64
	onehot bool // tells decisions only
}

func (s *sphere) Input() nn.Shape             { return nn.Shape{H: side, W: side, C: 1} }
func (s *sphere) Classes() int                { return 2 }
func (s *sphere) Rows() int                   { return 8 }
func (s *sphere) New(n int) device.Tensor     { return make(cpu.Tensor, n) }
func (s *sphere) Logits(c *device.Call) error { return s.pass(c, false) }
func (s *sphere) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	return attacks.Iterate(s, c, l)
}

func (s *sphere) InputGrad(c *device.Call) error {
	if s.onehot {
		return fmt.Errorf("a gradient of a network that tells decisions only")
	}
	return s.pass(c, true)
}

func (s *sphere) pass(c *device.Call, gradient bool) error {
	x, z, grad := make([]float32, c.Rows*pixels), make([]float32, 2*c.Rows), make([]float32, 2*c.Rows)
	c.X.Download(x, 0)
	for r := range c.Rows {
		sum := s.radius * s.radius
		for j, m := range s.center {
			d := float64(x[r*pixels+j]) - m
			sum -= d * d
		}
		if z[2*r] = float32(sum); s.onehot {
			z[2*r] = float32(math.Copysign(1, sum))
		}
	}
	c.Logits.Upload(z, 0)
	if !gradient {
		return nil
	}
	b := &device.Block{Rows: c.Rows, Classes: 2, Logits: z, Labels: c.Labels, Value: make([]float32, c.Rows), Grad: grad}
	if c.Soft != nil {
		b.Soft = make([]float32, 2*c.Rows)
		c.Soft.Download(b.Soft, 0)
	}
	c.Loss.Rows(b)
	c.Value.Upload(b.Value, 0)
	for i := range x {
		x[i] = float32(-2 * (float64(x[i]) - s.center[i%pixels]) * float64(grad[i/pixels*2]))
	}
	c.InputGrad.Upload(x, 0)
	return nil
}

// newSphere is a sphere with images inside it, whose nearest points outside lie within the box, and
// their distances in Linf and L2.
func newSphere(t *testing.T) (s *sphere, d *data.Dataset, distance map[attacks.Norm][]float64) {
	t.Helper()
	const n = 8
	s = &sphere{center: make([]float64, pixels), radius: 1.2}
	u, images, labels := make([]float32, pixels), make([]byte, n*pixels), make([]int32, n)
	stream := rng.New(6, "sphere")
	stream.Uniform(u, 0.47, 0.53, 1000, 0, 0)
	for j, v := range u {
		s.center[j] = float64(v)
	}
	distance = map[attacks.Norm][]float64{}
	for i := range n {
		stream.Uniform(u, -0.2, 0.2, uint32(i), 0, 0)
		away := make([]float64, pixels)
		length := 0.0
		for j, v := range u {
			images[i*pixels+j] = byte((s.center[j] + float64(v)) * 255)
			away[j] = float64(images[i*pixels+j])/255 - s.center[j]
			length += away[j] * away[j]
		}
		distance[attacks.L2] = append(distance[attacks.L2], s.radius-math.Sqrt(length))
		// All pixels go outwards by as much: a quadratic equation, by bisection.
		lo, hi := 0.0, 1.0
		for range 60 {
			mid, sum := (lo+hi)/2, 0.0
			for _, a := range away {
				sum += (math.Abs(a) + mid) * (math.Abs(a) + mid)
			}
			if sum > s.radius*s.radius {
				hi = mid
			} else {
				lo = mid
			}
		}
		distance[attacks.Linf] = append(distance[attacks.Linf], hi)
	}
	d, err := data.NewDataset("sphere", side, side, 1, []string{"in", "out"}, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	return s, d, distance
}

// TestClosedForm: on a linear and on a quadratic network the nearest adversarial examples are known.
// Nothing may lie nearer, and each attack comes as close as its method allows.
func TestClosedForm(t *testing.T) {
	l := newLinear(t)
	ball, inside, distance := newSphere(t)
	decisions := *ball
	decisions.onehot = true
	if clean, err := attacks.Clean(ball, inside); err != nil || clean.Correct(inside) != inside.Len() {
		t.Fatalf("%v: the images are not inside", err)
	}
	// From inside the sphere DeepFool takes one step, to where the logit would be 0 were it linear:
	// (r²-p²)/2p away, p being the distance from the center.
	newton := map[attacks.Norm][]float64{attacks.L2: nil, attacks.Linf: distance[attacks.Linf]}
	for _, d := range distance[attacks.L2] {
		p := ball.radius - d
		newton[attacks.L2] = append(newton[attacks.L2], (ball.radius*ball.radius-p*p)/(2*p))
	}
	for _, c := range []struct {
		attack, options string
		linear, sphere  float64 // how much further away than the nearest is allowed, as a share
		onSphere        map[attacks.Norm][]float64
	}{
		{"deepfool", "norm = \"l2\"", 0.021, 0.021, newton},
		{"deepfool", "norm = \"linf\"\neps = 0.3", 0.021, 0.7, newton},
		{"deepfool", "norm = \"l2\"\novershoot = 0", 0.001, 0.001, newton},
		{"cw", "initial_const = 0.1", 0.01, 0.001, distance},
		{"hopskipjump", "norm = \"l2\"\nmax_queries = 8000", 0.02, 0.03, distance},
		{"hopskipjump", "norm = \"linf\"\neps = 0.3\nmax_queries = 8000", 0.05, 0.2, distance},
		{"hopskipjump", "norm = \"l2\"\nmax_queries = 8000\nstepsize_search = \"grid_search\"", 0.02, 0.03, distance},
	} {
		a, err := decoded(c.attack, c.options)
		if err != nil {
			t.Fatal(err)
		}
		norm := a.Threat().Norm
		check := func(where string, v attacks.Victim, d *data.Dataset, want []float64, tolerance float64) {
			begun := time.Now()
			res := run(t, v, a, d)
			worst := 0.0
			for i, w := range want {
				worst = max(worst, res.Distance[i]/w-1)
				// DeepFool's steps are at least 1e-4 long; rounding may bring a pixel nearer.
				if got := res.Distance[i]; got > w*(1+tolerance)+3e-4 || got < w*(1-1e-4) {
					t.Errorf("%s, %q, %s: example %d lies at %v, the nearest at %v", c.attack, c.options, where, i, got, w)
				}
			}
			t.Logf("%s, %q, %s: at most %.2g %% further, %v", c.attack, c.options, where, 100*worst, time.Since(begun).Round(time.Millisecond))
		}
		check("linear", l.m, l.d, map[attacks.Norm][]float64{attacks.L2: l.l2, attacks.Linf: l.linf}[norm], c.linear)
		v := ball
		if c.attack == "hopskipjump" {
			v = &decisions
		}
		check("sphere", v, inside, c.onSphere[norm], c.sphere)
	}
}

// TestClosedFormEAD: on a linear network the least elastic net that reaches the boundary moves each
// pixel by (m|w|-beta)/2 where that is positive, for one m; its least L1 distance is all in the
// largest weights, as far as the box allows. EAD's threshold is beta at each step, of whatever size,
// which weighs L1 as beta / step size would: it comes near the second, not the first.
func TestClosedFormEAD(t *testing.T) {
	l := newLinear(t)
	const beta = 0.01
	bisect := func(reached func(float64) bool, hi float64) float64 {
		lo := 0.0
		for range 60 {
			if mid := (lo + hi) / 2; reached(mid) {
				hi = mid
			} else {
				lo = mid
			}
		}
		return hi
	}
	clean := imagesOf(l.d)
	for _, c := range []struct {
		rule      string
		tolerance float64
		value     func(l1, l2 float64) float64
		least     func(i int) float64
	}{
		{"l1", 0.05, func(l1, _ float64) float64 { return l1 }, func(i int) float64 {
			return bisect(func(eps float64) bool { return l.leastL1(i, eps) <= 0 }, pixels)
		}},
		{"en", 1.5, func(l1, l2 float64) float64 { return beta*l1 + l2*l2 }, func(i int) (value float64) {
			move := func(m, w float64) float64 { return max(m*math.Abs(w)-beta, 0) / 2 }
			m := bisect(func(m float64) bool {
				sum := 0.0
				for _, w := range l.w {
					sum += move(m, w) * math.Abs(w)
				}
				return sum >= l.margin[i]
			}, 10)
			for _, w := range l.w {
				value += beta*move(m, w) + move(m, w)*move(m, w)
			}
			return value
		}},
	} {
		a, err := decoded("ead", "initial_const = 0.1\nrule = \""+c.rule+"\"")
		if err != nil {
			t.Fatal(err)
		}
		res, worst := run(t, l.m, a, l.d), 0.0
		for i := range l.margin {
			x, y := res.Nearest[i*pixels:(i+1)*pixels], clean[i*pixels:]
			got, want := c.value(attacks.L1.Distance(x, y), attacks.L2.Distance(x, y)), c.least(i)
			worst = max(worst, got/want-1)
			if math.IsInf(res.Distance[i], 1) || got > want*(1+c.tolerance) || got < want*(1-1e-4) {
				t.Errorf("rule %s: example %d at %v, the least is %v", c.rule, i, got, want)
			}
		}
		t.Logf("rule %s: at most %.2g %% above the least", c.rule, 100*worst)
	}
}
