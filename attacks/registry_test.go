package attacks_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rampart/attacks"
	"rampart/data"
	"rampart/nn/registry"
)

// quick are options of attacks whose defaults take long.
var quick = map[string]string{
	"cw":          "binary_search_steps = 3\nsteps = 12\nstep_size = 0.1\ninitial_const = 0.3\n",
	"ead":         "binary_search_steps = 3\nsteps = 12\nstep_size = 0.05\ninitial_const = 0.3\n",
	"hopskipjump": "steps = 3\ninitial_num_evals = 10\nmax_queries = 150\n",
	"transfer":    "checkpoint = \"other\"\n",
	"eot":         "samples = 2\n",
}

// each runs a test for every registered attack, with its defaults, the quick ones, and in each norm
// that it knows.
func each(t *testing.T, f func(t *testing.T, a attacks.Attack)) {
	names := registry.Names[attacks.Attack]()
	for _, want := range []string{"apgd", "apgd_t", "autoattack", "fab", "fab_t", "fgsm", "noise", "pgd", "square"} {
		if !slices.Contains(names, want) {
			t.Errorf("attack %q is not registered", want)
		}
	}
	for _, name := range names {
		for _, options := range []string{"", "norm = \"l2\"\neps = 0.8", "norm = \"l1\"\neps = 2.5"} {
			a, err := decoded(name, quick[name]+options)
			if err != nil && strings.Contains(err.Error(), "unknown key") {
				continue // it has no such option
			}
			if err != nil && strings.Contains(err.Error(), "attack.norm") {
				continue // it does not know the norm
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			frugal(a)
			if s, ok := a.(attacks.Sourced); ok {
				s.SetSource(build(t, spec(16), 1, 9))
			}
			t.Run(name+" "+a.Threat().String(), func(t *testing.T) { f(t, a) })
		}
	}
}

// frugal cuts an attack's budget to what a test can wait for: options by these names, whatever the
// attack.
func frugal(a attacks.Attack) {
	v := reflect.ValueOf(a).Elem()
	for i := range v.NumField() {
		if most, ok := map[string]int64{"steps": 16, "n_queries": 25}[v.Type().Field(i).Tag.Get("toml")]; ok {
			v.Field(i).SetInt(min(v.Field(i).Int(), most))
		}
	}
}

// TestInsideBallAndBox: what Run returns is what the threat model allows.
func TestInsideBallAndBox(t *testing.T) {
	d, m := bars(t, 50, 2), build(t, spec(16), 2, 20)
	clean := imagesOf(d)
	each(t, func(t *testing.T, a attacks.Attack) {
		res := run(t, m, a, d)
		eps, moved := float64(a.Threat().Epsilon), 0.0
		for i := range d.Len() {
			adv := res.Adv[i*pixels : (i+1)*pixels]
			linf, l2 := distances(adv, clean[i*pixels:])
			l1 := attacks.L1.Distance(adv, clean[i*pixels:])
			switch n := a.Threat().Norm; {
			case n == attacks.Linf && linf > eps+1e-7, n == attacks.L2 && l2 > eps*(1+1e-6), n == attacks.L1 && l1 > eps*(1+1e-6):
				t.Errorf("example %d has moved by Linf %v, L2 %v, L1 %v", i, linf, l2, l1)
			}
			for _, v := range adv {
				if !(v >= 0 && v <= 1) {
					t.Fatalf("example %d has a pixel of %v", i, v)
				}
			}
			moved += linf
		}
		if moved == 0 {
			t.Error("no example has moved")
		}
	})
}

// TestPredictionsAreOfTheImages: what is reported is what the network says of the images returned.
func TestPredictionsAreOfTheImages(t *testing.T) {
	d, m := bars(t, 50, 2), trained(t, 1, 20)
	each(t, func(t *testing.T, a attacks.Attack) {
		res := run(t, m, a, d)
		z := logitsOf(t, m, res.Adv)
		for i, p := range res.Prediction {
			row := z[i*classes : (i+1)*classes]
			if float64(row[p]) < float64(slices.Max(row)) {
				t.Errorf("example %d: prediction %d, logits %v", i, p, row)
			}
			if want := math.Exp(-crossEntropy(row, p)); math.Abs(float64(res.Confidence[i])-want) > 1e-6 {
				t.Errorf("example %d: confidence %v, want %v", i, res.Confidence[i], want)
			}
		}
	})
}

// TestSameResult: neither batch size nor threads nor order change a bit.
func TestSameResult(t *testing.T) {
	d := bars(t, 64, 3)
	order := make([]int, d.Len())
	for i := range order {
		order[i] = i * 37 % d.Len()
	}
	each(t, func(t *testing.T, a attacks.Attack) {
		want := run(t, trained(t, 1, 64), a, d)
		for _, c := range []struct {
			name          string
			threads, rows int
			d             *data.Dataset
			order         []int
		}{
			{"rows 3", 1, 3, d, nil}, {"rows 7", 2, 7, d, nil}, {"5 threads", 5, 64, d, nil},
			{"another order", 2, 7, d.Subset(order), order}, {"a part", 1, 64, d.Subset(order[:9]), order[:9]},
		} {
			got := run(t, trained(t, c.threads, c.rows), a, c.d)
			for k := range c.d.Len() {
				i := k
				if c.order != nil {
					i = c.order[k]
				}
				if !slices.Equal(got.Adv[k*pixels:(k+1)*pixels], want.Adv[i*pixels:(i+1)*pixels]) ||
					got.Prediction[k] != want.Prediction[i] || got.Confidence[k] != want.Confidence[i] {
					t.Fatalf("%s: example %d differs", c.name, i)
				}
			}
			if c.d.Len() == d.Len() && got.Counts != want.Counts {
				t.Errorf("%s: counts %+v, want %+v", c.name, got.Counts, want.Counts)
			}
		}
	})
}

// TestAt: another epsilon is the same attack in proportion, and leaves the first as it is.
func TestAt(t *testing.T) {
	each(t, func(t *testing.T, a attacks.Attack) {
		eps := float64(a.Threat().Epsilon)
		half := a.At(eps / 2)
		if got := float64(half.Threat().Epsilon); got != eps/2 {
			t.Errorf("epsilon %v, want %v", got, eps/2)
		}
		if float64(a.Threat().Epsilon) != eps {
			t.Error("At has changed the attack that it was called on")
		}
		if half.Label() != a.Label() || half.Restarts() != a.Restarts() || half.Gradients() != a.Gradients() || half.Threat().Norm != a.Threat().Norm {
			t.Error("At has changed more than epsilon")
		}
		if err := half.Validate(); err != nil {
			t.Error(err)
		}
	})
	if p := pgd(t, nil).At(0.15).(*attacks.PGD); math.Abs(float64(p.StepSize)-0.005) > 1e-12 {
		t.Errorf("PGD's step is %v, want 0.005", p.StepSize)
	}
	a, err := decoded("fgsm", "random_start = true\nstep_size = 0.2")
	if err != nil {
		t.Fatal(err)
	}
	if f := a.At(0.6).(*attacks.FGSM); math.Abs(float64(f.StepSize)-0.4) > 1e-12 {
		t.Errorf("FGSM's step is %v, want 0.4", f.StepSize)
	}
}

// TestGradientsAsPromised: no attack takes more gradients than it says.
func TestGradientsAsPromised(t *testing.T) {
	d, m := bars(t, 30, 2), trained(t, 1, 16)
	each(t, func(t *testing.T, a attacks.Attack) {
		if got, most := run(t, m, a, d).Counts.Gradients, a.Gradients()*a.Restarts()*d.Len(); got > most {
			t.Errorf("%d gradients, at most %d were promised", got, most)
		}
	})
}
