package nn

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"rampart/nn/device"
)

// goldenLoss is a case of testdata/losses.json, which golden_losses.py wrote with PyTorch.
type goldenLoss struct {
	Loss                       string
	Options                    map[string]float32
	Classes                    int
	Labels                     []int32
	Adversarial, Clean         []float32
	Teacher                    []float32
	Value                      float64
	AdversarialGrad, CleanGrad []float64
}

// UnmarshalJSON reads snake_case keys.
func (g *goldenLoss) UnmarshalJSON(b []byte) error {
	type plain goldenLoss
	var grads struct {
		Adversarial []float64 `json:"adversarial_grad"`
		Clean       []float64 `json:"clean_grad"`
	}
	if err := json.Unmarshal(b, (*plain)(g)); err != nil {
		return err
	}
	err := json.Unmarshal(b, &grads)
	g.AdversarialGrad, g.CleanGrad = grads.Adversarial, grads.Clean
	return err
}

func (g *goldenLoss) loss() device.Tied {
	o := g.Options
	return map[string]device.Tied{
		"trades":  TRADES{Beta: o["beta"], Smoothing: o["smoothing"]},
		"mart":    MART{Beta: o["beta"]},
		"pairing": LogitPairing{Weight: o["weight"], Smoothing: o["smoothing"]},
		"mixed":   Mixed{Adversarial: o["share"], Smoothing: o["smoothing"]},
		"ard":     ARD{Alpha: o["alpha"], Temperature: o["t"]},
		"rslad":   RSLAD{Alpha: o["alpha"]},
	}[g.Loss]
}

func tiedBlock(classes int, labels []int32, adversarial, clean, teacher []float32) *device.Block {
	rows := 2 * len(labels)
	return &device.Block{Rows: rows, Classes: classes, Logits: slices.Concat(adversarial, clean), Labels: slices.Concat(labels, labels),
		Soft: slices.Concat(teacher, teacher), Value: slices.Repeat([]float32{float32(math.NaN())}, rows),
		Grad: slices.Repeat([]float32{float32(math.NaN())}, rows*classes)}
}

// TestTiedLossesLikePyTorch compares means over examples, and their gradients.
func TestTiedLossesLikePyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/losses.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenLoss
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for i, c := range cases {
		seen[c.Loss]++
		what := fmt.Sprintf("case %d, %s %v", i, c.Loss, c.Options)
		b := tiedBlock(c.Classes, c.Labels, c.Adversarial, c.Clean, c.Teacher)
		c.loss().Rows(b)
		n, value := float64(len(c.Labels)), 0.0
		for _, v := range b.Value {
			value += float64(v) / n
		}
		if math.Abs(value-c.Value) > 1e-6*(1+math.Abs(c.Value)) {
			t.Errorf("%s: value %v, PyTorch's is %v", what, value, c.Value)
		}
		want := slices.Concat(c.AdversarialGrad, c.CleanGrad)
		top := 0.0
		for _, w := range want {
			top = max(top, math.Abs(w))
		}
		for j, w := range want {
			if got := float64(b.Grad[j]) / n; math.Abs(got-w) > 1e-6*top {
				t.Errorf("%s: gradient[%d] is %v, PyTorch's is %v", what, j, got, w)
				break
			}
		}
	}
	for _, name := range []string{"trades", "mart", "pairing", "mixed", "ard", "rslad"} {
		if seen[name] == 0 {
			t.Errorf("no case of %s", name)
		}
	}
}

// TestTiedLossExtremes: logits far apart give finite values, and examples do not touch one another.
func TestTiedLossExtremes(t *testing.T) {
	adversarial, clean := []float32{1e4, -1e4, 0, 3e4, 0, 0, 0, -20, 50}, []float32{-1e4, 1e4, 5, 0, 0, 3e4, 0, 0, 0}
	labels := []int32{1, 2, 0}
	for _, l := range []device.Tied{TRADES{Beta: 6}, MART{Beta: 6}, LogitPairing{Weight: 1}, Mixed{Adversarial: 0.5}, ARD{Alpha: 0.5, Temperature: 2}, RSLAD{Alpha: 0.5}} {
		all := tiedBlock(3, labels, adversarial, clean, clean)
		l.Rows(all)
		for i := range labels {
			one := tiedBlock(3, labels[i:i+1], adversarial[3*i:3*i+3], clean[3*i:3*i+3], clean[3*i:3*i+3])
			l.Rows(one)
			for g, row := range []int{i, 3 + i} {
				if v := float64(one.Value[g]); math.IsNaN(v) || math.IsInf(v, 0) || one.Value[g] != all.Value[row] {
					t.Errorf("%T: value %v of example %d alone, %v among others", l, one.Value[g], i, all.Value[row])
				}
				grad := one.Grad[3*g : 3*g+3]
				if !slices.Equal(grad, all.Grad[3*row:3*row+3]) || slices.ContainsFunc(grad, func(v float32) bool { return v != v || math.IsInf(float64(v), 0) }) {
					t.Errorf("%T: gradient %v of example %d alone, %v among others", l, grad, i, all.Grad[3*row:3*row+3])
				}
			}
		}
	}
}

// TestDistillOnSoftLabels: at temperature 1 distillation is the cross-entropy with the teacher's
// probabilities as soft labels, and with hard ones that of the label.
func TestDistillOnSoftLabels(t *testing.T) {
	logits := []float32{0.5, -1.25, 2, 0, 1.5}
	for _, q := range [][]float64{{0.1, 0.2, 0.3, 0.15, 0.25}, {0.7, 0.05, 0.05, 0.1, 0.1}} {
		soft, sum := make([]float32, len(q)), 0.0
		for j, v := range logits {
			soft[j] = float32(math.Log(q[j]))
			sum += math.Exp(float64(v))
		}
		want := 0.0
		for j, v := range logits {
			want -= q[j] * (float64(v) - math.Log(sum))
		}
		value, grad := evaluate(Distill{Temperature: 1}, logits, soft, 0)
		if math.Abs(value-want) > 1e-6 {
			t.Errorf("soft labels %v: %v, want %v", q, value, want)
		}
		for j, v := range logits {
			if w := math.Exp(float64(v))/sum - q[j]; math.Abs(float64(grad[j])-w) > 1e-6 {
				t.Errorf("soft labels %v: gradient[%d] is %v, want %v", q, j, grad[j], w)
			}
		}
	}
	sure := []float32{0, 0, 200, 0, 0}
	value, grad := evaluate(Distill{Temperature: 1}, logits, sure, 0)
	hard, hardGrad := evaluate(CrossEntropy{}, logits, nil, 2)
	if math.Abs(value-hard) > 1e-6 {
		t.Errorf("a sure teacher: %v, cross-entropy is %v", value, hard)
	}
	for j := range grad {
		if math.Abs(float64(grad[j]-hardGrad[j])) > 1e-6 {
			t.Errorf("a sure teacher: gradient %v, cross-entropy's is %v", grad, hardGrad)
			break
		}
	}
}
