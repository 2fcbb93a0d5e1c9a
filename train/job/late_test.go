package job

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"rampart/nn/device"
)

// late is a device whose updates are judged only when it is asked, as a GPU's are.
type late struct {
	device.Device
	bad     int            // the step whose gradient is not finite
	after   func(step int) // called by each update
	pending error
}

func (d *late) Update(rule device.Optimizer, params *device.Parameters, lr float32, step int) error {
	if step == d.bad {
		params.List[0].Grad.Upload([]float32{float32(math.Inf(1))}, 0)
	}
	if d.pending == nil {
		d.pending = d.Device.Update(rule, params, lr, step)
	}
	d.after(step)
	return nil
}

func (d *late) Settle(*device.Parameters) error {
	err := d.pending
	d.pending = nil
	return err
}

// TestLate: a step that is found not finite later on is reported at the next line of the log, by its own number.
// An interruption before that keeps nothing.
func TestLate(t *testing.T) {
	for _, test := range []struct {
		name             string
		every, stop, ran int
	}{{"at a line of the log", 5, 0, 5}, {"at an interruption", 1000, 4, 4}} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			dir := t.TempDir()
			l, err := openLog(filepath.Join(dir, "log.jsonl"), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer l.close()
			r, err := newRun(load(t, fmt.Sprint("train.log_every=", test.every)), quiet(dir))
			if err != nil {
				t.Fatal(err)
			}
			ran := 0
			r.state, r.log, r.dir = newState(), l, dir
			r.dev = &late{Device: r.dev, bad: 3, after: func(step int) {
				if ran = step; step == test.stop {
					cancel()
				}
			}}
			err = r.fit(ctx, r.natural("warm-up", netBaseline, 0))
			if err == nil || errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "step 3: the gradient of ") || !strings.HasSuffix(err.Error(), "the last good state is in "+dir) {
				t.Errorf("error %v", err)
			}
			if ran != test.ran {
				t.Errorf("%d steps, want %d", ran, test.ran)
			}
			if r.state.current != nil || r.state.Step != 0 {
				t.Errorf("the state keeps a network of step %d", r.state.Step)
			}
		})
	}
}
