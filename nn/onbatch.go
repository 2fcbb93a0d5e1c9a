package nn

import (
	"fmt"

	"rampart/nn/device"
)

// OnBatch is a model whose batch normalisations take the statistics of the batch they see, as in
// training, while running statistics stay and nothing is dropped. Its rows depend on each other: it
// serves attacks in training that are to meet the network as its update does.
type OnBatch struct {
	model             *Model
	logits, inputGrad device.Executable
}

// OnBatch compiles such a view of a model. It shares the model's weights and its limits.
func (m *Model) OnBatch() (*OnBatch, error) {
	g, err := newGraph(m.Spec, batchStatistics, graphRows, m.holds)
	if err != nil {
		return nil, err
	}
	v := &OnBatch{model: m}
	for _, p := range []struct {
		exec  *device.Executable
		name  string
		input bool
	}{{&v.logits, "logits on the batch", false}, {&v.inputGrad, "input gradient on the batch", true}} {
		program, err := g.compile(p.name, m.rows, p.input, false)
		if err == nil {
			*p.exec, err = m.load(program)
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Input is the shape of one example.
func (v *OnBatch) Input() Shape { return v.model.Input() }

// Classes is the number of logits.
func (v *OnBatch) Classes() int { return v.model.Classes() }

// Rows is the largest batch.
func (v *OnBatch) Rows() int { return v.model.Rows() }

// New returns zeroed memory of the model's device.
func (v *OnBatch) New(n int) device.Tensor { return v.model.New(n) }

// Logits computes c.Logits from c.X.
func (v *OnBatch) Logits(c *device.Call) error { return v.run(v.logits, c) }

// InputGrad computes c.InputGrad, the gradient of the sum of c.Loss over rows, through the
// statistics, and c.Logits and c.Value where they are not nil.
func (v *OnBatch) InputGrad(c *device.Call) error { return v.run(v.inputGrad, c) }

func (v *OnBatch) run(e device.Executable, c *device.Call) error {
	if err := v.model.checkRowwise(c); err != nil {
		return fmt.Errorf("on the batch's statistics: %w", err)
	}
	return e.Run(c)
}
