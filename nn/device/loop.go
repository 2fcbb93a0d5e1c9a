package device

import "rampart/nn/rng"

// Loop is the inner loop of an iterative attack. The executor runs it without going back to its
// caller: random start, then Steps times gradient, step and projection, each at the projected
// point. The caller's Call gives X (the clean examples), the labels and the loss, which the loop
// ascends.
type Loop struct {
	Steps    int
	Norm     Norm
	Epsilon  float32
	StepSize float32
	// Sparsity is the share of the pixels, those of largest gradient, that one step in L1 moves.
	Sparsity float32
	// Start is where the first iterate is taken from.
	Start    Start
	StartStd float32 // of FromNormal
	// Restart numbers this run among the random restarts of one attack.
	Restart uint32
	Noise   rng.Stream
	// Example numbers each row for the random numbers, so that they depend on neither batch nor order.
	Example []uint32
	// EarlyStop ends an example's loop at the first iterate that is misclassified (classified as
	// the target, if Targeted).
	EarlyStop bool
	// Tau lets an example that EarlyStop would end meet that many more iterates that succeed
	// (Zhang et al. 2020, "friendly" training), and then returns the current one. It excludes KeepBest.
	Tau int
	// KeepBest returns, for each example, the adversarial iterate of highest loss, or where there
	// is none the iterate of highest loss; otherwise the last iterate is returned. It costs one
	// more forward pass after the last step.
	KeepBest bool
	Targeted bool
	// Later lets a Counter keep the loop's counts until it is asked what is Owed; others return them as ever.
	Later bool
	// Adv receives the result, shaped like X.
	Adv Tensor
}

// Norm bounds a perturbation.
type Norm int

// The norms that a Loop can project onto.
const (
	Linf Norm = iota
	L2
	L1
)

// Start is the first iterate of a Loop.
type Start int

const (
	FromClean   Start = iota // the clean example
	FromUniform              // uniform in the ball (Linf: the cube; L2 and L1: uniform in volume), clipped to [0,1]
	FromNormal               // the clean example plus StartStd times N(0,1) on each pixel, projected onto the ball and [0,1]
)

// Optimizer is the rule of an optimiser step: SGD or Adam.
type Optimizer interface{ States() int }

// SGD with momentum, as PyTorch defines it: v = Momentum*v + g, w -= lr*v.
type SGD struct {
	Momentum, WeightDecay float32
	Nesterov              bool
	// Clip bounds the global L2 norm of the gradient; 0 is no bound.
	Clip float32
}

// Adam (Kingma and Ba 2015); with Decoupled its weight decay is AdamW's (Loshchilov and Hutter 2019).
type Adam struct {
	Beta1, Beta2, Epsilon, WeightDecay float32
	Decoupled                          bool
	Clip                               float32
}

// States is the number of values kept for each weight.
func (s SGD) States() int {
	if s.Momentum == 0 {
		return 0
	}
	return 1
}

// States is the number of values kept for each weight.
func (Adam) States() int { return 2 }
