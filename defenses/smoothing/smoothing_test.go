package smoothing_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"rampart/attacks"
	"rampart/defenses/smoothing"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// TestLikeSciPy compares bounds and tests with testdata/binomial.py's.
func TestLikeSciPy(t *testing.T) {
	type entry struct {
		K, N    int
		P, Want float64
	}
	var golden struct{ Lower, Test, Tail []entry }
	raw, err := os.ReadFile("testdata/binomial.json")
	if err == nil {
		err = json.Unmarshal(raw, &golden)
	}
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, list []entry, f func(e entry) float64) {
		if len(list) < 6 {
			t.Errorf("%s: only %d values", what, len(list))
		}
		for _, e := range list {
			if got := f(e); math.Abs(got-e.Want) > 1e-9*max(e.Want, 1e-3) {
				t.Errorf("%s(%d of %d, %v) = %.12g, scipy has %.12g", what, e.K, e.N, e.P, got, e.Want)
			}
		}
	}
	check("lower bound", golden.Lower, func(e entry) float64 { return smoothing.LowerBound(e.K, e.N, e.P) })
	check("binomial test", golden.Test, func(e entry) float64 { return smoothing.Binomial(e.K, e.N) })
	check("tail", golden.Tail, func(e entry) float64 { return smoothing.AtLeast(e.K, e.N, e.P) })
	if got := smoothing.LowerBound(0, 5, 0.1); got != 0 {
		t.Errorf("no hits bound a probability by %v from below", got)
	}
}

const side = 4

// linear is a network of two classes whose boundary lies at distance (w.x+b)/|w| of an image, with
// |w| = 2; rows is its batch.
func linear(t *testing.T, threads, rows int, bias float32) *nn.Model {
	t.Helper()
	spec := nn.Spec{Arch: "layers", Options: &nn.Custom{List: []nn.Layer{{Type: "dense"}}}, Input: nn.Shape{H: side, W: side, C: 1}, Classes: 2}
	m, err := nn.Build(spec, cpu.New(threads), rows, rng.New(1, "unused"))
	if err != nil {
		t.Fatal(err)
	}
	list := m.Weights()
	clear(list[0].Data)
	for i := range side * side { // class 0 less class 1
		list[0].Data[i] = 0.5 * float32(1-2*(i%2))
	}
	list[1].Data[0] = bias
	if err := m.SetWeights(list); err != nil {
		t.Fatal(err)
	}
	return m
}

func grey() []float32 { return slices.Repeat([]float32{0.5}, side*side) }

// TestCertifyLinear: of a linear network the class has the probability Phi(d/sigma) at distance d from
// the boundary, and the largest radius that holds is d itself.
func TestCertifyLinear(t *testing.T) {
	o := smoothing.Options{Sigma: 0.5, N0: 100, N: 20000, Alpha: 0.001}
	for _, distance := range []float64{0.05, 0.3, 0.7, -0.4} {
		s := smoothing.New(linear(t, 2, 512, float32(2*distance)), o, rng.New(7, "noise"))
		got, err := s.Certify(grey(), 3)
		if err != nil {
			t.Fatal(err)
		}
		class, d := 0, math.Abs(distance)
		if distance < 0 {
			class = 1
		}
		p := distuv.UnitNormal.CDF(d / o.Sigma)
		if share := float64(got.Hits) / float64(o.N); math.Abs(share-p) > 5*math.Sqrt(p*(1-p)/float64(o.N)) {
			t.Errorf("distance %v: %v of the draws hit, want %v", distance, share, p)
		}
		// The bound on p lies within 9 standard deviations of p: 3.1 of its own and 5 of the draw.
		low := o.Sigma * distuv.UnitNormal.Quantile(p-9*math.Sqrt(p*(1-p)/float64(o.N)))
		if got.Class != class || got.Radius >= d || got.Radius < low {
			t.Errorf("distance %v: %+v, want class %d and a radius between %v and %v", distance, got, class, low, d)
		}
		if predicted, err := s.Predict(grey(), 3); err != nil || predicted != class {
			t.Errorf("distance %v: prediction %d, %v", distance, predicted, err)
		}
	}
}

// TestAbstain: on the boundary nothing can be said.
func TestAbstain(t *testing.T) {
	s := smoothing.New(linear(t, 2, 512, 0), smoothing.Options{Sigma: 0.5, N0: 100, N: 2000, Alpha: 0.001}, rng.New(7, "noise"))
	got, err := s.Certify(grey(), 3)
	if err != nil || got.Class != smoothing.Abstain || got.Radius != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if class, err := s.Predict(grey(), 3); err != nil || class != smoothing.Abstain {
		t.Errorf("prediction %d, %v", class, err)
	}
}

