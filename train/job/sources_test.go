package job

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"rampart/checkpoints"
)

// TestSources: ensemble adversarial training with networks that are trained first, and with the
// same ones from files; interrupted and resumed.
func TestSources(t *testing.T) {
	set := []string{"defense.name=ensemble_at", "defense.attack.name=pgd", "defense.attack.name=pgd", "defense.attack.eps=0.1", "defense.attack.steps=2", "defense.attack.step_size=0.05",
		"defense.attack.early_stop=false", "defense.attack.keep_best=false", `sources={trained=2, model=[{name="mlp", hidden=[5]}]}`, "train.epochs=2"}
	dir := trained(t, set...)
	tables(t, dir)
	s, _, err := loadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := s.nets["source 1"], s.nets["source 2"]; len(a) == 0 || reflect.DeepEqual(a, b) || a[0].Shape[0] != 5 {
		t.Errorf("the sources are %d and %d weights", len(a), len(b))
	}
	again := newFolder(t)
	if err := Train(stopAt(16+10+32+20), load(t, set...), quiet(again)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := Train(context.Background(), load(t, set...), resumed(quiet(again))); err != nil {
		t.Fatal(err)
	}
	same(t, "resumed", again, dir)

	// The first of them from a file, the network of the run itself from the other.
	best := filepath.Join(unbroken(t), "best.safetensors")
	from := trained(t, append(set, `sources={checkpoints=["`+best+`"]}`)...)
	tables(t, from)
	if s, _, err = loadState(from); err != nil || !reflect.DeepEqual(s.nets["source 1"], weightsIn(t, best)) || s.nets["source 2"] != nil {
		t.Errorf("sources from a file: %v", err)
	}
	f, err := checkpoints.Read(filepath.Join(from, "best.safetensors"))
	if err != nil || f.Meta.ThreatModel.AdversarialShare != 0.5 {
		t.Errorf("the checkpoint: %+v, %v", f.Meta.ThreatModel, err)
	}
	for want, bad := range map[string][]string{
		`makes examples on pretrained networks, too: add a table [sources]`: {"defense.name=ensemble_at", "defense.attack.name=pgd"},
		`"pgd_at" makes examples on no other network`:                       {"sources.trained=1"},
		`name or train at least one network`:                                {"defense.name=ensemble_at", "defense.attack.name=pgd", "sources.trained=0"},
		`2 networks are listed, but 1 are trained`:                          {"defense.name=ensemble_at", "defense.attack.name=pgd", `sources={trained=1, model=[{name="mlp"}, {name="mlp"}]}`},
		`checkpoint "none.safetensors" cannot be read`:                      {"defense.name=ensemble_at", "defense.attack.name=pgd", `sources.checkpoints=["none.safetensors"]`},
	} {
		if _, err := Load("tiny.toml", bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
