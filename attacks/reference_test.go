package attacks_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rampart/attacks"
	"rampart/checkpoints"
	"rampart/configs"
	"rampart/data"
	"rampart/nn/cpu"
	"rampart/nn/rng"
)

// reference is what pyautoattack found on a network; see testdata/networks/reference.py.
type reference struct {
	Eps   configs.Number
	Clean string
	Runs  map[string]map[string]struct {
		Robust  int
		Flags   string
		Seconds float64
	}
}

// TestReference: AutoAttack standard leaves no more robust than pyautoattack does, on networks that
// other software trained. By default on the first images of the fastest network, with one seed;
// RAMPART_REFERENCE=full takes the 1,000 images and every seed of each network.
//
// The bound: on the same images two runs of the same random attack differ by the few whose outcome
// is a matter of luck; at most one example above on average and three in a run is what is promised.
func TestReference(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute of AutoAttack")
	}
	full := os.Getenv("RAMPART_REFERENCE") == "full"
	_, test, err := (&data.MNIST{}).Load()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/networks/*.reference.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no reference figures: %v", err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var ref reference
		if err := json.Unmarshal(text, &ref); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		network := path[:len(path)-len(".reference.json")]
		n := 1000
		if !full {
			if filepath.Base(network) != "substitute_trades" {
				continue
			}
			n = 60
		}
		v, err := checkpoints.LoadOn(network+".safetensors", cpu.New(0), 250)
		if err != nil {
			t.Fatal(err)
		}
		seeds := ref.Runs["standard"]
		if len(seeds) == 0 {
			t.Fatalf("%s holds no run of AutoAttack standard", path)
		}
		above, runs := 0, 0
		for _, seed := range slices.Sorted(maps.Keys(seeds)) {
			if runs++; runs > 1 && !full {
				runs--
				break
			}
			want := seeds[seed]
			a, err := decoded("autoattack", "")
			if err != nil {
				t.Fatal(err)
			}
			d, robust := test.Slice(0, n), 0
			for _, flag := range want.Flags[:n] {
				robust += int(flag - '0')
			}
			begun := time.Now()
			res, err := attacks.Run(v.Model, a.At(float64(ref.Eps)), d, rng.New(uint64(runs), "reference"), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := res.Correct(d)
			above += got - robust
			t.Logf("%s, seed %s, n = %d: %d robust here in %.1f s, %d by pyautoattack (%.1f s of CPU time for 1,000)", filepath.Base(network), seed, n, got, time.Since(begun).Seconds(), robust, want.Seconds)
			if got > robust+3 {
				t.Errorf("%s, seed %s: %d robust, pyautoattack leaves %d", network, seed, got, robust)
			}
		}
		if above > runs {
			t.Errorf("%s: %d robust examples more than pyautoattack's in %d runs", network, above, runs)
		}
	}
}
