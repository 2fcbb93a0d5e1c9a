package defenses

import (
	"math"

	"rampart/attacks"
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// bend changes an attack's loop before it runs: its loss, its start, its length.
type bend func(c *device.Call, l *device.Loop)

// bent is a victim whose loops are bent. Attacks that are no loops pass it by.
type bent struct {
	attacks.Victim
	bend bend
}

// Iterate implements attacks.Victim.
func (v bent) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	call, loop := *c, *l
	v.bend(&call, &loop)
	return v.Victim.Iterate(&call, &loop)
}

// onBatch is a victim whose rows depend on each other, so that its loops run on the host, all rows
// of a batch together. Rows that EarlyStop ends leave the statistics, too.
type onBatch struct{ *nn.OnBatch }

// Iterate implements attacks.Victim.
func (v onBatch) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	return attacks.Iterate(v, c, l)
}

// victim is the network in training as its attack meets it: with the steps of the curriculum.
func (s *Session) victim(b bend) attacks.Victim {
	v := s.branch(nn.AdversarialRows)
	if s.OnBatch != nil {
		v = onBatch{s.OnBatch}
	}
	if s.Before != nil {
		v = s.Before
	}
	if s.source != nil {
		v = s.source
	}
	if s.uncut {
		v = uncut{v}
	}
	if b != nil {
		v = bent{v, b}
	}
	if s.counter() != nil {
		v = bent{v, func(_ *device.Call, l *device.Loop) { l.Later = true }}
	}
	if s.StepsScale != 1 {
		v = bent{v, func(_ *device.Call, l *device.Loop) {
			if l.Steps > 0 {
				l.Steps = max(1, int(math.Round(float64(l.Steps)*s.StepsScale)))
			}
		}}
	}
	return v
}

// nearStart is the standard deviation of the start that TRADES and those after it use.
const nearStart = 0.001

// startNear begins at x + 0.001 N(0,1) where the attack itself has no random start.
func startNear(_ *device.Call, l *device.Loop) {
	if l.Start == device.FromClean {
		l.Start, l.StartStd = device.FromNormal, nearStart
	}
}

// awayFrom ascends the divergence from the distribution of soft logits, instead of the attack's
// own loss, beginning near x: at x itself the divergence from the clean output has no gradient.
func awayFrom(soft device.Tensor) bend {
	return func(c *device.Call, l *device.Loop) {
		// The cross-entropy with soft targets is the divergence but for a constant.
		c.Loss, c.Soft = nn.Distill{Temperature: 1}, soft
		startNear(c, l)
	}
}

// validInner judges an attack whose loss the defence replaces.
func validInner(a attacks.Attack) error {
	loss, target := "", attacks.Target("")
	switch a := a.(type) {
	case *attacks.PGD:
		loss, target = a.Loss, a.Target
	case *attacks.FGSM:
		loss, target = a.Loss, a.Target
	default:
		return registry.Errorf("attack.name", `this defence ascends a loss of its own: choose the attack "pgd" or "fgsm"`)
	}
	if loss != "cross_entropy" {
		return registry.Errorf("attack.loss", "%q: this defence ascends a loss of its own, leave the option out", loss)
	}
	if target != "" {
		return registry.Errorf("attack.target", "%q: this defence ascends a loss without a target, leave the option out", string(target))
	}
	return nil
}
