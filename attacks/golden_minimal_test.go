package attacks_test

import (
	"slices"
	"testing"

	"rampart/attacks"
	"rampart/nn"
	"rampart/nn/device"
)

// recorder is a victim that keeps the images that it is asked about.
type recorder struct {
	*nn.Model
	gradients, logits [][]float32
}

func (v *recorder) InputGrad(c *device.Call) error {
	v.gradients = append(v.gradients, v.images(c))
	return v.Model.InputGrad(c)
}

func (v *recorder) Logits(c *device.Call) error {
	v.logits = append(v.logits, v.images(c))
	return v.Model.Logits(c)
}

func (v *recorder) images(c *device.Call) []float32 {
	x := make([]float32, c.Rows*v.Input().Size())
	c.X.Download(x, 0)
	return x
}

// TestGoldenMinimal compares each step of CW and EAD with foolbox.
func TestGoldenMinimal(t *testing.T) {
	type record struct {
		Options struct {
			Searches, Steps               int
			Step, Confidence, Const, Beta float64
			Rule                          string
		}
		X, Y   [][][][]float64
		Best   [][]float64
		BestAt []int `json:"best at"`
	}
	var file struct {
		Labels     []int32
		CW         record `json:"cw"`
		Targeted   record `json:"cw targeted"`
		Confidence record `json:"cw confidence"`
		EN         record `json:"ead en"`
		L1         record `json:"ead l1"`
		EADTarget  record `json:"ead targeted"`
	}
	attacks.ReadGolden(t, "golden_minimal", &file)
	for name, want := range map[string]record{"cw": file.CW, "cw confidence": file.Confidence, "cw targeted": file.Targeted,
		"ead en": file.EN, "ead l1": file.L1, "ead targeted": file.EADTarget} {
		o := want.Options
		search := attacks.Search{Searches: o.Searches, Steps: o.Steps, StepSize: number(o.Step), Const: number(o.Const), Confidence: number(o.Confidence)}
		labels := slices.Clone(file.Labels)
		if name == "cw targeted" || name == "ead targeted" { // at label + 2
			search.Target = "next"
			for i := range labels {
				labels[i] = (labels[i] + 1) % 4
			}
		}
		m, d := attacks.OracleNetwork(t, "small", len(labels)), attacks.OracleData(t, "small", labels)
		v := &recorder{Model: m}
		var a attacks.Attack = &attacks.CW{Bound: attacks.Bound{Norm: attacks.L2, Epsilon: 8}, Search: search}
		if name[0] == 'e' {
			a = &attacks.EAD{Bound: attacks.Bound{Norm: attacks.L1, Epsilon: 70}, Search: search, Beta: number(o.Beta), Rule: o.Rule, Fast: true}
		}
		res := run(t, v, a, d)
		if len(v.gradients) != o.Searches*o.Steps {
			t.Fatalf("%s: %d gradients, want %d", name, len(v.gradients), o.Searches*o.Steps)
		}
		judged := v.gradients
		if want.Y != nil {
			judged = v.logits[1 : 1+o.Searches*o.Steps] // after the clean images, and before Run's own
		}
		for s := range o.Searches {
			for k := range o.Steps {
				near(t, name+": image", judged[s*o.Steps+k], want.X[s][k], 1e-5)
				if want.Y != nil {
					near(t, name+": gradient", v.gradients[s*o.Steps+k], want.Y[s][k], 1e-5)
				}
			}
		}
		for r, at := range want.BestAt {
			if at >= 0 {
				near(t, name+": best", res.Nearest[r*72:], want.Best[r:r+1], 1e-5)
			}
		}
		if !slices.ContainsFunc(want.BestAt, func(at int) bool { return at >= 0 }) {
			t.Errorf("%s finds nothing", name)
		}
	}
}
