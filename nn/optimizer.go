package nn

import (
	"math"

	"rampart/nn/device"
	"rampart/nn/registry"
)

// Optimizer is a configured optimiser; Rule is what the device executes.
type Optimizer interface {
	Validate() error
	Rule() device.Optimizer
	// Rate is the learning rate before its schedule.
	Rate() float64
}

// SGD is stochastic gradient descent with momentum, as PyTorch defines it.
type SGD struct {
	LR          float64 `toml:"lr"`
	Momentum    float64 `toml:"momentum"`
	Nesterov    bool    `toml:"nesterov"`
	WeightDecay float64 `toml:"weight_decay"`
	Clip        float64 `toml:"clip"`
}

// Validate implements Optimizer.
func (o *SGD) Validate() error {
	if o.Nesterov && o.Momentum == 0 {
		return registry.Errorf("nesterov", "needs momentum above 0")
	}
	if !(o.Momentum >= 0 && o.Momentum < 1) {
		return registry.Errorf("momentum", "%v must lie in [0,1)", o.Momentum)
	}
	return validRates(o.LR, o.WeightDecay, o.Clip)
}

// Rule implements Optimizer.
func (o *SGD) Rule() device.Optimizer {
	return device.SGD{Momentum: float32(o.Momentum), Nesterov: o.Nesterov, WeightDecay: float32(o.WeightDecay), Clip: float32(o.Clip)}
}

// Rate implements Optimizer.
func (o *SGD) Rate() float64 { return o.LR }

// Adam is Adam (Kingma and Ba 2015) with weight decay added to the gradient, or AdamW
// (Loshchilov and Hutter 2019) with weight decay apart.
type Adam struct {
	LR          float64 `toml:"lr"`
	Beta1       float64 `toml:"beta1"`
	Beta2       float64 `toml:"beta2"`
	Epsilon     float64 `toml:"epsilon"`
	WeightDecay float64 `toml:"weight_decay"`
	Clip        float64 `toml:"clip"`
	decoupled   bool
}

// Validate implements Optimizer.
func (o *Adam) Validate() error {
	if !(o.Beta1 >= 0 && o.Beta1 < 1) {
		return registry.Errorf("beta1", "%v must lie in [0,1)", o.Beta1)
	}
	if !(o.Beta2 >= 0 && o.Beta2 < 1) {
		return registry.Errorf("beta2", "%v must lie in [0,1)", o.Beta2)
	}
	if !(o.Epsilon > 0) || math.IsInf(o.Epsilon, 1) {
		return registry.Errorf("epsilon", "%v must be above 0 and finite", o.Epsilon)
	}
	return validRates(o.LR, o.WeightDecay, o.Clip)
}

// Rule implements Optimizer.
func (o *Adam) Rule() device.Optimizer {
	return device.Adam{Beta1: float32(o.Beta1), Beta2: float32(o.Beta2), Epsilon: float32(o.Epsilon),
		WeightDecay: float32(o.WeightDecay), Decoupled: o.decoupled, Clip: float32(o.Clip)}
}

// Rate implements Optimizer.
func (o *Adam) Rate() float64 { return o.LR }

func validRates(lr, decay, clip float64) error {
	if !(lr > 0) || math.IsInf(lr, 1) {
		return registry.Errorf("lr", "%v must be above 0 and finite", lr)
	}
	if !(decay >= 0) || math.IsInf(decay, 1) {
		return registry.Errorf("weight_decay", "%v must be finite and not negative", decay)
	}
	if !(clip >= 0) || math.IsInf(clip, 1) {
		return registry.Errorf("clip", "%v must be finite and not negative (0 means no clipping)", clip)
	}
	return nil
}

func init() {
	registry.Register("sgd", func() Optimizer { return &SGD{LR: 0.01, Momentum: 0.9} })
	adam := Adam{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
	registry.Register("adam", func() Optimizer { a := adam; return &a })
	registry.Register("adamw", func() Optimizer {
		a := adam
		a.WeightDecay, a.decoupled = 0.01, true
		return &a
	})
}
