package device

// Program is a flat list of kernel calls over buffers, in an order in which every buffer is
// written before it is read. All row buffers hold one slice for each example; a program runs with
// any number of rows up to Rows.
type Program struct {
	Name    string
	Rows    int
	Buffers []Buffer
	Instrs  []Instr
	// X, Logits, Seed, Value and InputGrad are buffer numbers, -1 where the program has none.
	// Seed is where the loss puts d(loss)/d(logits).
	X, Logits, Seed, Value, InputGrad int
}

// Buffer is memory that a program uses.
type Buffer struct {
	Kind BufferKind
	// Size is the number of float32 values: of one row for Row, of all for the others.
	Size int
	// Param is the index in Parameters for Param and ParamGrad.
	Param int
}

// BufferKind says to whom a buffer belongs.
type BufferKind int

const (
	Row       BufferKind = iota // one slice per example, in the program's arena
	Whole                       // one slice for the batch, in the program's arena
	Param                       // the value of a parameter
	ParamGrad                   // the gradient of a parameter
)

// Instr is one kernel call.
type Instr struct {
	Op      Op
	In, Out []int // buffer numbers, in the order that the Op's comment gives
}

// Op is one of the kernels below: a closed set, which every executor implements.
type Op interface {
	// Rowwise reports whether rows are independent. Other ops read the whole batch.
	Rowwise() bool
}

// Window is the geometry of a convolution or pooling on [H,W,C] examples, channels last.
type Window struct {
	H, W, C                              int
	KH, KW, Stride                       int
	PadTop, PadLeft, PadBottom, PadRight int
}

// OutH is the height of the result.
func (w Window) OutH() int { return (w.H+w.PadTop+w.PadBottom-w.KH)/w.Stride + 1 }

// OutW is the width of the result.
func (w Window) OutW() int { return (w.W+w.PadLeft+w.PadRight-w.KW)/w.Stride + 1 }

