package nn_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// fixed is a loss whose gradient is given, for one row at a time.
type fixed struct{ gradient *[4]float32 }

func (f fixed) Rows(b *device.Block) {
	for i := range b.Rows {
		copy(b.Grad[i*b.Classes:], f.gradient[:])
		b.Value[i] = 0
	}
}

// TestEnsembleGradient: the gradient of the ensemble, one big graph, is the sum of what each member
// has of it, where it is asked on its own for the gradient that the combination hands down.
func TestEnsembleGradient(t *testing.T) {
	in, classes := nn.Shape{H: 6, W: 6, C: 1}, 4
	var members []nn.Spec
	for _, width := range []int{5, 7, 9} {
		members = append(members, nn.Spec{Arch: "mlp", Options: &nn.MLP{Hidden: []int{width}}, Input: in, Classes: classes})
	}
	for _, combine := range []nn.Combine{nn.MeanLogits, nn.MeanProbability, nn.MajorityVote} {
		t.Run(string(combine), func(t *testing.T) {
			whole, err := nn.Build(nn.Spec{Input: in, Classes: classes, Members: members, Combine: combine}, cpu.New(1), 1, rng.New(3, "ensemble"))
			if err != nil {
				t.Fatal(err)
			}
			x := whole.New(in.Size())
			image := make([]float32, in.Size())
			rng.New(3, "image").Uniform(image, 0, 1, 0, 0, 0)
			x.Upload(image, 0)
			dx, logits := whole.New(in.Size()), whole.New(classes)
			if err := whole.InputGrad(&device.Call{Rows: 1, X: x, Labels: []int32{2}, Loss: nn.CrossEntropy{}, Scale: 1, Logits: logits, InputGrad: dx}); err != nil {
				t.Fatal(err)
			}
			got, combined := floatsOf(dx), floatsOf(logits)
			// d(cross-entropy)/d(combined logits)
			seed := probabilities(combined)
			seed[2]--
			each := make([][]float64, len(members))
			parts := make([]*nn.Model, len(members))
			for i, spec := range members {
				if parts[i], err = nn.Build(spec, cpu.New(1), 1, rng.New(0, "")); err != nil {
					t.Fatal(err)
				}
				var weights []nn.Weight
				for _, w := range whole.Weights() {
					if name, ok := strings.CutPrefix(w.Name, fmt.Sprintf("members.%d.", i)); ok {
						weights = append(weights, nn.Weight{Name: name, Shape: w.Shape, Data: w.Data})
					}
				}
				if err := parts[i].SetWeights(weights); err != nil {
					t.Fatal(err)
				}
				z := parts[i].New(classes)
				if err := parts[i].Logits(&device.Call{Rows: 1, X: x, Logits: z}); err != nil {
					t.Fatal(err)
				}
				each[i] = probabilities(floatsOf(z))
			}
			want := make([]float64, in.Size())
			for i := range parts {
				down := [4]float32{}
				for c := range down {
					down[c] = float32(seed[c] / float64(len(parts)))
					if combine != nn.MeanLogits { // through the log of the mean of softmaxes
						down[c] = float32(handedDown(each, i, seed)[c])
					}
				}
				g := parts[i].New(in.Size())
				if err := parts[i].InputGrad(&device.Call{Rows: 1, X: x, Loss: fixed{&down}, Scale: 1, InputGrad: g}); err != nil {
					t.Fatal(err)
				}
				for j, v := range floatsOf(g) {
					want[j] += v
				}
			}
			largest := 0.0
			for j := range want {
				largest = max(largest, math.Abs(want[j]))
				if math.Abs(got[j]-want[j]) > 1e-5 {
					t.Fatalf("pixel %d: %v, by members %v", j, got[j], want[j])
				}
			}
			if largest < 1e-3 {
				t.Errorf("the largest gradient is %v: nothing was compared", largest)
			}
		})
	}
}

// handedDown is the gradient in member i's logits of log(mean of the members' probabilities).
func handedDown(p [][]float64, i int, dy []float64) []float64 {
	out, sum := make([]float64, len(dy)), 0.0
	for c := range dy {
		total := 0.0
		for _, m := range p {
			total += m[c]
		}
		out[c] = dy[c] * p[i][c] / total
		sum += out[c]
	}
	for c := range out {
		out[c] -= sum * p[i][c]
	}
	return out
}

func floatsOf(t device.Tensor) []float64 {
	v := make([]float32, t.Len())
	t.Download(v, 0)
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

func probabilities(z []float64) []float64 {
	p, sum := make([]float64, len(z)), 0.0
	for _, v := range z {
		sum += math.Exp(v)
	}
	for i, v := range z {
		p[i] = math.Exp(v) / sum
	}
	return p
}
