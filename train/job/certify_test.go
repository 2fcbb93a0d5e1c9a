package job

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/defenses/smoothing"
	"rampart/train/report"
)

// TestVerifiedBroken plants an attack's result that contradicts a proof: the run stops and says where.
func TestVerifiedBroken(t *testing.T) {
	r, err := newRun(load(t, "verify.eps=[0.05,0.1]"), quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	right := make([]int, r.test.Len())
	for i := range right {
		right[i] = int(r.test.Label(i))
	}
	plant := func(attack, norm string, eps float64, broken int) error {
		r.state = newState()
		r.state.Verified = [][]bool{make([]bool, r.test.Len()), make([]bool, r.test.Len())}
		r.state.Verified[0][7], r.state.Verified[1][7] = true, false
		o := report.Outcome{Attack: attack, Norm: norm, Epsilon: eps, Predictions: append([]int{}, right...)}
		o.Predictions[broken] = (right[broken] + 1) % 4
		r.state.Outcomes[report.After] = []report.Outcome{o}
		return r.checkVerified()
	}
	for _, c := range []struct {
		attack, norm string
		eps          float64
		broken       int
		wrong        bool
	}{
		{"PGD-40", "Linf", 0.05, 7, true}, {"PGD-40", "Linf", 0.03, 7, true}, {report.Clean, "", 0, 7, true},
		{"PGD-40", "Linf", 0.08, 7, false}, {"PGD-40", "L2", 0.05, 7, false}, {"PGD-40", "Linf", 0.05, 8, false},
	} {
		err := plant(c.attack, c.norm, c.eps, c.broken)
		if (err != nil) != c.wrong {
			t.Errorf("%+v: error %v", c, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "is verified") || !strings.Contains(err.Error(), c.attack)) {
			t.Errorf("%+v: the error %q does not say what broke what", c, err)
		}
	}
}

// TestVerifiedFaultStops: with a proof that is planted false, the whole run fails.
func TestVerifiedFaultStops(t *testing.T) {
	r, f, err := openEval(t.Context(), load(t, "verify.eps=[0.1]"), EvalOptions{Checkpoint: filepath.Join(unbroken(t), "best.safetensors")}, quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.network(f.Meta.Model.Spec, f.Weights(), 32)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.rows(t.Context(), report.After, m); err != nil {
		t.Fatal(err)
	}
	if err := r.certify(t.Context(), f.Meta.Model.Spec, f.Weights()); err != nil {
		t.Fatal(err) // the true proofs hold
	}
	all := make([]bool, r.test.Len())
	for i := range all {
		all[i] = true
	}
	r.state.Verified = [][]bool{all}
	if err := r.certify(t.Context(), f.Meta.Model.Spec, f.Weights()); err == nil || !strings.Contains(err.Error(), "no figure of this run holds") {
		t.Errorf("error %v", err)
	}
}

// TestSmoothingBroken: as many broken certificates as alpha allows pass, more stop the run.
func TestSmoothingBroken(t *testing.T) {
	r := &run{cfg: load(t, "smoothing.alpha=0.001"), state: newState()}
	for _, c := range []struct {
		broken int
		wrong  bool
	}{{0, false}, {1, false}, {4, true}, {20, true}} {
		r.state.Attacked, r.state.Broken = 20, c.broken
		if err := r.checkSmoothing(); (err != nil) != c.wrong {
			t.Errorf("%d of 20 broken: error %v", c.broken, err)
		}
	}
}

// TestCertifiedCounts: a certificate counts where its class is right and its radius large enough.
func TestCertifiedCounts(t *testing.T) {
	r, err := newRun(load(t, "smoothing.examples=5", "smoothing.radii=[0,0.25,0.5]"), quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	r.state = newState()
	some, err := r.smoothed()
	if err != nil {
		t.Fatal(err)
	}
	y := func(i int) int { return int(some.Label(i)) }
	r.state.Certificates = []smoothing.Certificate{{Class: y(0), Radius: 0.25}, {Class: (y(1) + 1) % 4, Radius: 0.9}, {Class: smoothing.Abstain}, {Class: y(3), Radius: 0.1}, {Class: y(4), Radius: 0.6}}
	list, notes, err := r.certified()
	if err != nil {
		t.Fatal(err)
	}
	want := []report.CertifiedAt{{Radius: 0, Right: 3}, {Radius: 0.25, Right: 2}, {Radius: 0.5, Right: 1}}
	if len(list) != 1 || !reflect.DeepEqual(list[0].At, want) || list[0].Abstained != 1 || len(notes) != 1 {
		t.Errorf("%+v, %q", list, notes)
	}
}

// TestCertifyResumes: a certification that is stopped goes on to the same certificates.
func TestCertifyResumes(t *testing.T) {
	checkpoint := filepath.Join(unbroken(t), "best.safetensors")
	set := []string{"smoothing.n=400", "smoothing.examples=20", "smoothing.attacked=3", "smoothing.attack_steps=2", "verify.eps=[0.02]"}
	whole, stopped := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "stopped")
	if err := Certify(t.Context(), load(t, set...), checkpoint, quiet(whole)); err != nil {
		t.Fatal(err)
	}
	// Certificates take two questions each: the choice of the class, and the bound.
	err := Certify(&countdown{t.Context(), 13}, load(t, set...), checkpoint, quiet(stopped))
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	half, _, err := loadState(stopped)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(half.Certificates); n == 0 || n == 20 {
		t.Errorf("%d certificates after the stop: the test shows nothing", n)
	}
	opt := quiet(stopped)
	opt.Resume = true
	if err := Certify(t.Context(), load(t, set...), checkpoint, opt); err != nil {
		t.Fatal(err)
	}
	a, _, err := loadState(whole)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := loadState(stopped)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a.proofs, b.proofs) || len(a.Certificates) != 20 || len(a.Verified) != 1 || a.Tried == 0 {
		t.Errorf("%+v\nafter a stop\n%+v", a.proofs, b.proofs)
	}
}

// countdown is a context that is cancelled after a number of questions.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestVerifiedHoldsAgainstPGD: what the bounds verify, a strong attack does not break, and there is
// something to break.
func TestVerifiedHoldsAgainstPGD(t *testing.T) {
	r, f, err := openEval(t.Context(), load(t, "verify.eps=[0.01,0.02]"), EvalOptions{Checkpoint: filepath.Join(unbroken(t), "best.safetensors")}, quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.verify(f.Meta.Model.Spec, f.Weights()); err != nil {
		t.Fatal(err)
	}
	m, err := r.network(f.Meta.Model.Spec, f.Weights(), 32)
	if err != nil {
		t.Fatal(err)
	}
	for k, eps := range []float64{0.01, 0.02} {
		a := r.cfg.Probe.Attack.Value.At(eps)
		res, err := attacks.Run(m, a, r.test, r.stream("test"), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		held := 0
		for i, ok := range r.state.Verified[k] {
			if ok {
				held++
			}
			if ok && res.Prediction[i] != int(r.test.Label(i)) {
				t.Errorf("eps %v: image %d is verified and broken", eps, i)
			}
		}
		if held == 0 {
			t.Errorf("eps %v: nothing is verified", eps)
		}
	}
}
