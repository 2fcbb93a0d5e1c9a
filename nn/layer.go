package nn

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"rampart/nn/device"
	"rampart/nn/registry"
)

// Layer is one entry of a network's list of layers, and of `[[model.layer]]` in a config.
type Layer struct {
	// Type is conv, dense, maxpool, avgpool, globalavgpool, batchnorm, groupnorm, layernorm (over the
	// channels), relu, leaky_relu, gelu, silu, sigmoid, tanh, residual, dropout or flatten.
	Type string `toml:"type" json:"type"`
	// Name prefixes the weights' names ("conv1.weight"); it is counted up by type when empty.
	Name string `toml:"name,omitempty" json:"name,omitempty"`
	// Out is the number of channels (conv) or features (dense); 0 for dense is the number of classes.
	Out int `toml:"out,omitempty" json:"out,omitempty"`
	// Kernel and Stride are those of a window; a pooling's stride is its kernel when 0, a
	// convolution's 1. Padding is "valid" (none, the default), "same" (TensorFlow's: the output
	// is the input divided by the stride, rounded up) or a number of pixels on each side.
	Kernel  int    `toml:"kernel,omitempty" json:"kernel,omitempty"`
	Stride  int    `toml:"stride,omitempty" json:"stride,omitempty"`
	Padding string `toml:"padding,omitempty" json:"padding,omitempty"`
	// Groups divides the channels of a conv, each group of outputs seeing its own inputs (as many
	// groups as channels make it depthwise), or of a groupnorm. A conv with NoBias adds nothing.
	Groups int     `toml:"groups,omitempty" json:"groups,omitempty"`
	NoBias bool    `toml:"no_bias,omitempty" json:"no_bias,omitempty"`
	Slope  float64 `toml:"slope,omitempty" json:"slope,omitempty"` // of leaky_relu below 0; 0.01 when 0
	Rate   float64 `toml:"rate,omitempty" json:"rate,omitempty"`   // dropout
	Init   *Init   `toml:"init,omitempty" json:"init,omitempty"`   // of conv and dense; Kaiming when nil
	// Body and Shortcut are a residual block's two branches, whose results are added; an empty
	// Shortcut is the identity.
	Body     []Layer `toml:"layer,omitempty" json:"layer,omitempty"`
	Shortcut []Layer `toml:"shortcut,omitempty" json:"shortcut,omitempty"`
}

// Init says how weights begin.
type Init struct {
	// Weights is "kaiming" (He et al. 2015, normal, fan-in), "glorot" (Glorot and Bengio 2010, uniform),
	// "pytorch" (its default: weights and biases uniform within 1/sqrt(fan-in)), "truncated_normal" (redrawn
	// beyond two standard deviations, as in TensorFlow) or "zeros".
	Weights string  `toml:"weights" json:"weights"`
	Std     float64 `toml:"std,omitempty" json:"std,omitempty"` // of truncated_normal
	Bias    float64 `toml:"bias,omitempty" json:"bias,omitempty"`
}

var layerTypes = []string{"avgpool", "batchnorm", "conv", "dense", "dropout", "flatten", "gelu", "globalavgpool", "groupnorm",
	"layernorm", "leaky_relu", "maxpool", "relu", "residual", "sigmoid", "silu", "tanh"}

// activations are the names of device.Activation's functions in layers and topologies.
var activations = map[string]device.Func{"gelu": device.GELU, "leaky_relu": device.LeakyReLU, "sigmoid": device.Sigmoid,
	"silu": device.SiLU, "tanh": device.Tanh, "elu": device.ELU, "softplus": device.Softplus, "reciprocal": device.Reciprocal}

// maxOut bounds the channels and features of a layer.
const maxOut = 1 << 20

// Validate reports what no network could use.
func (l Layer) Validate() error {
	if !slices.Contains(layerTypes, l.Type) {
		if near, ok := registry.Nearest(l.Type, layerTypes); ok {
			return registry.Errorf("type", "unknown layer %q: did you mean %q? known: %s", l.Type, near, strings.Join(layerTypes, ", "))
		}
		return registry.Errorf("type", "unknown layer %q: known: %s", l.Type, strings.Join(layerTypes, ", "))
	}
	if l.Out > maxOut {
		return registry.Errorf("out", "%d is too large: the largest that is allowed is %d", l.Out, maxOut)
	}
	if err := l.misplaced(); err != nil {
		return err
	}
	switch l.Type {
	case "conv", "maxpool", "avgpool":
		if l.Kernel < 1 {
			return registry.Errorf("kernel", "%s needs a kernel of at least 1, not %d", l.Type, l.Kernel)
		}
		if l.Stride < 0 {
			return registry.Errorf("stride", "%d must not be negative", l.Stride)
		}
		if _, err := l.padding(); err != nil {
			return err
		}
		if l.Type == "conv" && l.Out < 1 {
			return registry.Errorf("out", "conv needs a number of output channels above 0, not %d", l.Out)
		}
	case "dense":
		if l.Out < 0 {
			return registry.Errorf("out", "%d must not be negative", l.Out)
		}
	case "groupnorm":
		if l.Groups < 1 {
			return registry.Errorf("groups", "groupnorm needs a number of groups above 0, not %d", l.Groups)
		}
	case "dropout":
		if !(l.Rate > 0 && l.Rate < 1) {
			return registry.Errorf("rate", "dropout needs a rate between 0 and 1, not %v", l.Rate)
		}
	case "residual":
		if len(l.Body) == 0 {
			return registry.Errorf("layer", "a residual block needs layers")
		}
		for _, inner := range slices.Concat(l.Body, l.Shortcut) {
			if err := inner.Validate(); err != nil {
				return err
			}
		}
	}
	if l.Init != nil {
		return l.Init.Validate()
	}
	return nil
}

