package job

import (
	"path/filepath"
	"reflect"
	"testing"

	"rampart/data"
	"rampart/defenses"
	"rampart/nn"
)

// TestReplayAverage: what is deployed is the average of the weights, and the statistics of its batch
// normalisation are measured on it.
func TestReplayAverage(t *testing.T) {
	normed := `model.layer=[{type="flatten"},{type="dense",out=12},{type="batchnorm"},{type="relu"},{type="dense"}]`
	for name, set := range map[string][]string{
		"ema":             {"train.average.name=ema", "train.average.decay=0.9"},
		"ema, late":       {"train.average.name=ema", "train.average.decay=0.9", "train.average.start=0.5"},
		"swa":             {"train.average.name=swa", "train.average.start=0.4", "train.average.every=4"},
		"ema, normalised": {"train.average.name=ema", "train.average.decay=0.9", "model.name=layers", normed},
	} {
		t.Run(name, func(t *testing.T) {
			dir, r := trained(t, set...), newReplay(t, set...)
			f := r.hardening("", netMember(0), 0, "")
			average, raw := &nn.Average{}, (*nn.Model)(nil)
			replay(t, r, f, weightsIn(t, filepath.Join(dir, "baseline.safetensors")), nil, func(step int, m *nn.Model, _ defenses.Metrics) {
				raw = m
				if rate := f.average.Rate(step, 48, 16, average.Taken); rate > 0 {
					average.Add(m, rate)
				}
			})
			want := average.Weights(raw)
			if raw.HasStatistics() {
				want = measured(t, r, f, want)
			}
			last := weightsIn(t, filepath.Join(dir, "last.safetensors"))
			if !reflect.DeepEqual(last, want) {
				t.Error("the last network is not the average")
			}
			if reflect.DeepEqual(last, raw.Weights()) {
				t.Error("the average is the last weights: the test shows nothing")
			}
		})
	}
}

// measured lets the running statistics of a network settle on one epoch of training batches.
func measured(t *testing.T, r *run, f fitting, weights []nn.Weight) []nn.Weight {
	t.Helper()
	m, err := r.network(r.spec(), weights, f.stage.Batch)
	if err != nil {
		t.Fatal(err)
	}
	s := defenses.NewSession(m, f.stage.Batch)
	s.Noise, s.Dropout = r.stream("training attack "+f.net), number(r.stream("dropout "+f.net))
	loader, err := data.NewLoader(r.train, f.stage.Batch, number(r.stream("shuffle "+f.net)))
	if err != nil {
		t.Fatal(err)
	}
	b := loader.NewBatch()
	for i := range 16 {
		loader.Batch(i, b)
		s.Step = i
		if _, err := f.defense.Step(s, b); err != nil {
			t.Fatal(err)
		}
	}
	after := m.Weights()
	for i, w := range after {
		if w.Name != "bn1.running_mean" && w.Name != "bn1.running_var" {
			if !reflect.DeepEqual(w, weights[i]) {
				t.Errorf("%s has changed", w.Name)
			}
		} else if reflect.DeepEqual(w, weights[i]) {
			t.Errorf("%s has not", w.Name)
		}
	}
	return after
}
