package transform_test

import (
	"math"
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/attacks/attacktest"
	"rampart/configs"
	"rampart/data"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

const n = 60

func chosen(t *testing.T, name string, set func(tr transform.Transform)) configs.Choice[transform.Transform] {
	t.Helper()
	c, err := configs.Choose[transform.Transform](name)
	if err != nil {
		t.Fatal(err)
	}
	if set != nil {
		set(c.Value)
	}
	return c
}

// resized is random_resize_pad with several sizes for small images, bilinear for a gradient that
// differences can be compared with.
func resized(t *testing.T) configs.Choice[transform.Transform] {
	return chosen(t, "random_resize_pad", func(tr transform.Transform) {
		tr.(*transform.RandomResizePad).Least, tr.(*transform.RandomResizePad).Filter = 0.6, "bilinear"
	})
}

func strokes(t *testing.T) *data.Dataset {
	t.Helper()
	d, err := attacktest.Strokes(n, 2)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func network(t *testing.T, rows int) *nn.Model {
	t.Helper()
	m, err := attacktest.Trained(rows, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ask returns logits and gradient for some examples of the set, in one call.
func ask(t *testing.T, v attacks.Victim, d *data.Dataset, rows []int, noise uint64) (z, value, dx []float32) {
	t.Helper()
	size, k := d.Size(), v.Classes()
	c := &device.Call{Rows: len(rows), X: v.New(len(rows) * size), Logits: v.New(len(rows) * k), Value: v.New(len(rows)), InputGrad: v.New(len(rows) * size),
		Loss: nn.CrossEntropy{}, Scale: 1, Noise: noise}
	x := make([]float32, size)
	for r, i := range rows {
		d.Image(i, x)
		c.X.Upload(x, r*size)
		c.Labels, c.Example = append(c.Labels, d.Label(i)), append(c.Example, d.Index(i))
	}
	if err := v.InputGrad(c); err != nil {
		t.Fatal(err)
	}
	z, value, dx = make([]float32, len(rows)*k), make([]float32, len(rows)), make([]float32, len(rows)*size)
	c.Logits.Download(z, 0)
	c.Value.Download(value, 0)
	c.InputGrad.Download(dx, 0)
	return z, value, dx
}

// TestBatches: what an image's question gives depends on neither its batch nor its place there.
func TestBatches(t *testing.T) {
	m, d := network(t, n), strokes(t)
	for _, name := range registry.Names[transform.Transform]() {
		link := chosen(t, name, nil)
		if name == "random_resize_pad" {
			link = resized(t)
		}
		v := transform.Behind(m, transform.Chain{link}, 3)
		k, size := m.Classes(), d.Size()
		order := rng.New(5, "order").Perm(n, 0)
		all, _, grad := ask(t, v, d, order, 7)
		for start := 0; start < n; start += 5 {
			rows := order[start:min(start+5, n)]
			slices.Reverse(rows)
			some, _, dx := ask(t, v, d, rows, 7)
			slices.Reverse(rows)
			for i := range rows {
				j := len(rows) - 1 - i
				if !near(some[j*k:][:k], all[(start+i)*k:][:k]) || !near(dx[j*size:][:size], grad[(start+i)*size:][:size]) {
					t.Errorf("%s: example %d differs in a batch of %d", name, rows[i], len(rows))
				}
			}
		}
		other, _, _ := ask(t, v, d, order, 8)
		if link.Value.Random() == slices.Equal(other, all) {
			t.Errorf("%s: another question gives the same logits: %v", name, !link.Value.Random())
		}
	}
}

// near allows for sums in another order.
func near(a, b []float32) bool {
	for i := range a {
		if math.Abs(float64(a[i])-float64(b[i])) > 1e-4*(1+math.Abs(float64(b[i]))) {
			return false
		}
	}
	return true
}

// TestNaive: an attack in ignorance of a filter leaves more than one that knows it, and is no other
// than the attack on the bare network.
func TestNaive(t *testing.T) {
	m, d := network(t, n), strokes(t)
	pgd := &attacks.PGD{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 0.3}, Steps: 20, StepSize: 0.04, RandomStart: true, Runs: 1,
		Loss: "cross_entropy", EarlyStop: true, KeepBest: true}
	v := transform.Behind(m, transform.Chain{chosen(t, "gaussian", nil)}, 3)
	run := func(v attacks.Victim, a attacks.Attack) *attacks.Result {
		res, err := attacks.Run(v, a, d, rng.New(3, "attack"), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	naive := transform.NewNaive(pgd)
	if err := naive.Validate(); err != nil || naive.Label() != "naive: PGD-20" || naive.Gradients() != 20 || naive.At(0.1).Threat().Epsilon != 0.1 {
		t.Errorf("%q, %v, %d gradients", naive.Label(), err, naive.Gradients())
	}
	blind, knowing := run(v, naive), run(v, pgd)
	t.Logf("naive %d, knowing %d of %d", blind.Correct(d), knowing.Correct(d), n)
	if blind.Correct(d) < knowing.Correct(d)+6 {
		t.Errorf("the naive attack leaves %d of %d, the one that knows the filter %d", blind.Correct(d), n, knowing.Correct(d))
	}
	if bare := run(m, pgd); !slices.Equal(bare.Adv, blind.Adv) {
		t.Error("the naive examples are not those of the bare network")
	}
	if !slices.Equal(run(m, naive).Prediction, run(m, pgd).Prediction) {
		t.Error("against a bare network the naive attack is another")
	}
	draw := transform.NewOneDraw(pgd)
	if err := draw.Validate(); err != nil || draw.Label() != "one draw: PGD-20" || draw.At(0.1).Label() != draw.Label() {
		t.Errorf("%q, %v", draw.Label(), err)
	}
}

// TestDraws: an attack in expectation on a random chain leaves less than one with a draw a step, and
// than one that knows no chain.
func TestDraws(t *testing.T) {
	m, d := network(t, n), strokes(t)
	v := transform.Behind(m, transform.Chain{resized(t)}, 3)
	pgd := &attacks.PGD{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 0.3}, Steps: 20, StepSize: 0.04, RandomStart: true, Runs: 1,
		Loss: "cross_entropy", EarlyStop: true, KeepBest: true}
	left := map[string]int{}
	for _, a := range []attacks.Attack{attacks.InExpectation(pgd, 10), transform.NewOneDraw(pgd), transform.NewNaive(pgd)} {
		res, err := attacks.Run(v, a, d, rng.New(3, "attack"), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		left[a.Label()] = res.Correct(d)
	}
	t.Log(left)
	if eot := left["EOT-10 PGD-20"]; len(left) != 3 || eot >= left["one draw: PGD-20"] || eot >= left["naive: PGD-20"] {
		t.Errorf("left of %d: %v", n, left)
	}
}

// TestBehindNothing: an empty chain changes nothing.
func TestBehindNothing(t *testing.T) {
	m := network(t, 1)
	if transform.Behind(m, nil, 1) != attacks.Victim(m) {
		t.Error("a network behind nothing is wrapped")
	}
	v := transform.New(m, transform.Chain{chosen(t, "jpeg", nil)}, 1)
	if v.Bare() != attacks.Victim(m) || len(v.Chain()) != 1 {
		t.Error("the network or its chain is lost")
	}
}
