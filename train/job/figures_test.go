package job

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestGridOfEqualLabels: attacks that share a label keep their own images, and are told apart.
func TestGridOfEqualLabels(t *testing.T) {
	path := filepath.Join(unbroken(t), "best.safetensors")
	out := newFolder(t)
	cfg := load(t, "eval.protocol=none", `eval.attack=[{name="fgsm", eps=0.1}, {name="fgsm", eps=0.3}, {name="noise", eps=0.1}]`)
	if err := Eval(context.Background(), cfg, EvalOptions{Checkpoint: path}, quiet(out)); err != nil {
		t.Fatal(err)
	}
	r, err := newRun(cfg, quiet(out))
	if err != nil {
		t.Fatal(err)
	}
	if r.state, _, err = loadState(out); err != nil {
		t.Fatal(err)
	}
	g := r.attackGrid()
	var names []string
	for _, a := range g.Attacks {
		names = append(names, a.Name)
		most := float32(0)
		for i, s := range a.Images {
			for j, v := range s.Pixels {
				most = max(most, v-g.Clean[i].Pixels[j], g.Clean[i].Pixels[j]-v)
			}
		}
		if want := map[string]float32{"FGSM (Linf, eps 0.3)": 0.3}[a.Name]; most > max(want, 0.1)+1e-6 || want > 0 && most < 0.2 {
			t.Errorf("the images of %s have moved by up to %v", a.Name, most)
		}
	}
	if want := []string{"FGSM (Linf, eps 0.1)", "FGSM (Linf, eps 0.3)", "noise"}; !slices.Equal(names, want) {
		t.Errorf("rows %q, want %q", names, want)
	}
}

// TestAllFigures: where an attack looks for the nearest example, the page has every plot that an
// evaluation draws, inlined.
func TestAllFigures(t *testing.T) {
	out := newFolder(t)
	cfg := load(t, "eval.protocol=none", `eval.attack=[{name="pgd", eps=0.1, steps=3, step_size=0.05}, {name="deepfool", norm="linf", eps=0.1}]`)
	if err := Eval(context.Background(), cfg, EvalOptions{Checkpoint: filepath.Join(unbroken(t), "best.safetensors")}, quiet(out)); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(out, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	titles := []string{"Accuracy against epsilon", "Distance of the nearest adversarial example", "Loss of the attacked images against iterations",
		"Confusion", "What each attack made of the first images"}
	for _, title := range titles {
		if !strings.Contains(string(page), "<figcaption>"+title+"</figcaption>") {
			t.Errorf("the page has no figure %q", title)
		}
	}
	if n := strings.Count(string(page), "data:image/png;base64,"); n != len(titles) {
		t.Errorf("%d figures are inlined, want %d", n, len(titles))
	}
}
