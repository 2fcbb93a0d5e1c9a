package checkpoints

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"

	"rampart/attacks"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// loadRows is the batch size that Load builds a network for.
const loadRows = 64

// Network is a network from a checkpoint, ready to classify. It is not safe for concurrent use.
type Network struct {
	Model *nn.Model
	Meta  Meta
	// Deployed is Model behind the transformations that belong to it; Model itself where there are
	// none. Their random numbers are those of Meta.Seed.
	Deployed attacks.Victim

	x, logits device.Tensor // of one example
	host      []float32     // the logits
	asked     uint64        // predictions made: each has other random numbers
}

// Prediction is what a network says about one image.
type Prediction struct {
	Class         int
	Name          string    // of the class
	Confidence    float32   // the probability of the class
	Probabilities []float32 // softmax of the logits, by class
}

// Best lists the n likeliest classes, the likeliest first; of equals, the lower number.
func (p Prediction) Best(n int) []int {
	order := make([]int, len(p.Probabilities))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p.Probabilities[b], p.Probabilities[a]) })
	return order[:min(n, len(order))]
}

// Save writes a network's weights as a checkpoint. meta's spec and version are set from the model;
// its class names must be there. See WriteAtomic for what an error leaves behind.
func Save(path string, m *nn.Model, meta Meta) error {
	if n := len(meta.Model.Classes); n != m.Spec.Classes {
		return cannotWrite(path, fmt.Errorf("%d class names for a network of %d classes", n, m.Spec.Classes))
	}
	meta.Model.Spec = m.Spec
	f := &File{Meta: meta}
	for _, w := range m.Weights() {
		f.Tensors = append(f.Tensors, Tensor(w))
	}
	return Write(path, f)
}

// Load reads a checkpoint onto all cores of the CPU. The file is verified: damage, values that are
// not finite, and weights that do not fit the architecture are errors.
func Load(path string) (*Network, error) { return LoadOn(path, cpu.New(0), loadRows) }

// LoadOn is Load for a device; Model will take batches of up to rows examples.
func LoadOn(path string, dev device.Device, rows int) (*Network, error) {
	f, err := Read(path)
	if err != nil {
		return nil, err
	}
	n, err := f.Network(dev, rows)
	if err != nil {
		return nil, fmt.Errorf("cannot use the checkpoint: %q: %w", path, err)
	}
	return n, nil
}

// Network builds the network that f describes, with its weights. Auxiliary branches of batch normalisations,
// which serve training alone, are left out.
func (f *File) Network(dev device.Device, rows int) (*Network, error) {
	spec := f.Meta.Model.Spec
	if n := len(f.Meta.Model.Classes); n != spec.Classes {
		return nil, fmt.Errorf("%d class names for %d classes", n, spec.Classes)
	}
	if err := f.Finite(); err != nil {
		return nil, err
	}
	spec, weights := nn.Deployed(spec, f.Weights())
	m, err := nn.Build(spec, dev, rows, rng.New(f.Meta.Seed, "init"))
	if err != nil {
		return nil, err
	}
	if err := m.SetWeights(weights); err != nil {
		return nil, fmt.Errorf("the weights do not fit the architecture: %w", err)
	}
	if err := f.Meta.Transforms.Fits(spec.Input); err != nil {
		return nil, err
	}
	return &Network{Model: m, Meta: f.Meta, Deployed: transform.Behind(m, f.Meta.Transforms, f.Meta.Seed), x: m.New(spec.Input.Size()), logits: m.New(spec.Classes), host: make([]float32, spec.Classes)}, nil
}

// Weights are the tensors, as nn.Model.SetWeights takes them.
func (f *File) Weights() []nn.Weight {
	list := make([]nn.Weight, len(f.Tensors))
	for i, t := range f.Tensors {
		list[i] = nn.Weight(t)
	}
	return list
}

// Predict classifies an image of any size and kind, converted by Pixels.
func (n *Network) Predict(img image.Image) (Prediction, error) {
	pixels, err := Pixels(img, n.Model.Input())
	if err != nil {
		return Prediction{}, err
	}
	return n.PredictPixels(pixels)
}

// PredictPixels classifies one example, [H,W,C] in [0,1], of the network's own shape. Where a
// transformation is random, asking again may give another answer; a network loaded anew begins with
// the same.
func (n *Network) PredictPixels(pixels []float32) (Prediction, error) {
	if in := n.Model.Input(); len(pixels) != in.Size() {
		return Prediction{}, fmt.Errorf("%d pixels, where the network takes images of %v: %d", len(pixels), in, in.Size())
	}
	for i, v := range pixels {
		if !(v >= 0 && v <= 1) {
			return Prediction{}, fmt.Errorf("pixel %d is %v, outside [0,1]: divide bytes by 255", i, v)
		}
	}
	n.x.Upload(pixels, 0)
	if err := n.Deployed.Logits(&device.Call{Rows: 1, X: n.x, Logits: n.logits, Noise: n.asked}); err != nil {
		return Prediction{}, err
	}
	n.asked++
	n.logits.Download(n.host, 0)
	best := device.Argmax(n.host)
	p := Prediction{Class: best, Name: n.Meta.Model.Classes[best], Probabilities: softmax(n.host, n.host[best])}
	p.Confidence = p.Probabilities[best]
	if math.IsNaN(float64(p.Confidence)) {
		return Prediction{}, errors.New("the network's logits overflow on this image")
	}
	return p, nil
}

func softmax(logits []float32, top float32) []float32 {
	p, sum := make([]float32, len(logits)), 0.0
	for _, z := range logits {
		sum += math.Exp(float64(z) - float64(top))
	}
	for j, z := range logits {
		p[j] = float32(math.Exp(float64(z)-float64(top)) / sum)
	}
	return p
}
