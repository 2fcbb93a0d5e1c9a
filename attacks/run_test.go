package attacks_test

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/configs"
	"rampart/nn/device"
)

// cheat is an attack that keeps to no rule.
type cheat struct {
	attacks.Noise
	value float32 // of every pixel that it returns
	lazy  bool    // returns what is in adv already
	err   error
	seen  *[][]uint32 // examples of each call
}

func (c *cheat) Perturb(v attacks.Victim, b *attacks.Batch, adv device.Tensor, d attacks.Draw) (device.Counts, error) {
	if c.seen != nil {
		for len(*c.seen) <= int(d.Restart) {
			*c.seen = append(*c.seen, nil)
		}
		(*c.seen)[d.Restart] = append((*c.seen)[d.Restart], b.Index...)
		return c.Noise.Perturb(v, b, adv, d)
	}
	if !c.lazy {
		adv.Upload(slices.Repeat([]float32{c.value}, len(b.Labels)*pixels), 0)
	}
	return device.Counts{}, c.err
}

func newCheat(norm attacks.Norm, eps configs.Number, value float32) *cheat {
	return &cheat{Noise: attacks.Noise{Bound: attacks.Bound{Norm: norm, Epsilon: eps}, Runs: 1}, value: value}
}

// TestCheats: Run projects whatever an attack returns, and judges it itself.
func TestCheats(t *testing.T) {
	d, m := bars(t, 40, 2), trained(t, 2, 16)
	images := imagesOf(d)
	clean, err := attacks.Clean(m, d)
	if err != nil {
		t.Fatal(err)
	}
	nan := float32(math.NaN())
	for _, norm := range []attacks.Norm{attacks.Linf, attacks.L2} {
		for _, value := range []float32{-7, 0.5, 1e30, float32(math.Inf(1)), float32(math.Inf(-1)), nan} {
			res := run(t, m, newCheat(norm, 0.2, value), d)
			for i := range d.Len() {
				adv := res.Adv[i*pixels : (i+1)*pixels]
				linf, l2 := distances(adv, images[i*pixels:])
				if norm == attacks.Linf && !(linf <= 0.2+1e-7) || norm == attacks.L2 && !(l2 <= 0.2*(1+1e-6)) {
					t.Fatalf("%v, pixels of %v: moved by %v, %v", norm, value, linf, l2)
				}
				if lo, hi := slices.Min(adv), slices.Max(adv); !(lo >= 0 && hi <= 1) {
					t.Fatalf("%v, pixels of %v: pixels from %v to %v", norm, value, lo, hi)
				}
			}
			if value != value && !slices.Equal(res.Adv, images) {
				t.Errorf("%v: what is no number has moved the image", norm)
			}
		}
	}
	// One that does nothing breaks nothing. (The memory is new: its zeros are projected.)
	lazy := newCheat(attacks.Linf, 1e-9, 0)
	lazy.lazy = true
	if res := run(t, m, lazy, d); !slices.Equal(res.Prediction, clean.Prediction) {
		t.Error("an attack that does nothing changed predictions")
	}
	broken := newCheat(attacks.Linf, 0.1, 0)
	broken.err = errors.New("out of order")
	if _, err := attacks.Run(m, broken, d, noise, never, nil); err == nil || err.Error() != "noise: out of order" {
		t.Errorf("got %v", err)
	}
}

func TestProject(t *testing.T) {
	for _, c := range []struct {
		norm               attacks.Norm
		moved, clean, want []float32
	}{
		{attacks.Linf, []float32{0.9, 0.5, 0.2}, []float32{0.5, 0.5, 0.5}, []float32{0.75, 0.5, 0.25}},
		{attacks.Linf, []float32{-3, 3, 0.1}, []float32{0.125, 0.875, 0.25}, []float32{0, 1, 0.1}},
		{attacks.L2, []float32{0.5 + 0.3, 0.5 + 0.4}, []float32{0.5, 0.5}, []float32{0.65, 0.7}},
		{attacks.L2, []float32{0.6, 0.5}, []float32{0.5, 0.5}, []float32{0.6, 0.5}},
		{attacks.L2, []float32{2, 0.5}, []float32{0.9, 0.5}, []float32{1, 0.5}},
	} {
		got := slices.Clone(c.moved)
		(attacks.Threat{Norm: c.norm, Epsilon: 0.25}).Project(got, c.clean)
		for i := range got {
			if math.Abs(float64(got[i]-c.want[i])) > 1e-6 {
				t.Errorf("%v: %v around %v became %v, want %v", c.norm, c.moved, c.clean, got, c.want)
				break
			}
		}
	}
}

