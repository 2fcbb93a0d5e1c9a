package job

import (
	"fmt"
	"reflect"
	"testing"

	"rampart/data"
	"rampart/defenses"
	"rampart/nn/cuda"
	"rampart/nn/cuda/ptx"
)

// TestLoadAhead: on a GPU, too, each step trains on its own batch, though that was sent a step before.
func TestLoadAhead(t *testing.T) {
	for _, replays := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d replays", replays), func(t *testing.T) {
			r := newReplay(t)
			var err error
			if r.dev, err = cuda.New(ptx.NewMachine(1), 0); err != nil {
				t.Fatal(err)
			}
			r.state = newState()
			f := r.natural("", netBaseline, 0)
			tr, err := r.newTrainer(f)
			if err != nil {
				t.Fatal(err)
			}
			loader, err := data.NewLoader(r.train, f.stage.Batch, number(r.stream("shuffle "+f.net)))
			if err != nil {
				t.Fatal(err)
			}
			tr.session.Later = false
			plain, batch := defenses.NewSession(tr.model, f.stage.Batch), loader.NewBatch()
			plain.Dropout = tr.session.Dropout
			first := loader.StepsPerEpoch() - 2 // into the next epoch
			tr.replays, tr.total = replays, (first+4)*replays
			for step := first * replays; step < tr.total; step++ {
				tr.load(step)
				loader.Batch(step/replays, batch)
				if !reflect.DeepEqual(tr.batch, batch) {
					t.Fatalf("step %d has another batch", step)
				}
				got, err := f.defense.Step(tr.session, tr.batch)
				if err != nil {
					t.Fatal(err)
				}
				want, err := f.defense.Step(plain, batch)
				if err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("step %d gives %+v, want %+v", step, got, want)
				}
			}
		})
	}
}
