package attacks

import (
	"fmt"
	"math"

	"rampart/nn/device"
	"rampart/nn/registry"
)

// Target picks the class that a targeted attack aims at: "" for an untargeted attack, "random"
// (uniform among the wrong classes), "next" (label + 1) or "least_likely" (on the clean image).
type Target string

// Validate reports an unknown rule.
func (t Target) Validate() error {
	switch t {
	case "", "random", "next", "least_likely":
		return nil
	}
	return registry.Errorf("target", `unknown target %q: use "random", "next", "least_likely", or "" for an untargeted attack`, string(t))
}

// targetDraw is the step under which the random target of an example is drawn.
const targetDraw = 1 << 20

// classes returns each example's target, nil for an untargeted attack.
func (t Target) classes(v Victim, b *Batch, d Draw) ([]int32, error) {
	if t == "" {
		return nil, nil
	}
	k := v.Classes()
	targets := make([]int32, len(b.Labels))
	switch t {
	case "random":
		for i, y := range b.Labels {
			s := d.Stream.Sequence(b.Index[i], d.Restart, targetDraw)
			targets[i] = (y + 1 + int32(s.Uint32n(uint32(k-1)))) % int32(k)
		}
	case "next":
		for i, y := range b.Labels {
			targets[i] = (y + 1) % int32(k)
		}
	case "least_likely":
		logits, err := logits(v, b.X, len(b.Labels), b.Index)
		if err != nil {
			return nil, err
		}
		for i, y := range b.Labels {
			least := -1
			for j, z := range logits[i*k : (i+1)*k] {
				if j != int(y) && (least < 0 || z < logits[i*k+least]) {
					least = j
				}
			}
			targets[i] = int32(least)
		}
	}
	return targets, nil
}

// logits returns the logits [n, classes] of examples on the victim's device.
func logits(v Victim, x device.Tensor, n int, index []uint32) ([]float32, error) {
	out := v.New(n * v.Classes())
	if err := v.Logits(&device.Call{Rows: n, X: x, Logits: out, Example: index[:n]}); err != nil {
		return nil, err
	}
	host := make([]float32, out.Len())
	out.Download(host, 0)
	return host, finite(host, v.Classes())
}

// finite reports a logit that is no number.
func finite(z []float32, classes int) error {
	for i, v := range z {
		if d := float64(v); math.IsNaN(d) || math.IsInf(d, 0) {
			return fmt.Errorf("a logit of class %d is %v: the network's weights have diverged", i%classes, d)
		}
	}
	return nil
}

// label adds to an attack's name what is not the default: its loss, a target, and runs.
func label(name, loss string, t Target, runs int) string {
	if loss != "cross_entropy" {
		name += " " + loss
	}
	if t != "" {
		name += " targeted"
	}
	if runs > 1 {
		name += fmt.Sprintf(" x%d", runs)
	}
	return name
}