// TestDraws: a certificate depends on neither batch size nor threads nor what went before, but on the
// example and the stream.
func TestDraws(t *testing.T) {
	o := smoothing.Options{Sigma: 0.5, N0: 10, N: 1000, Alpha: 0.01}
	certify := func(threads, rows int, seed uint64, example uint32) smoothing.Certificate {
		s := smoothing.New(linear(t, threads, rows, 0.2), o, rng.New(seed, "noise"))
		if _, err := s.Certify(grey(), 99); err != nil {
			t.Fatal(err)
		}
		c, err := s.Certify(grey(), example)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	want := certify(1, 64, 1, 3)
	for _, rows := range []int{1, 7, 999, 4000} {
		if got := certify(2, rows, 1, 3); got != want {
			t.Errorf("rows of %d: %+v, want %+v", rows, got, want)
		}
	}
	if certify(1, 64, 1, 4) == want || certify(1, 64, 2, 3) == want {
		t.Error("another example or seed has the same draws")
	}
}

func TestStop(t *testing.T) {
	s := smoothing.New(linear(t, 1, 8, 1), smoothing.Options{Sigma: 0.5, N0: 10, N: 1000, Alpha: 0.01}, rng.New(1, "noise"))
	enough, left := errors.New("enough"), 5
	s.Stop = func() error {
		if left--; left < 0 {
			return enough
		}
		return nil
	}
	if _, err := s.Certify(grey(), 0); !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
}

func small(t *testing.T, rows int) *nn.Model {
	t.Helper()
	m, err := nn.Build(nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{12}}, Input: nn.Shape{H: side, W: side, C: 1}, Classes: 3}, cpu.New(2), rows, rng.New(5, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestVictimGradient compares the gradient of the smoothed network with finite differences, at two
// batch sizes of the network.
func TestVictimGradient(t *testing.T) {
	loss, err := attacks.LossNamed("cross_entropy")
	if err != nil {
		t.Fatal(err)
	}
	const n = 2
	x, labels := make([]float32, n*side*side), []int32{2, 0}
	rng.New(2, "images").Uniform(x, 0, 1, 0, 0, 0)
	var first []float32
	for _, rows := range []int{4, 64} {
		v := smoothing.Victim{Victim: small(t, rows), Sigma: 0.3, Samples: 9, Noise: rng.New(3, "noise")}
		c := &device.Call{Rows: n, X: v.New(len(x)), Labels: labels, Loss: loss, Scale: 1, Example: []uint32{8, 5},
			InputGrad: v.New(len(x)), Value: v.New(n), Logits: v.New(n * 3)}
		value := func(moved []float32) float64 {
			c.X.Upload(moved, 0)
			if err := v.InputGrad(c); err != nil {
				t.Fatal(err)
			}
			values := make([]float32, n)
			c.Value.Download(values, 0)
			return float64(values[0]) + float64(values[1])
		}
		value(x)
		grad, z := make([]float32, len(x)), make([]float32, n*3)
		c.InputGrad.Download(grad, 0)
		c.Logits.Download(z, 0)
		for r := range n { // log-probabilities
			if sum := math.Exp(float64(z[3*r])) + math.Exp(float64(z[3*r+1])) + math.Exp(float64(z[3*r+2])); math.Abs(sum-1) > 1e-5 {
				t.Errorf("probabilities add up to %v", sum)
			}
		}
		for i := range x {
			const h = 2e-3
			moved := slices.Clone(x)
			moved[i] += h
			up := value(moved)
			moved[i] -= 2 * h
			if want := (up - value(moved)) / (2 * h); math.Abs(want-float64(grad[i])) > 3e-3+0.02*math.Abs(want) {
				t.Errorf("rows of %d, pixel %d: gradient %v, finite difference %v", rows, i, grad[i], want)
			}
		}
		if first == nil {
			first = grad
		}
		for i := range grad {
			if math.Abs(float64(grad[i]-first[i])) > 1e-5 {
				t.Errorf("pixel %d: the batch size of the network changes the gradient", i)
			}
		}
	}
}

// TestBreak: the attack breaks a certificate that claims too much, and not the true one.
func TestBreak(t *testing.T) {
	const distance = 0.3
	s := smoothing.New(linear(t, 2, 512, 2*distance), smoothing.Options{Sigma: 0.5, N0: 100, N: 5000, Alpha: 0.001}, rng.New(7, "noise"))
	a := smoothing.Attacker{Steps: 10, Samples: 16, Noise: rng.New(8, "attack")}
	c, err := s.Certify(grey(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if broken, err := a.Break(s, s, grey(), 3, c); err != nil || broken {
		t.Errorf("the certificate %+v is broken: %v, %v", c, broken, err)
	}
	c.Radius = 2 * distance
	if broken, err := a.Break(s, s, grey(), 3, c); err != nil || !broken {
		t.Errorf("a false certificate %+v is broken: %v, %v", c, broken, err)
	}
	if p := smoothing.TooMany(1, 50, 0.001); math.Abs(p-(1-math.Pow(1-0.002, 50))) > 1e-12 {
		t.Errorf("one of fifty: %v", p)
	}
}
