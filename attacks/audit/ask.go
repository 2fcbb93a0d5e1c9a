package audit

import (
	"slices"

	"rampart/attacks"
	"rampart/data"
	"rampart/nn/device"
)

// ask returns the logits of images shaped like d's examples and, where loss is not nil, the loss on
// d's labels and its gradient.
func (e *examination) ask(v attacks.Victim, images []float32, d *data.Dataset, loss device.Loss) (z, value, dx []float32, err error) {
	return question(v, images, d, loss, v.Rows(), 0)
}

// question asks in batches of rows; noise numbers it among the questions to a randomised network.
func question(v attacks.Victim, images []float32, d *data.Dataset, loss device.Loss, rows int, noise uint64) (z, value, dx []float32, err error) {
	n, size, k := d.Len(), d.Size(), v.Classes()
	z, value = make([]float32, n*k), make([]float32, n)
	x, out, val, grad := v.New(rows*size), v.New(rows*k), v.New(rows), v.New(rows*size)
	if loss != nil {
		dx = make([]float32, n*size)
	}
	for start := 0; start < n; start += rows {
		m := min(rows, n-start)
		x.Upload(images[start*size:(start+m)*size], 0)
		c := device.Call{Rows: m, X: x, Logits: out, Scale: 1, Noise: noise}
		for i := range m {
			c.Labels, c.Example = append(c.Labels, d.Label(start+i)), append(c.Example, d.Index(start+i))
		}
		if loss == nil {
			err = v.Logits(&c)
		} else {
			c.Loss, c.Value, c.InputGrad = loss, val, grad
			err = v.InputGrad(&c)
		}
		if err != nil {
			return nil, nil, nil, err
		}
		out.Download(z[start*k:(start+m)*k], 0)
		if loss != nil {
			val.Download(value[start:start+m], 0)
			grad.Download(dx[start*size:(start+m)*size], 0)
		}
	}
	return z, value, dx, nil
}

// argmaxes are the classes that logits [n, classes] predict.
func argmaxes(z []float32, classes int) []int {
	p := make([]int, len(z)/classes)
	for i := range p {
		p[i] = device.Argmax(z[i*classes : (i+1)*classes])
	}
	return p
}

// union joins lists of positions.
func union(lists ...[]int) []int {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

// differing are the positions in Data of the audit's examples where two predictions differ.
func (e *examination) differing(a, b []int) (list []int) {
	for i := range a {
		if a[i] != b[i] {
			list = append(list, e.at[i])
		}
	}
	return list
}
