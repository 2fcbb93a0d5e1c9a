package nn

import (
	"errors"
	"fmt"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"rampart/nn/device"
	"rampart/nn/op"
)

// Reconstruction is a model's denoiser alone, for a loss on the images that it makes: a second graph over
// the same weights. It is not safe for concurrent use.
type Reconstruction struct {
	model    *Model
	rows     int
	params   *device.Parameters
	version  uint64 // of the model's
	of       []int  // the model's parameter, by the denoiser's
	denoised device.Executable
	grads    device.Executable
}

// NewReconstruction prepares the denoiser of a model for batches of up to rows. An ensemble has none of
// its own.
func NewReconstruction(m *Model, rows int) (*Reconstruction, error) {
	g, err := newDenoiserGraph(m.Spec)
	if err != nil {
		return nil, fmt.Errorf("reconstruction: %w", err)
	}
	r := &Reconstruction{model: m, rows: rows, params: &device.Parameters{}}
	for i, p := range m.specs {
		if strings.HasPrefix(p.name, denoiserPrefix) {
			d := m.params.List[i]
			r.of = append(r.of, i)
			r.params.List = append(r.params.List, &device.Parameter{Name: d.Name, Shape: d.Shape, Value: d.Value, Grad: m.New(d.Value.Len())})
		}
	}
	if r.denoised, err = r.load(g, "denoised images", false); err == nil {
		r.grads, err = r.load(g, "gradient of reconstruction", true)
	}
	return r, err
}

func (r *Reconstruction) load(g *graph, name string, grads bool) (device.Executable, error) {
	program, err := g.compile(name, r.rows, false, grads)
	if err != nil {
		return nil, fmt.Errorf("reconstruction: %w", err)
	}
	recompute(program, r.model.segments)
	return r.model.Device.Load(program, r.params)
}

// newDenoiserGraph has the denoised images in the place of logits.
func newDenoiserGraph(spec Spec) (*graph, error) {
	if spec.Denoiser == nil {
		return nil, errors.New("the network does not begin with a denoiser: add a table [input.denoiser]")
	}
	g, in := gorgonia.NewGraph(), spec.Input
	b := &builder{graph: &graph{}, g: g, spec: spec, mode: evaluation, held: trainsAll}
	b.x = gorgonia.NewTensor(g, tensor.Float32, 4, gorgonia.WithShape(graphRows, in.H, in.W, in.C), gorgonia.WithName("x"))
	b.seed = gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(graphRows, in.Size()), gorgonia.WithName("seed"))
	c := cursor{node: b.x, shape: in}
	if err := b.denoise(spec, "", &c); err != nil {
		return nil, err
	}
	var err error
	if b.logits, err = op.Flatten(c.node); err != nil {
		return nil, err
	}
	if b.loss, err = op.Head(b.logits, b.seed); err != nil {
		return nil, err
	}
	b.grads, err = gorgonia.Grad(b.loss, b.nodes...)
	return b.graph, err
}

// Images computes c.Logits [N,H,W,C], what the denoiser makes of c.X.
func (r *Reconstruction) Images(c *device.Call) error { return r.run(r.denoised, c) }

// AddGrad adds the gradient of c.Scale times the sum over rows of the mean squared difference of what the
// denoiser makes of c.X to c.Soft, images like c.X, to that of the model's last ParamGrad. c.Value
// receives the differences.
func (r *Reconstruction) AddGrad(c *device.Call) error {
	call := *c
	call.Loss = squaredError{}
	if err := r.run(r.grads, &call); err != nil {
		return err
	}
	for i, p := range r.params.List {
		grad := r.model.params.List[r.of[i]].Grad
		if grad == nil {
			continue // training leaves it as it is
		}
		sum := download(grad)
		for at, g := range download(p.Grad) {
			sum[at] += g
		}
		grad.Upload(sum, 0)
	}
	return nil
}

func (r *Reconstruction) run(e device.Executable, c *device.Call) error {
	if size := r.model.Spec.Input.Size(); c.Rows < 1 || c.Rows > r.rows || c.X.Len() < c.Rows*size {
		return fmt.Errorf("reconstruction: %d rows of %d values: it was made for 1 to %d images of %v", c.Rows, c.X.Len(), r.rows, r.model.Spec.Input)
	}
	if v := r.model.params.Version; v != r.version {
		r.version = v
		r.params.Version++
	}
	return e.Run(c)
}

// squaredError is the mean squared difference of a row to b.Soft.
type squaredError struct{}

// Rows implements device.Loss.
func (squaredError) Rows(b *device.Block) {
	for i := range b.Rows {
		g, sum := row(b.Grad, i, b.Classes), 0.0
		soft := row(b.Soft, i, b.Classes)
		for j, v := range row(b.Logits, i, b.Classes) {
			d := float64(v) - float64(soft[j])
			sum += d * d
			g[j] = float32(2 * d / float64(b.Classes))
		}
		b.Value[i] = float32(sum / float64(b.Classes))
	}
}