// The kernels. Each comment lists inputs -> outputs.
type (
	// Conv is a convolution: x, w [KH,KW,C,Out], b -> y [OutH,OutW,Out], with ReLU on top if set. The
	// bias b is left out where there is none.
	Conv struct {
		Window
		Out  int
		ReLU bool
	}
	// ConvInputGrad: w, dy -> dx.
	ConvInputGrad struct {
		Window
		Out int
	}
	// ConvWeightGrad: x, dy -> dw, summed over rows.
	ConvWeightGrad struct {
		Window
		Out int
	}
	// GroupConv is a convolution in groups: x, w [KH,KW,C/Groups,Out], b -> y [OutH,OutW,Out]. Output
	// channels g*Out/Groups.. see input channels g*C/Groups.. only; Groups = C is depthwise. The bias
	// is left out where there is none.
	GroupConv struct {
		Window
		Out, Groups int
	}
	// GroupConvInputGrad: w, dy -> dx.
	GroupConvInputGrad struct {
		Window
		Out, Groups int
	}
	// GroupConvWeightGrad: x, dy -> dw, summed over rows.
	GroupConvWeightGrad struct {
		Window
		Out, Groups int
	}
	// BiasGrad sums dy over rows and positions: dy [.., Channels] -> db [Channels].
	BiasGrad struct{ Channels int }

	// Dense: x [In], w [In,Out], b -> y [Out], with ReLU on top if set.
	Dense struct {
		In, Out int
		ReLU    bool
	}
	// DenseInputGrad: w, dy -> dx.
	DenseInputGrad struct{ In, Out int }
	// DenseWeightGrad: x, dy -> dw, summed over rows.
	DenseWeightGrad struct{ In, Out int }

	// MaxPool: x -> y, index (a byte each: which element of the window won, the first of equals;
	// Size counts float32, four bytes each, rounded up). Padding never wins.
	MaxPool struct{ Window }
	// MaxPoolGrad: index, dy -> dx.
	MaxPoolGrad struct{ Window }
	// AvgPool: x -> y. Padding counts in the divisor, as in PyTorch's default.
	AvgPool struct{ Window }
	// AvgPoolGrad: dy -> dx.
	AvgPoolGrad struct{ Window }

	// ReLU: x -> y.
	ReLU struct{ Size int }
	// ReLUGrad: y, dy -> dx = dy where y > 0, else 0.
	ReLUGrad struct{ Size int }
	// Activation: x -> Func(x).
	Activation struct {
		Size  int
		Func  Func
		Slope float32 // of LeakyReLU below 0; ELU's limit
	}
	// ActivationGrad: x, dy -> dx = dy*Func'(x).
	ActivationGrad struct {
		Size  int
		Func  Func
		Slope float32
	}
	// Normalize: x -> (x-Mean)/Std by channel.
	Normalize struct{ Mean, Std string } // by EncodeFloats, so that the struct is comparable
	// NormalizeGrad: dy -> dy/Std.
	NormalizeGrad struct{ Std string }
	// Add: a, b -> a+b.
	Add struct{ Size int }
	// Mul: a [Size], b [Channels] -> a*b, with b repeated along a.
	Mul struct{ Size, Channels int }
	// Scale: x -> Factor*x.
	Scale struct {
		Size   int
		Factor float32
	}
	// Dropout: x -> x*mask/(1-Rate), the mask drawn from (Call.Noise, Layer, row, element).
	Dropout struct {
		Size  int
		Layer int
		Rate  float32
	}
	// DropoutGrad: dy -> dx, with the mask of the same Layer.
	DropoutGrad struct {
		Size  int
		Layer int
		Rate  float32
	}

	// BatchNorm normalises with running statistics: x, gamma, beta, mean, variance -> y.
	BatchNorm struct {
		Positions, Channels int
		Epsilon             float32
	}
	// BatchNormInputGrad: gamma, variance, dy -> dx.
	BatchNormInputGrad struct {
		Positions, Channels int
		Epsilon             float32
	}
	// BatchNormGammaGrad: x, mean, variance, dy -> dgamma. (dbeta is BiasGrad.)
	BatchNormGammaGrad struct {
		Positions, Channels int
		Epsilon             float32
	}
	// BatchNormTrain normalises with the batch's statistics and moves the running ones (the
	// variance unbiased, as in PyTorch): x, gamma, beta, mean, variance -> y, stats (Whole:
	// mean and 1/std by channel).
	BatchNormTrain struct {
		Positions, Channels int
		Epsilon, Momentum   float32
	}
	// BatchNormTrainInputGrad: x, gamma, dy, stats -> dx.
	BatchNormTrainInputGrad struct {
		Positions, Channels int
		Epsilon             float32
	}
	// BatchNormTrainGammaGrad: x, dy, stats -> dgamma.
	BatchNormTrainGammaGrad struct {
		Positions, Channels int
		Epsilon             float32
	}

	// BatchNormSplit is BatchNormTrain with two branches, the first for the call's first Adversarial rows
	// and the second, clean one for the others: x, gamma, beta, mean, variance, and the last four again
	// -> y, stats (Whole: mean and 1/std by channel, then those of the clean branch). A branch without
	// rows keeps its running statistics, and its gradients are 0.
	BatchNormSplit struct {
		Positions, Channels int
		Epsilon, Momentum   float32
	}
	// BatchNormSplitInputGrad: x, gamma, gamma of the clean branch, dy, stats -> dx.
	BatchNormSplitInputGrad struct {
		Positions, Channels int
		Epsilon             float32
	}
	// BatchNormSplitGammaGrad: x, dy, stats -> dgamma of a branch.
	BatchNormSplitGammaGrad struct {
		Positions, Channels int
		Epsilon             float32
		Clean               bool
	}
	// BatchNormSplitBetaGrad: dy -> dbeta of a branch.
	BatchNormSplitBetaGrad struct {
		Positions, Channels int
		Clean               bool
	}

	// GroupNorm normalises with the statistics of each example: x, gamma, beta -> y. An example is
	// Samples blocks [Positions, Channels]; mean and variance are those of one of Groups equal parts
	// of the channels of one block. Group normalisation has one block, and layer normalisation over
	// the channels a block and a group for each position.
	GroupNorm struct {
		Samples, Positions, Channels, Groups int
		Epsilon                              float32
	}
	// GroupNormInputGrad: x, gamma, dy -> dx.
	GroupNormInputGrad struct {
		Samples, Positions, Channels, Groups int
		Epsilon                              float32
	}
	// GroupNormGammaGrad: x, dy -> dgamma. (dbeta is BiasGrad.)
	GroupNormGammaGrad struct {
		Samples, Positions, Channels, Groups int
		Epsilon                              float32
	}

	// LogMeanSoftmax: logits of each member -> log of the mean of their softmaxes.
	LogMeanSoftmax struct{ Members, Classes int }
	// LogMeanSoftmaxGrad: logits of each member, dy -> gradient for member Index.
	LogMeanSoftmaxGrad struct{ Members, Classes, Index int }
	// Vote: logits of each member -> log((votes + mean of their softmaxes)/(Members+1)), each member
	// voting for its Argmax, and the sum at least VoteFloor. Its gradient is LogMeanSoftmaxGrad.
	Vote struct{ Members, Classes int }
	// Stack: logits of each member -> all of them, one member after the other.
	Stack struct{ Members, Classes int }
	// StackGrad: dy -> the part of member Index.
	StackGrad struct{ Members, Classes, Index int }

	// Concat lays the channels of a and b side by side at every position: a [.., A], b [.., B] -> y [.., A+B].
	Concat struct{ Positions, A, B int }
	// Part takes channels [From,From+Out) at every position: x [.., Channels] -> y [.., Out].
	Part struct{ Positions, Channels, From, Out int }

	// ApplyLoss: logits -> seed, value: the call's Loss. With Batch, as in programs that train, the
	// loss sees all rows at once, since it may tie them together (see Tied); otherwise, as in those
	// that attack, it may see any rows.
	ApplyLoss struct {
		Classes int
		Batch   bool
	}
)

