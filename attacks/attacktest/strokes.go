// Package attacktest makes networks for tests of attacks and of the checks of a robustness claim: a
// small data set, networks trained on it within a second, and defences that only look like ones,
// each of which a check must call out.
package attacktest

import (
	"rampart/data"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// Side and Classes are those of Strokes.
const (
	Side    = 12
	Classes = 4
)

// Strokes are n images of bright strokes in four directions, the classes, on a dark ground with noise.
func Strokes(n int, seed uint64) (*data.Dataset, error) {
	images, labels := make([]byte, n*Side*Side), make([]int32, n)
	stream, u := rng.New(seed, "strokes"), make([]float32, Side*Side)
	for i := range n {
		labels[i] = int32(i % Classes)
		stream.Uniform(u, 0, 0.2, uint32(i), 0, 0)
		place := stream.Sequence(uint32(i), 0, 1)
		shift := int(place.Uint32n(3)) - 1
		for j := range u {
			row, column := j/Side, j%Side
			across := [...]int{row - Side/2, column - Side/2, row - column, row + column - Side + 1}[labels[i]]
			if across == shift || across == shift+1 {
				u[j] = min(u[j]+1, 1)
			}
			if u[j] < 0.05 { // black as on a scanned page
				u[j] = 0
			}
			images[i*Side*Side+j] = byte(255 * u[j])
		}
	}
	return data.NewDataset("strokes", Side, Side, 1, []string{"horizontal", "vertical", "falling", "rising"}, images, labels)
}

// FGSMEpsilon is the Linf epsilon at which training with FGSM, Trained(rows, FGSMEpsilon, 1), masks
// the gradient: about 99 % are right under FGSM and none under PGD.
const FGSMEpsilon = 0.395

// Trained returns a network for batches of up to rows that has learnt Strokes within a second: plain
// where steps is 0, else from adversarial examples of so many steps within eps in Linf.
func Trained(rows int, eps float32, steps int) (*nn.Model, error) {
	spec := nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{128, 128}}, Input: nn.Shape{H: Side, W: Side, C: 1}, Classes: Classes}
	const batch, updates = 50, 600
	m, err := nn.Build(spec, cpu.New(1), batch, rng.New(5, "weights"))
	if err != nil {
		return nil, err
	}
	d, err := Strokes(2000, 1)
	if err != nil {
		return nil, err
	}
	x, adv, b := m.New(batch*Side*Side), m.New(batch*Side*Side), d.NewBatch(batch)
	loop := &device.Loop{Steps: steps, Norm: device.Linf, Epsilon: eps, StepSize: eps, Adv: adv}
	if steps > 1 {
		loop.StepSize, loop.Start, loop.Noise = 2.5*eps/float32(steps), device.FromUniform, rng.New(5, "attack")
	}
	for step := range updates {
		d.Fill(b, step*batch%d.Len())
		x.Upload(b.X, 0)
		loop.Example, loop.Restart = b.Index, uint32(step)
		call := device.Call{Rows: batch, X: x, Labels: b.Labels, Loss: nn.CrossEntropy{}, Scale: 1}
		if _, err := m.Iterate(&call, loop); err != nil {
			return nil, err
		}
		call.X, call.Scale = adv, 1./batch
		if err := m.ParamGrad(&call); err != nil {
			return nil, err
		}
		if err := m.Update(device.Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}, 0.002*(1-float64(step)/updates)); err != nil {
			return nil, err
		}
	}
	if rows == batch {
		return m, nil
	}
	weights := m.Weights()
	if m, err = nn.Build(spec, cpu.New(1), rows, rng.New(5, "weights")); err != nil {
		return nil, err
	}
	return m, m.SetWeights(weights)
}
