package job

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"rampart/attacks"
	"rampart/checkpoints"
	"rampart/configs"
	"rampart/nn"
)

// listing writes a config that compares variants of tiny, and loads it.
func listing(t *testing.T, compare string, set ...string) *Comparison {
	t.Helper()
	dir := t.TempDir()
	var names []string
	for name, defense := range map[string]string{"mixed": `"pgd_at"`, "bare": `"natural"`} {
		path := filepath.Join(dir, name+".toml")
		text := strings.ReplaceAll(tiny, "adversarial = 0.5\nattack = { eps = 0.1, step_size = 0.04, steps = 3 }", "")
		if name == "mixed" {
			text = tiny
		}
		if err := os.WriteFile(path, []byte(strings.Replace(text, `"pgd_at"`, defense, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
		names = append(names, `"`+path+`"`)
	}
	if names[0] > names[1] {
		names[0], names[1] = names[1], names[0]
	}
	_, eval, _ := strings.Cut(tiny, "[eval]")
	path := filepath.Join(dir, "both.toml")
	if err := os.WriteFile(path, []byte("[compare]\nconfigs = ["+strings.Join(names, ", ")+"]\n"+compare+"\n[eval]\nprotocol = \"none\""+eval), 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := LoadComparison([]string{path}, set)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type comparedRow struct {
	Strategy     string
	Clean, Worst *float64
	Attacks      map[string]*float64
	Runs         int
	Error        string
}

// compared reads compare.json.
func compared(t *testing.T, dir string) (list struct {
	Rows     []comparedRow
	Transfer struct{ Accuracy [][]float64 }
}) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "compare.json"))
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func jobs(dir string, n int) CompareOptions { return CompareOptions{Options: quiet(dir), Jobs: n} }

// TestCompare: the figures are those of the runs on their own, and depend neither on how many run
// side by side nor on an interruption.
func TestCompare(t *testing.T) {
	dir := newFolder(t)
	if err := Compare(context.Background(), listing(t, ""), jobs(dir, 1)); err != nil {
		t.Fatal(err)
	}
	want := compared(t, dir)
	if len(want.Rows) != 2 || want.Rows[0].Strategy != "bare" || want.Rows[1].Strategy != "mixed" {
		t.Fatalf("rows: %+v", want.Rows)
	}
	// The same network, measured by eval.
	alone := newFolder(t)
	if err := Eval(context.Background(), load(t, "seed=1", "eval.protocol=none"), EvalOptions{Checkpoint: filepath.Join(dir, "mixed", "best.safetensors")}, quiet(alone)); err != nil {
		t.Fatal(err)
	}
	mixed := want.Rows[1]
	for _, r := range rows(t, alone, "after") {
		got := mixed.Attacks[r.Attack]
		switch r.Attack {
		case "clean":
			got = mixed.Clean
		case "worst case":
			got = mixed.Worst
		}
		if got == nil || *got != r.Accuracy {
			t.Errorf("%s: %v compared, %v alone", r.Attack, got, r.Accuracy)
		}
	}
	if m := want.Transfer.Accuracy; len(m) != 2 || m[0][0] > m[1][0] || m[1][1] > m[0][1] {
		t.Errorf("transfer %v: a network's own examples should hurt it most", m)
	}
	for name, c := range map[string]struct{ jobs, stop int }{"side by side": {2, 0}, "stopped in training": {1, 30}, "stopped while measuring": {1, 100}, "stopped side by side": {2, 70}} {
		t.Run(name, func(t *testing.T) {
			again := newFolder(t)
			if c.stop > 0 {
				err := Compare(countdown(c.stop), listing(t, ""), jobs(again, c.jobs))
				if !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if _, err := os.Stat(filepath.Join(again, "compare.json")); err == nil {
					t.Fatal("an interrupted comparison was written")
				}
			}
			if err := Compare(context.Background(), listing(t, ""), jobs(again, c.jobs)); err != nil {
				t.Fatal(err)
			}
			if got := compared(t, again); !reflect.DeepEqual(got, want) {
				t.Errorf("rows %+v, want %+v", got, want)
			}
			for _, name := range []string{"bare", "mixed"} {
				if !reflect.DeepEqual(weightsIn(t, filepath.Join(again, name, "best.safetensors")), weightsIn(t, filepath.Join(dir, name, "best.safetensors"))) {
					t.Errorf("%s: other weights", name)
				}
				if _, err := os.Stat(filepath.Join(again, name+"-2")); err == nil {
					t.Errorf("%s was trained twice", name)
				}
			}
		})
	}
}

// TestCompareFails: a strategy that fails has its error in its row, the others their figures; once
// it is mended, only it is trained.
func TestCompareFails(t *testing.T) {
	dir := newFolder(t)
	c := listing(t, "transfer_n = 0\nrepeat = 2")
	c.strategies[0].cfg.Train.Optimizer = absurd()
	err := Compare(context.Background(), c, jobs(dir, 2))
	if err == nil || !strings.Contains(err.Error(), "2 of 4 failed") || !strings.Contains(err.Error(), "bare, seed 2: training: step 2") {
		t.Fatal(err)
	}
	got := compared(t, dir)
	if r := got.Rows[0]; r.Runs != 0 || r.Clean != nil || !strings.Contains(r.Error, "training: step 2") {
		t.Errorf("the row that failed: %+v", r)
	}
	if r := got.Rows[1]; r.Runs != 2 || r.Clean == nil || r.Worst == nil || r.Error != "" {
		t.Errorf("the row that did not: %+v", r)
	}
	before := snapshot(t, filepath.Join(dir, "mixed"))
	if err := Compare(context.Background(), listing(t, "transfer_n = 0\nrepeat = 2"), jobs(dir, 1)); err != nil {
		t.Fatal(err)
	}
	if r := compared(t, dir).Rows[0]; r.Runs != 2 || r.Clean == nil || r.Error != "" {
		t.Errorf("the row that was mended: %+v", r)
	}
	after := snapshot(t, filepath.Join(dir, "mixed"))
	for name, text := range before {
		if strings.HasSuffix(name, "best.safetensors") && text != after[name] {
			t.Errorf("%s has changed", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "mixed-2")); err == nil {
		t.Error("what had not failed was trained again")
	}
}

// TestCompareClaim: another threat model is another evaluation of the same networks.
func TestCompareClaim(t *testing.T) {
	dir := newFolder(t)
	for i, set := range [][]string{nil, {"compare.norm=linf", "compare.eps=0.05"}} {
		c := listing(t, "transfer_n = 0", append(set, "eval.attack=[]", "eval.curve_eps=[]", "eval.n=20", "eval.protocol=standard", "compare.set=[\"train.epochs=1\"]")...)
		if want := []float64{0.1, 0.05}[i]; c.threat != (attacks.Threat{Norm: attacks.Linf, Epsilon: c.threat.Epsilon}) || float64(c.threat.Epsilon) != want {
			t.Errorf("the threat model is %v", c.threat)
		}
		if err := Compare(context.Background(), c, jobs(dir, 2)); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(filepath.Join(dir, "mixed", "compare-2"))
		if there := err == nil; there != (i == 1) {
			t.Errorf("comparison %d: a second evaluation is there: %v", i, there)
		}
	}
	if f, err := checkpoints.Read(filepath.Join(dir, "mixed", "best.safetensors")); err != nil || len(f.Meta.Figures) != 3 {
		t.Errorf("figures of a network that its run has not attacked: %+v, %v", f.Meta.Figures, err)
	}
}

// counted is stopAt for several jobs at once.
type counted struct {
	context.Context
	left atomic.Int64
}

func (c *counted) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

func countdown(n int) context.Context {
	c := &counted{Context: context.Background()}
	c.left.Store(int64(n))
	return c
}

// absurd is an optimiser that diverges.
func absurd() configs.Choice[nn.Optimizer] {
	o := choose[nn.Optimizer]("sgd")
	o.Value.(*nn.SGD).LR = 1e30
	return o
}