// Func is a function of one variable.
type Func int

// The functions of Activation.
const (
	LeakyReLU Func = iota // x where it is above 0, Slope*x elsewhere
	GELU                  // x*P(N(0,1) <= x) (Hendrycks and Gimpel 2016), not its approximation by tanh
	SiLU                  // x*Sigmoid(x) (Ramachandran et al. 2017: swish)
	Sigmoid               // 1/(1+exp(-x))
	Tanh
	ELU        // x where it is above 0, Slope*(exp(x)-1) elsewhere (Clevert et al. 2016)
	Softplus   // log(1+exp(x))
	Reciprocal // 1/x
)

func (f Func) String() string {
	return [...]string{"leaky_relu", "gelu", "silu", "sigmoid", "tanh", "elu", "softplus", "reciprocal"}[f]
}

// Branch is the number of a BatchNormSplit's branch.
func Branch(clean bool) int {
	if clean {
		return 1
	}
	return 0
}

// VoteFloor keeps the logarithm of a Vote finite.
const VoteFloor = 0x1p-126

func (Conv) Rowwise() bool                    { return true }
func (ConvInputGrad) Rowwise() bool           { return true }
func (ConvWeightGrad) Rowwise() bool          { return false }
func (BiasGrad) Rowwise() bool                { return false }
func (Dense) Rowwise() bool                   { return true }
func (DenseInputGrad) Rowwise() bool          { return true }
func (DenseWeightGrad) Rowwise() bool         { return false }
func (MaxPool) Rowwise() bool                 { return true }
func (MaxPoolGrad) Rowwise() bool             { return true }
func (AvgPool) Rowwise() bool                 { return true }
func (AvgPoolGrad) Rowwise() bool             { return true }
func (ReLU) Rowwise() bool                    { return true }
func (ReLUGrad) Rowwise() bool                { return true }
func (Normalize) Rowwise() bool               { return true }
func (NormalizeGrad) Rowwise() bool           { return true }
func (Add) Rowwise() bool                     { return true }
func (Mul) Rowwise() bool                     { return true }
func (Scale) Rowwise() bool                   { return true }
func (Dropout) Rowwise() bool                 { return true }
func (DropoutGrad) Rowwise() bool             { return true }
func (BatchNorm) Rowwise() bool               { return true }
func (BatchNormInputGrad) Rowwise() bool      { return true }
func (BatchNormGammaGrad) Rowwise() bool      { return false }
func (BatchNormTrain) Rowwise() bool          { return false }
func (BatchNormTrainInputGrad) Rowwise() bool { return false }
func (BatchNormTrainGammaGrad) Rowwise() bool { return false }
func (BatchNormSplit) Rowwise() bool          { return false }
func (BatchNormSplitInputGrad) Rowwise() bool { return false }
func (BatchNormSplitGammaGrad) Rowwise() bool { return false }
func (BatchNormSplitBetaGrad) Rowwise() bool  { return false }
func (GroupConv) Rowwise() bool               { return true }
func (GroupConvInputGrad) Rowwise() bool      { return true }
func (GroupConvWeightGrad) Rowwise() bool     { return false }
func (Activation) Rowwise() bool              { return true }
func (ActivationGrad) Rowwise() bool          { return true }
func (GroupNorm) Rowwise() bool               { return true }
func (GroupNormInputGrad) Rowwise() bool      { return true }
func (GroupNormGammaGrad) Rowwise() bool      { return false }
func (LogMeanSoftmax) Rowwise() bool          { return true }
func (LogMeanSoftmaxGrad) Rowwise() bool      { return true }
func (Vote) Rowwise() bool                    { return true }
func (Stack) Rowwise() bool                   { return true }
func (StackGrad) Rowwise() bool               { return true }
func (Concat) Rowwise() bool                  { return true }
func (Part) Rowwise() bool                    { return true }
func (l ApplyLoss) Rowwise() bool             { return !l.Batch }
