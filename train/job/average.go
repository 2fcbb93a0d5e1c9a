package job

import (
	"fmt"

	"rampart/defenses"
	"rampart/nn"
)

// statisticsBatches is the number of training batches on which the running statistics of averaged
// weights are measured: with PyTorch's momentum of 0.1, 0.5 % of what was there before remains.
const statisticsBatches = 50

// accumulate lets the weights after a step enter the average.
func (t *trainer) accumulate(step int) {
	if t.average == nil {
		return
	}
	if rate := t.average.Rate(step, t.total, t.loader.StepsPerEpoch(), t.averaged.Taken); rate > 0 {
		t.averaged.Add(t.model, rate)
	}
}

// deployable is the network as it would be deployed after a step: the one in training or, where
// averaging has begun, one with the average of its weights. Running statistics cannot be averaged:
// they are measured anew, on batches that the defence makes against that very network.
func (t *trainer) deployable(step int) (*nn.Model, error) {
	if t.deploy.Members != nil {
		if t.shadow == nil {
			var err error
			if t.shadow, err = nn.Build(t.deploy, t.r.dev, t.model.Rows(), t.r.stream("unused: weights follow")); err != nil {
				return nil, err
			}
		}
		return t.shadow, t.shadow.SetWeights(t.model.Weights())
	}
	if t.averaged.Taken == 0 {
		return t.model, nil
	}
	if t.shadow == nil {
		var err error
		if t.shadow, err = nn.BuildTuned(t.spec, t.r.dev, t.model.Rows(), t.r.stream("unused: weights follow"), t.tuning); err != nil {
			return nil, err
		}
	}
	err := t.shadow.SetWeights(t.averaged.Weights(t.model))
	if err != nil || !t.shadow.HasStatistics() {
		return t.shadow, err
	}
	s, err := t.newSession(t.shadow)
	if err != nil {
		return nil, err
	}
	for i := range min(statisticsBatches, t.loader.StepsPerEpoch()) {
		t.loader.Batch(i, t.batch)
		t.prepare(s, step-1)
		s.Step = i
		if _, err := defenses.Unwrapped(t.defense).Step(s, t.batch); err != nil {
			return nil, fmt.Errorf("running statistics of the averaged weights: %w", err)
		}
	}
	return t.shadow, nil
}

// stop ends the training where the guard of its defence says so, with the best weights so far.
func (t *trainer) stop(step int, robust float64) error {
	f := t.fit
	if err := t.model.SetWeights(t.r.state.nets[t.net]); err != nil {
		return err
	}
	t.averaged = &nn.Average{}
	f.Stopped = true
	t.warn(step, fmt.Sprintf("%s: stopped at step %d by the defence's guard (%.0f points): held-out robust accuracy fell from %.1f to %.1f %%; back at the weights of step %d",
		t.title, step, 100*defenses.Guard(t.defense), 100*f.BestRobust, 100*robust, f.BestStep))
	return nil
}
