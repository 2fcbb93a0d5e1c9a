package job

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"rampart/attacks/audit"
	"rampart/checkpoints"
	"rampart/train/report"
)

// check16 is what check 16 found, by the state in a folder.
func check16(t *testing.T, dir string) report.Check {
	t.Helper()
	s, _, err := loadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(s.Checks, func(c report.Check) bool { return c.Number == 16 })
	if i < 0 {
		t.Fatalf("%d checks, not the 16th", len(s.Checks))
	}
	return s.Checks[i]
}

// TestRecordFails: a claim about a checkpoint that says nothing of how it was chosen fails check 16; a
// run's own passes.
func TestRecordFails(t *testing.T) {
	if c := check16(t, unbroken(t)); c.Verdict != report.Pass {
		t.Errorf("a whole run: %s, %s", c.Verdict, c.Text)
	}
	f, err := checkpoints.Read(filepath.Join(unbroken(t), "best.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for text, config := range map[string]string{"it says": f.Meta.Config, "the report does not say: selection split": ""} {
		f.Meta.Config = config
		dir := t.TempDir()
		path := filepath.Join(dir, "best.safetensors")
		if err := checkpoints.Write(path, f); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "out")
		if err := Eval(context.Background(), load(t), EvalOptions{Checkpoint: path}, quiet(out)); err != nil {
			t.Fatal(err)
		}
		if c := check16(t, out); len(c.Text) < len(text) || c.Text[:len(text)] != text || (c.Verdict == report.Fail) != (config == "") {
			t.Errorf("%q: %s, %s", text, c.Verdict, c.Text)
		}
	}
}

// TestRecordedGaps: what the report lacks is not said to be there.
func TestRecordedGaps(t *testing.T) {
	r, err := newRun(load(t), quiet(""))
	if err != nil {
		t.Fatal(err)
	}
	if r.state, _, err = loadState(unbroken(t)); err != nil {
		t.Fatal(err)
	}
	facts := func() map[string]string {
		record, err := r.recorded()
		if err != nil {
			t.Fatal(err)
		}
		return record
	}
	if got := facts(); len(got) != 7 {
		t.Errorf("a whole run says %v", got)
	}
	r.state.Outcomes[report.After][2].Options = nil
	if got := facts(); len(got) != 6 || got[audit.FactOptions] != "" {
		t.Errorf("without an attack's settings it says %v", got)
	}
}