// TestRestarts: a restart sees only survivors, and never makes a network look better.
func TestRestarts(t *testing.T) {
	d, m := bars(t, 90, 6), trained(t, 2, 32)
	var before *attacks.Result
	for _, runs := range []int{1, 2, 5} {
		res := run(t, m, pgd(t, func(a *attacks.PGD) { a.Runs, a.Epsilon, a.StepSize, a.Steps = runs, 0.12, 0.04, 2 }), d)
		if res.Cumulative != (runs > 1) {
			t.Errorf("%d runs: cumulative = %v", runs, res.Cumulative)
		}
		if before != nil {
			if res.Correct(d) > before.Correct(d) {
				t.Errorf("%d runs: %d right, %d with fewer runs", runs, res.Correct(d), before.Correct(d))
			}
			for i, p := range before.Prediction { // what is broken stays as the first run left it
				if p != int(d.Label(i)) && (res.Prediction[i] != p || !slices.Equal(res.Adv[i*pixels:(i+1)*pixels], before.Adv[i*pixels:(i+1)*pixels])) {
					t.Errorf("%d runs: example %d is not what broke it first", runs, i)
				}
			}
		}
		before = res
	}
	first := run(t, m, pgd(t, func(a *attacks.PGD) { a.Epsilon, a.StepSize, a.Steps = 0.12, 0.04, 2 }), d)
	for i, p := range before.Prediction {
		if p == int(d.Label(i)) && (!slices.Equal(before.Adv[i*pixels:(i+1)*pixels], first.Adv[i*pixels:(i+1)*pixels]) || before.Confidence[i] != first.Confidence[i]) {
			t.Errorf("example %d, which no run breaks, is not what the first run made of it", i)
		}
	}
	if first.Correct(d) <= before.Correct(d) {
		t.Errorf("five runs break no more than one: %d right, of %d", before.Correct(d), first.Correct(d))
	}

	var seen [][]uint32
	s := newCheat(attacks.Linf, 0.8, 0)
	s.Runs, s.seen = 3, &seen
	var done []int
	res, err := attacks.Run(m, s, d, noise, never, func(k, total int) {
		if total != 3*d.Len() {
			t.Errorf("a total of %d, want %d", total, 3*d.Len())
		}
		done = append(done, k)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != 3 || len(seen[0]) != d.Len() || len(seen[1]) >= d.Len() || len(seen[2]) > len(seen[1]) || len(seen[2]) < res.Correct(d) {
		t.Errorf("runs saw %d, %d, %d examples of %d, %d are right", len(seen[0]), len(seen[1]), len(seen[2]), d.Len(), res.Correct(d))
	}
	if !slices.IsSorted(done) || done[len(done)-1] != 3*d.Len() {
		t.Errorf("progress went %v, want up to %d", done, 3*d.Len())
	}
}

// TestKeepBest: where any iterate is adversarial, an adversarial one of the highest loss is returned.
func TestKeepBest(t *testing.T) {
	d, m := bars(t, 80, 8), build(t, spec(32, 32, 32), 2, 32)
	const steps = 4
	rough := func(n int, best, stop bool) *attacks.PGD { // steps so long that iterates leave again
		return pgd(t, func(a *attacks.PGD) {
			a.Epsilon, a.StepSize, a.Steps, a.KeepBest, a.EarlyStop, a.Loss = 0.5, 0.7, n, best, stop, "margin"
		})
	}
	start := attacks.Noise{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 0.5}, Runs: 1}
	iterates := []*attacks.Result{run(t, m, &start, d)} // of the same draw
	for k := 1; k <= steps; k++ {
		iterates = append(iterates, run(t, m, rough(k, false, false), d))
	}
	margin := func(r *attacks.Result, i int) float64 {
		z := logitsOf(t, m, r.Adv[i*pixels:(i+1)*pixels])
		y := d.Label(i)
		top := math.Inf(-1)
		for j, v := range z {
			if j != int(y) {
				top = max(top, float64(v))
			}
		}
		return top - float64(z[y])
	}
	best, stopped := run(t, m, rough(steps, true, false), d), run(t, m, rough(steps, false, true), d)
	lost := 0
	for i := range d.Len() {
		top, first := math.Inf(-1), -1
		for k, r := range iterates {
			top = max(top, margin(r, i))
			if first < 0 && k < steps && r.Prediction[i] != int(d.Label(i)) {
				first = k
			}
		}
		if got := margin(best, i); math.Abs(got-top) > 1e-5 {
			t.Errorf("example %d: margin %v was kept, the highest is %v", i, got, top)
		}
		if top > 1e-5 && best.Prediction[i] == int(d.Label(i)) {
			t.Errorf("example %d: benign, though an iterate was adversarial", i)
		}
		if first >= 0 {
			if !slices.Equal(stopped.Adv[i*pixels:(i+1)*pixels], iterates[first].Adv[i*pixels:(i+1)*pixels]) {
				t.Errorf("example %d: early stop did not return iterate %d, the first that is adversarial", i, first)
			}
			if iterates[steps].Prediction[i] == int(d.Label(i)) {
				lost++
			}
		}
	}
	if lost == 0 {
		t.Error("no example shows the difference: all that were found are adversarial in the end")
	}
}

// TestOrder: on a trained network attacks are as strong as they should be, one above the other.
func TestOrder(t *testing.T) {
	d, m := bars(t, 200, 11), trained(t, 2, 64)
	clean, err := attacks.Clean(m, d)
	if err != nil {
		t.Fatal(err)
	}
	right := []int{clean.Correct(d)}
	for _, name := range []string{"noise", "fgsm", "pgd"} {
		a, err := decoded(name, "eps = 0.15")
		if err != nil {
			t.Fatal(err)
		}
		right = append(right, run(t, m, a, d).Correct(d))
	}
	t.Log("right: clean, noise, FGSM, PGD:", right)
	if right[0] < 195 || right[1] <= right[2] || right[2] < right[3] || right[1]-right[3] < 40 {
		t.Errorf("of %d right: clean, noise, FGSM, PGD: %v", d.Len(), right)
	}
}

// TestStop: Run ends between batches when it is told to.
func TestStop(t *testing.T) {
	stop, calls := errors.New("enough"), 0
	_, err := attacks.Run(build(t, spec(), 1, 8), pgd(t, nil), bars(t, 40, 1), noise, func() error {
		if calls++; calls == 3 {
			return stop
		}
		return nil
	}, nil)
	if !errors.Is(err, stop) || calls != 3 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

// TestDiverged: a network whose logits overflow is no network to measure.
func TestDiverged(t *testing.T) {
	m := build(t, spec(8), 1, 8)
	w := m.Weights()
	for i := range w {
		for j := range w[i].Data {
			w[i].Data[j] = 1e30
		}
	}
	if err := m.SetWeights(w); err != nil {
		t.Fatal(err)
	}
	_, err := attacks.Clean(m, bars(t, 10, 1))
	if err == nil || !strings.Contains(err.Error(), "the network's weights have diverged") {
		t.Errorf("got %v", err)
	}
	if _, err := attacks.Run(m, pgd(t, nil), bars(t, 10, 1), noise, never, nil); err == nil {
		t.Error("an attack on it reports no error")
	}
}

// TestBegun: a run with restarts that goes on from the attack without them is that run.
func TestBegun(t *testing.T) {
	d, m := bars(t, 40, 2), trained(t, 2, 16)
	a := &attacks.PGD{Bound: attacks.Bound{Norm: attacks.Linf, Epsilon: 0.2}, StepSize: 0.05, Steps: 3, RandomStart: true, Runs: 3, Loss: "cross_entropy", KeepBest: true}
	first, want := run(t, m, a.Once(), d), run(t, m, a, d)
	before := slices.Clone(first.Adv)
	p := attacks.Begun(a, first, d)
	if p == nil || len(p.Alive) == 0 || len(p.Alive) != first.Correct(d) || want.Correct(d) == first.Correct(d) {
		t.Fatalf("%+v does not go on from %d survivors, to be %d", p, first.Correct(d), want.Correct(d))
	}
	got, err := (&attacks.Runner{Victim: m, Noise: noise, From: p}).Run(a, d)
	if err != nil {
		t.Fatal(err)
	}
	got.Seconds, want.Seconds = 0, 0
	if !reflect.DeepEqual(got, want) {
		t.Errorf("went on to %v, begun anew %v", got, want)
	}
	if !slices.Equal(first.Adv, before) {
		t.Error("the first run's images changed")
	}
	other := *a
	other.Steps++
	if attacks.Begun(&other, first, d) != nil || attacks.Begun(a, want, d) != nil || attacks.Begun(a.Once(), first, d) != nil || attacks.Begun(a, nil, d) != nil {
		t.Error("goes on from another attack, or without one")
	}
}