// misplaced reports options of other layers, which would change nothing.
func (l Layer) misplaced() error {
	switch {
	case l.Groups < 0:
		return registry.Errorf("groups", "%d must not be negative", l.Groups)
	case l.Groups > 0 && l.Type != "conv" && l.Type != "groupnorm":
		return registry.Errorf("groups", "a %s has no groups", l.Type)
	case l.NoBias && l.Type != "conv":
		return registry.Errorf("no_bias", "only a conv can do without its bias, not a %s", l.Type)
	case l.Slope != 0 && l.Type != "leaky_relu":
		return registry.Errorf("slope", "a %s has no slope", l.Type)
	case !(l.Slope >= 0 && l.Slope < 1):
		return registry.Errorf("slope", "%v must lie in [0,1); 0 stands for %v", l.Slope, leakySlope)
	}
	return nil
}

// leakySlope is PyTorch's default.
const leakySlope = 0.01

// activation is the function of an activation layer, with its slope.
func (l Layer) activation() (f device.Func, slope float32) {
	f = activations[l.Type]
	if f == device.LeakyReLU {
		slope = leakySlope
		if l.Slope != 0 {
			slope = float32(l.Slope)
		}
	}
	return f, slope
}

// Validate reports an unknown initialiser.
func (i Init) Validate() error {
	switch i.Weights {
	case "kaiming", "glorot", "pytorch", "zeros":
		return nil
	case "truncated_normal":
		if !(i.Std > 0) {
			return registry.Errorf("init", "truncated_normal needs std above 0, not %v", i.Std)
		}
		return nil
	}
	return registry.Errorf("init", "unknown initialiser %q: known: glorot, kaiming, pytorch, truncated_normal, zeros", i.Weights)
}

// padding returns -1 for "same".
func (l Layer) padding() (int, error) {
	switch l.Padding {
	case "", "valid":
		return 0, nil
	case "same":
		return -1, nil
	}
	var n int
	if _, err := fmt.Sscanf(l.Padding, "%d", &n); err != nil || n < 0 || fmt.Sprint(n) != l.Padding {
		return 0, registry.Errorf("padding", `%q is neither "same" nor "valid" nor a number of pixels such as "2"`, l.Padding)
	}
	return n, nil
}

// window places the layer's kernel on an input.
func (l Layer) window(in Shape) (device.Window, error) {
	w := device.Window{H: in.H, W: in.W, C: in.C, KH: l.Kernel, KW: l.Kernel, Stride: l.Stride}
	if l.Type == "globalavgpool" {
		w.KH, w.KW, w.Stride = in.H, in.W, 1
		return w, nil
	}
	if w.Stride == 0 {
		w.Stride = 1
		if l.Type != "conv" {
			w.Stride = l.Kernel
		}
	}
	pad, err := l.padding()
	if err != nil {
		return w, err
	}
	if pad < 0 {
		same := func(n, k int) (before, after int) {
			total := max((int(math.Ceil(float64(n)/float64(w.Stride)))-1)*w.Stride+k-n, 0)
			return total / 2, total - total/2
		}
		w.PadTop, w.PadBottom = same(in.H, w.KH)
		w.PadLeft, w.PadRight = same(in.W, w.KW)
	} else {
		w.PadTop, w.PadBottom, w.PadLeft, w.PadRight = pad, pad, pad, pad
	}
	if pad >= l.Kernel { // a window on nothing but padding
		return w, fmt.Errorf("padding %q of a %s must be smaller than its kernel %d", l.Padding, l.Type, l.Kernel)
	}
	if in.H+w.PadTop+w.PadBottom < w.KH || in.W+w.PadLeft+w.PadRight < w.KW {
		return w, fmt.Errorf("a %s of kernel %d does not fit on its %v input", l.Type, l.Kernel, in)
	}
	return w, nil
}
