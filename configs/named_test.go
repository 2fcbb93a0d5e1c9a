package configs

import "testing"

func TestNamed(t *testing.T) {
	named := Named(&File{Path: "x.toml", Data: []byte("[[eval.attack]]\nname = \"pgd\"\n[[eval.attack]]\neps = 1\n[[eval.attack]]\n[[eval.attack.inner]]\neps = 1\n")}, []string{"probe.norm=l2"})
	for path, want := range map[string]bool{"eval.attack.0": false, "eval.attack.1": true, "eval.attack.2": true, "eval.attack.3": false,
		"eval.attack.x": false, "eval": true, "probe": true, "none.at.all": false, "probe.norm": false} {
		if got := named(path, "eps", "norm"); got != want {
			t.Errorf("%s names eps or norm: %v, want %v", path, got, want)
		}
	}
}
