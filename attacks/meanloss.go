package attacks

import "rampart/nn/device"

// MeanLoss is an ensemble as an attacker meets it who climbs the mean of the members' losses
// instead of the loss of their combination (Tramèr et al. 2020, section 5.5, use it against one
// that hides its gradients). What is found is judged by the combination, which is the Victim.
type MeanLoss struct {
	Victim
	Members []Victim
}

// InputGrad implements Victim: value and gradient are means over the members.
func (v MeanLoss) InputGrad(c *device.Call) error {
	one := *c
	one.Logits = nil
	outputs := []*average{newAverage(c.Value, c.Rows), newAverage(c.InputGrad, c.Rows*v.Input().Size())}
	for _, m := range v.Members {
		if err := m.InputGrad(&one); err != nil {
			return err
		}
		for _, o := range outputs {
			o.add()
		}
	}
	for _, o := range outputs {
		o.write(len(v.Members))
	}
	if c.Logits == nil {
		return nil
	}
	return v.Victim.Logits(c)
}

// Iterate implements Victim.
func (v MeanLoss) Iterate(c *device.Call, l *device.Loop) (device.Counts, error) {
	return Iterate(v, c, l)
}
