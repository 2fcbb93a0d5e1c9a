// Package device declares what a model asks of the machine that runs it: memory, and the
// execution of programs. A program is a flat list of kernel calls (see Instr); an executor such
// as nn/cpu runs it. Nothing here computes anything.
package device

import (
	"errors"
	"fmt"
	"time"
)

// Device is one processor with its memory.
type Device interface {
	// Name says what the device is, for a person.
	Name() string
	// New returns zeroed memory for n values.
	New(n int) Tensor
	// Load prepares a program to run with the given parameters and their gradients; every
	// program that was loaded with the same Parameters sees their current values.
	Load(p *Program, params *Parameters) (Executable, error)
	// Update applies one optimiser step to all of the parameters. It fails with a NotFinite, changing
	// nothing, where a gradient is not finite; of a Settler that is left to Settle.
	Update(u Optimizer, params *Parameters, lr float32, step int) error
}

// Settler is a Device whose updates do not wait for it. Where a gradient is not finite neither that update
// of the parameters nor a later one changes anything until Settle has said so.
type Settler interface {
	Device
	// Settle waits for the updates of the parameters and returns a NotFinite for the first that was not.
	Settle(params *Parameters) error
}

// NotFinite is the error of an update that changed nothing, since a gradient was not finite.
type NotFinite struct {
	Parameter string // the first whose gradient was not
	Step      int    // that Update was given
}

func (e *NotFinite) Error() string {
	return fmt.Sprintf("the gradient of %q is not finite at step %d: lower the learning rate or clip the gradient", e.Parameter, e.Step)
}

// ErrNoKernel is what Load's error wraps where the device has no kernel for one of the program's ops.
var ErrNoKernel = errors.New("the device has no kernel for it: run on the processor, with -device cpu")

// Tensor is memory of a device: a row of float32 values without a shape.
type Tensor interface {
	Len() int
	// Upload copies src into the tensor from position at on.
	Upload(src []float32, at int)
	// Download copies values from position at on into dst.
	Download(dst []float32, at int)
}

// Executable is a program loaded on a device.
type Executable interface {
	// Run executes the program once for the first call.Rows rows.
	Run(call *Call) error
	// Iterate executes an attack's inner loop; see Loop.
	Iterate(call *Call, loop *Loop) (Counts, error)
}

// Sized is an Executable that can tell how many bytes of memory it computes in, parameters and
// calls' tensors left out. Programs of a device share that memory.
type Sized interface{ Memory() int }

// Profiler is an Executable that can tell how its time was spent.
type Profiler interface {
	// Profile calls run, which runs the executable, and returns the time of each of the program's
	// instructions, added up over the workers that shared it.
	Profile(run func() error) ([]time.Duration, error)
}

// Call holds what one run of a program reads and writes. Rows are examples.
type Call struct {
	Rows int
	// X holds the examples, Rows x the size of one example.
	X Tensor
	// Logits, Value and InputGrad, where not nil, receive the logits [Rows, classes], the loss
	// of each row [Rows], and d(sum of losses)/dx, shaped like X.
	Logits, Value, InputGrad Tensor
	Loss                     Loss
	Labels                   []int32
	// Soft holds a target distribution or target logits for each row where the loss needs one.
	Soft Tensor
	// Adversarial is the number of rows, the first, that are adversarial examples: networks with a batch
	// normalisation for those and one for clean rows ask for it in training.
	Adversarial int
	// Scale multiplies d(loss)/d(logits): 1 for a sum over rows, 1/Rows for a mean.
	Scale float32
	// Noise seeds what is random in a network: dropout in training (one number for each step), and
	// the random parts of a randomised defence (one number for each question of an attack).
	Noise uint64
	// Example numbers each row, where not nil, for a network that draws random numbers.
	Example []uint32
}

// Loss computes a value and a gradient for each row of a block of logits.
// An implementation is a small comparable struct of options; it must not keep state, because
// blocks are computed concurrently, and rows must not influence each other unless it is Tied.
type Loss interface {
	// Rows fills b.Value and b.Grad.
	Rows(b *Block)
}

// Tied is a Loss that ties rows together. It serves training only: a program for parameter
// gradients gives it the whole batch as one Block. The rows are Groups row groups of one size, one
// after another, whose rows in the same place belong to one example: of n examples in two groups,
// rows i and n+i. By convention the first group is adversarial, the last clean. Value and Grad are
// free to mix the groups, as long as Grad is the derivative of the sum of all Values.
type Tied interface {
	Loss
	Groups() int
}

// Block is what a Loss sees: some rows of a batch, or all for a parameter gradient. All slices
// belong to the executor.
type Block struct {
	Rows, Classes int
	Logits        []float32 // [Rows, Classes]
	Labels        []int32   // [Rows], or nil
	Soft          []float32 // [Rows, Classes], or nil
	Value         []float32 // [Rows], written
	Grad          []float32 // [Rows, Classes], d(Value)/d(Logits), written
}

// Parameters are the weights of a model. Each lives in its device's memory under a fixed index;
// all programs of a model share them. Weights that the optimiser leaves alone (running statistics,
// and what a fine-tuning freezes) have Frozen set and no gradient.
type Parameters struct {
	List []*Parameter
	// Version grows with every change of a value, so that packed copies can be renewed.
	Version uint64
	// Packed belongs to the executor: its own copies of the weights.
	Packed any
}

// Parameter is one named weight tensor in the executor's layout: convolutions [KH,KW,In,Out],
// dense layers [In,Out].
type Parameter struct {
	Name   string
	Shape  []int
	Frozen bool
	// RateFactor scales the learning rate for this weight; 0 stands for 1.
	RateFactor float32
	// Origin, where not nil, is the weight that this one is derived from. No program has both.
	Origin      *Parameter
	Value, Grad Tensor   // Grad is nil when Frozen
	State       []Tensor // optimiser state, made on demand
}

// Rate is the learning rate for this weight where the optimiser's is lr.
func (p *Parameter) Rate(lr float32) float32 {
	if p.RateFactor == 0 {
		return lr
	}
	return lr * p.RateFactor
}

// Counts says what an attack's loop did.
type Counts struct {
	Forwards  int // forward passes of single examples, those on the way to a gradient not counted
	Gradients int // gradients of single examples that were computed
	Zero      int // of those, how many were zero everywhere
	NonFinite int // of those, how many held a NaN or an infinity
}

// Add adds another loop's counts.
func (c *Counts) Add(o Counts) {
	c.Forwards += o.Forwards
	c.Gradients += o.Gradients
	c.Zero += o.Zero
	c.NonFinite += o.NonFinite
}

// Minus is what was added to o to give c.
func (c Counts) Minus(o Counts) Counts {
	return Counts{c.Forwards - o.Forwards, c.Gradients - o.Gradients, c.Zero - o.Zero, c.NonFinite - o.NonFinite}
}

// Argmax is the index of the largest of a row's logits, the first of equals.
func Argmax(row []float32) int {
	best := 0
	for j, v := range row {
		if v > row[best] {
			best = j
		}
	}
	return best
}
