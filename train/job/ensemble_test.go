package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rampart/checkpoints"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
)

// TestMembers: members that differ in network, defence and training are what runs of their own are,
// but for random numbers, and are deployed as one.
func TestMembers(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain.toml")
	text := strings.Replace(tiny, "adversarial = 0.5\nattack = { eps = 0.1, step_size = 0.04, steps = 3 }", "", 1)
	if err := os.WriteFile(plain, []byte(strings.Replace(text, `"pgd_at"`, `"natural"`, 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "several.toml")
	several := tiny + `
[ensemble]
combine = "vote"
[[ensemble.member]]
[[ensemble.member]]
model = { name = "mlp", hidden = [9, 7] }
[[ensemble.member]]
defense = { name = "trades", beta = 2, attack = { eps = 0.12, steps = 2, step_size = 0.06 } }
[[ensemble.member]]
config = '` + plain + `'
`
	if err := os.WriteFile(config, []byte(several), 0o666); err != nil {
		t.Fatal(err)
	}
	read := func() *Config {
		c, err := Load(config, []string{"train.epochs=2"})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	run := newFolder(t)
	if err := Train(context.Background(), read(), quiet(run)); err != nil {
		t.Fatal(err)
	}
	tables(t, run)
	f, err := checkpoints.Read(filepath.Join(run, "best.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if name := f.Meta.Model.Spec.Name(); name != "ensemble of 4 x mlp (majority vote)" {
		t.Errorf("the ensemble is called %q", name)
	}
	if a := f.Meta.ThreatModel.AdversarialShare; a != (0.5+0.5+1+0)/4 {
		t.Errorf("adversarial share %v", a)
	}
	// The first member is the network of a run of its own.
	var first []nn.Weight
	for _, w := range f.Weights() {
		if name, ok := strings.CutPrefix(w.Name, "members.0."); ok {
			first = append(first, nn.Weight{Name: name, Shape: w.Shape, Data: w.Data})
		}
		if w.Name == "members.1.fc2.weight" && !reflect.DeepEqual(w.Shape, []int{7, 9}) {
			t.Errorf("the second member's network: %s %v", w.Name, w.Shape)
		}
	}
	if single := trained(t, "train.epochs=2"); !reflect.DeepEqual(first, weightsIn(t, filepath.Join(single, "best.safetensors"))) {
		t.Error("the first member is not the network of a run without an ensemble")
	}
	log := results(t, run)["log.jsonl"]
	for _, stage := range []string{"member 1", "member 2 warm-up", "member 2", "member 3 warm-up", "member 4 warm-up", "member 4"} {
		if !strings.Contains(log, `"stage":"`+stage+`"`) {
			t.Errorf("no %s in the log", stage)
		}
	}
	// The resolved config says all of it, also where the member's file is gone; a run resumes with it.
	if err := os.Remove(plain); err != nil {
		t.Fatal(err)
	}
	again, err := Load(filepath.Join(run, "config.toml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	again.Name = "several"
	other := newFolder(t)
	if err := Train(stopAt(16+10+32+16+20), again, quiet(other)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := Train(context.Background(), again, resumed(quiet(other))); err != nil {
		t.Fatal(err)
	}
	same(t, "resumed from the resolved config", other, run)
}

// TestMemberMistakes: what is wrong with the list of members is said before anything is trained.
func TestMemberMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"[ensemble]\nmembers = 3\n[[ensemble.member]]\n[[ensemble.member]]":                              `"ensemble.members": 3, but 2 are listed`,
		"[ensemble]\n[[ensemble.member]]":                                                                `"ensemble.members": 1: an ensemble has between 2 and 64`,
		"[ensemble]\nmembers = 1":                                                                        `"ensemble.members": 1: an ensemble has between 2 and 64`,
		"[ensemble]\ncombine = \"stacked\"":                                                              `unknown combination "stacked": use "logits", "probability" or "vote"`,
		"[[ensemble.member]]\n[[ensemble.member]]\nconfig = \"tiny.toml\"\nmodel.name = \"mlp\"":         `"tiny.toml" brings all of a member`,
		"[[ensemble.member]]\n[[ensemble.member]]\nconfig = \"none.toml\"":                               `ensemble, member 2: config "none.toml" is neither a file`,
		"[[ensemble.member]]\n[[ensemble.member]]\ndefense.name = \"ard\"":                               `"ard" learns from a hardened teacher`,
		"[distill]\n[[ensemble.member]]\n[[ensemble.member]]\ndefense.name = \"trades\"":                 `member 2: the defence "trades" has a loss of its own`,
		"[[ensemble.member]]\n[[ensemble.member]]\nconfig = \"bad.toml\"":                                `ensemble, member 2: "bad.toml" has a table [ensemble], [distill]`,
		"[[ensemble.member]]\n[[ensemble.member]]\n[ensemble.member.train]\nepochs = 2\nsteps = 1\n\n\n": `epochs = 2 is set too`,
	} {
		path := filepath.Join(t.TempDir(), "bad.toml")
		if err := os.WriteFile(path, []byte(tiny+text), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("bad.toml", []byte(tiny+"[ensemble]"), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

// TestVoteIsDeployed: the class of an ensemble that votes is the one most members choose.
func TestVoteIsDeployed(t *testing.T) {
	dir := trained(t, "ensemble.members=3", "ensemble.combine=vote", "train.epochs=1")
	n, err := checkpoints.LoadOn(filepath.Join(dir, "best.safetensors"), cpu.New(1), 4)
	if err != nil {
		t.Fatal(err)
	}
	votes := make([][4]int, 20)
	for i, spec := range n.Model.Spec.Members {
		var part []nn.Weight
		for _, w := range n.Model.Weights() {
			if name, ok := strings.CutPrefix(w.Name, fmt.Sprintf("members.%d.", i)); ok {
				w.Name = name
				part = append(part, w)
			}
		}
		for r, z := range logits(t, spec, part) {
			votes[r][argmax(z)]++
		}
	}
	split := 0
	for r, z := range logits(t, n.Model.Spec, n.Model.Weights()) {
		for _, v := range votes[r] {
			if v > votes[r][argmax(z)] {
				t.Errorf("row %d: class %d is deployed, the votes are %v", r, argmax(z), votes[r])
			}
			if v == 1 || v == 2 {
				split++
			}
		}
	}
	if split == 0 {
		t.Error("the members agree everywhere: nothing was tested")
	}
}

func argmax(z []float64) int {
	row := make([]float32, len(z))
	for i, v := range z {
		row[i] = float32(v)
	}
	return device.Argmax(row)
}

// TestMembersReported: an ensemble's folder sets it beside its members, and shows what passes from
// one to the other.
func TestMembersReported(t *testing.T) {
	var said strings.Builder
	dir := newFolder(t)
	o := quiet(dir)
	o.Stdout = &said
	if err := Train(context.Background(), load(t, "ensemble.members=2", "train.epochs=2"), o); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "members.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Rows     []comparedRow
		Transfer struct {
			Names    []string
			Accuracy [][]*float64
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if names := got.Transfer.Names; !slices.Equal(names, []string{"ensemble", "member 1", "member 2", "mean loss"}) || len(got.Rows) != 3 {
		t.Fatalf("%d rows, transfer between %q", len(got.Rows), names)
	}
	m := got.Transfer.Accuracy
	for i := range 3 {
		if m[i][3] != nil || *got.Rows[i].Attacks["PGD-3"] != *m[i][i] || got.Rows[i].Clean == nil {
			t.Errorf("row %d: %+v, transfer %v", i, got.Rows[i], m[i])
		}
		for k := range m {
			if *m[k][i] < *m[i][i]-0.2 { // 20 images: four of them
				t.Errorf("the network in column %d is hurt more by row %d than by itself", i, k)
			}
		}
	}
	if !strings.Contains(said.String(), "mean loss") {
		t.Error("the table is not printed")
	}
	if _, err := os.Stat(filepath.Join(unbroken(t), "members.json")); err == nil {
		t.Error("a network without members has a report of them")
	}
}
