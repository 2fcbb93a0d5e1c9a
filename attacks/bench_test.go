package attacks_test

import (
	"os"
	"path/filepath"
	"testing"

	"rampart/attacks"
	"rampart/checkpoints"
	"rampart/data"
	"rampart/nn/cpu"
	"rampart/nn/rng"
)

// BenchmarkAutoAttack takes MNIST test images through the parts of AutoAttack standard one after the
// other, each on those that have survived, and reports the processor time of each part and of all.
// RAMPART_BENCH_CHECKPOINT names a network besides those of testdata.
func BenchmarkAutoAttack(b *testing.B) {
	const n = 100
	networks := map[string]float64{"testdata/networks/advertorch_lenet5_robust.safetensors": 0.3, "testdata/networks/substitute_trades.safetensors": 0.3}
	if path := os.Getenv("RAMPART_BENCH_CHECKPOINT"); path != "" {
		networks[path] = 0.3
	}
	_, test, err := (&data.MNIST{}).Load()
	if err != nil {
		b.Fatal(err)
	}
	for path, eps := range networks {
		b.Run(filepath.Base(path), func(b *testing.B) {
			network, err := checkpoints.LoadOn(path, cpu.New(0), 250)
			if err != nil {
				b.Fatal(err)
			}
			a, err := decoded("autoattack", "")
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				alive := test.Slice(0, n)
				parts, err := attacks.Parts(a.At(eps), network.Model)
				if err != nil {
					b.Fatal(err)
				}
				begun := processorTime()
				for _, part := range parts {
					before := processorTime()
					res, err := attacks.Run(network.Model, part, alive, rng.New(1, "reference"), nil, nil)
					if err != nil {
						b.Fatal(err)
					}
					var survivors []int
					for i, p := range res.Prediction {
						if p == int(alive.Label(i)) {
							survivors = append(survivors, i)
						}
					}
					alive = alive.Subset(survivors)
					b.ReportMetric((processorTime() - before).Seconds(), part.Label()+"-cpu-s")
				}
				b.ReportMetric((processorTime() - begun).Seconds(), "cpu-s")
				b.ReportMetric(float64(alive.Len()), "robust")
			}
		})
	}
}
