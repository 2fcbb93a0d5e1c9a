package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"rampart/checkpoints"
	"rampart/checkpoints/onnx"
	"rampart/nn"
	"rampart/nn/cpu"
)

// apart is a small normalised network, trained with separate batch normalisations.
var apart = []string{"model.name=layers", `model.layer=[{type="flatten"},{type="dense",out=12},{type="batchnorm"},{type="relu"},{type="dense"}]`,
	"train.attack_bn=separate"}

// TestSeparate: the branch that is deployed is the one that the config names, the other one lies beside it,
// and a run that is stopped and goes on ends with the same bits, averaged weights included.
func TestSeparate(t *testing.T) {
	for _, set := range [][]string{nil, {"train.deploy_bn=clean", "train.average.name=ema"}} {
		set = append(append([]string{}, apart...), set...)
		dir := trained(t, set...)
		want := nn.CleanRows
		if len(set) > len(apart) {
			want = nn.AdversarialRows
		}
		f := read(t, filepath.Join(dir, "best.safetensors"))
		if f.Meta.Model.Spec.Auxiliary != want {
			t.Errorf("auxiliary branches are those of %q rows", f.Meta.Model.Spec.Auxiliary)
		}
		if spec := read(t, filepath.Join(dir, "baseline.safetensors")).Meta.Model.Spec; spec.Auxiliary != "" {
			t.Errorf("the baseline has auxiliary branches for %q rows", spec.Auxiliary)
		}
		byName := map[string][]float32{}
		for _, w := range f.Weights() {
			byName[w.Name] = w.Data
		}
		for _, last := range []string{"weight", "bias", "running_mean", "running_var"} {
			main, aux := byName["bn1."+last], byName["bn1.aux_bn.0."+last]
			if len(aux) != 12 || reflect.DeepEqual(main, aux) {
				t.Errorf("bn1.%s is %v, that of the auxiliary branch %v", last, main, aux)
			}
		}
		if n, err := checkpoints.LoadOn(filepath.Join(dir, "best.safetensors"), cpu.New(1), 4); err != nil || n.Model.Spec.Auxiliary != "" {
			t.Errorf("loaded with auxiliary branches, or not at all: %v", err)
		}
		var info bytes.Buffer
		if err := Info(filepath.Join(dir, "best.safetensors"), Options{Stdout: &info}); err != nil {
			t.Fatal(err)
		}
		if line := fmt.Sprintf("that of %s rows is deployed; that of %s rows is under aux_bn", want.Other(), want); !strings.Contains(info.String(), line) {
			t.Errorf("info says %s", info.String())
		}

		stopped := newFolder(t)
		if err := Train(stopAt(35), load(t, set...), quiet(stopped)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := Train(context.Background(), load(t, set...), resumed(quiet(stopped))); err != nil {
			t.Fatal(err)
		}
		same(t, "stopped", stopped, dir)
	}
}

// TestSeparateExport: the ONNX file holds the deployed branch alone, the safetensors file both.
func TestSeparateExport(t *testing.T) {
	dir := trained(t, append([]string{"train.epochs=1"}, apart...)...)
	var notes bytes.Buffer
	out := filepath.Join(dir, "out.safetensors")
	if err := Export(ExportOptions{filepath.Join(dir, "best.safetensors"), "safetensors", out}, Options{Stdout: &bytes.Buffer{}, Stderr: &notes}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(notes.String(), "second branch under aux_bn") {
		t.Errorf("notes %q", notes.String())
	}
	if err := Export(ExportOptions{filepath.Join(dir, "best.safetensors"), "onnx", filepath.Join(dir, "out.onnx")}, quiet("")); err != nil {
		t.Fatal(err)
	}
	n, err := onnx.Read(filepath.Join(dir, "out.onnx"), onnx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range n.File.Tensors {
		if strings.Contains(w.Name, "aux_bn") {
			t.Errorf("the ONNX file has %s", w.Name)
		}
	}
}

// TestSeparateEnsemble: members have branches of their own.
func TestSeparateEnsemble(t *testing.T) {
	dir := trained(t, append([]string{"ensemble.members=2", "train.epochs=1"}, apart...)...)
	for i, m := range read(t, filepath.Join(dir, "best.safetensors")).Meta.Model.Spec.Members {
		if m.Auxiliary != nn.CleanRows {
			t.Errorf("member %d: %q", i, m.Auxiliary)
		}
	}
}

// TestSeparateErrors: what has not both kinds of rows, or no branches, is refused.
func TestSeparateErrors(t *testing.T) {
	for _, test := range []struct {
		set  []string
		want string
	}{
		{[]string{"defense.adversarial=1"}, `"train.attack_bn": "separate": the defence "pgd_at", as it is set, does not train on adversarial and clean rows together`},
		{[]string{"defense.name=natural"}, `the defence "natural", as it is set, does not train on`},
		{[]string{"defense.adversarial=0.01"}, `"train.attack_bn": "separate": 0 rows of a batch of 16 are adversarial: both kinds are needed`},
		{[]string{`input.transform=[{name="bit_depth",bits=3}]`}, `"train.attack_bn": "separate" does not go with input.transform`},
		{[]string{"train.deploy_bn=noisy"}, `"train.deploy_bn": "noisy": use "adversarial" or "clean"`},
		{[]string{"train.attack_bn=eval", "train.deploy_bn=clean"}, `"train.deploy_bn": "clean": there is one branch to deploy, unless attack_bn = "separate"`},
	} {
		_, err := Load("tiny.toml", append(append([]string{}, apart...), test.set...))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: error %v, want %s", test.set, err, test.want)
		}
	}
	for _, kind := range []string{"train", "separate"} {
		dir, cfg := newFolder(t), "train.attack_bn="+kind
		for what, err := range map[string]error{
			"train": Train(context.Background(), load(t, cfg), quiet(dir)),
			"plan":  Plan(load(t, cfg), quiet("")),
		} {
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("train.attack_bn = %q: mlp has no batch normalisation", kind)) {
				t.Errorf("%s, %s: error %v", cfg, what, err)
			}
			isUsage(t, err)
		}
		if taken, err := inUse(dir); err != nil || taken {
			t.Errorf("%s: a folder was made", cfg)
		}
	}
}
