package backendtest

import (
	"fmt"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
)

// centred ties all rows of the batch together: its value is half the squared distance of each logit
// to the batch's mean, so that no row's gradient can be had from a part of the batch.
type centred struct{}

func (centred) Groups() int { return 1 }

func (centred) Rows(b *device.Block) {
	for j := range b.Classes {
		mean := 0.0
		for i := range b.Rows {
			mean += float64(b.Logits[i*b.Classes+j]) / float64(b.Rows)
		}
		for i := range b.Rows {
			b.Grad[i*b.Classes+j] = float32(float64(b.Logits[i*b.Classes+j]) - mean)
		}
	}
	for i := range b.Rows {
		sum := 0.0
		for _, d := range b.Grad[i*b.Classes:][:b.Classes] {
			sum += float64(d) * float64(d) / 2
		}
		b.Value[i] = float32(sum)
	}
}

// tiedLosses: in training a loss sees the whole batch, whatever the tiles and threads, and the
// input's gradient is there for the asking; a program that attacks refuses such a loss.
func (s suite) tiedLosses(t *testing.T) {
	spec := custom("", 6, 6, 1, conv(3, 3, 1, ""), bnorm, relu, maxpool(2, 0, ""), dense(9), relu, dropout(0.3), dense(0)).Spec
	for _, loss := range []device.Tied{centred{}, nn.Mixed{Adversarial: 0.7}, nn.TRADES{Beta: 6}, nn.LogitPairing{Weight: 0.5},
		nn.MART{Beta: 5}, nn.ARD{Alpha: 0.9, Temperature: 3}, nn.RSLAD{Alpha: 5. / 6}} {
		for _, rows := range []int{6, 330} {
			t.Run(fmt.Sprintf("%T on %d", loss, rows), func(t *testing.T) {
				const scale = 0.25
				var one *net
				for _, threads := range []int{1, 2, 5} {
					n := s.build(t, spec, threads, rows)
					c := n.call(0, rows, loss, scale)
					if err := n.ParamGrad(c); err != nil { // with c.InputGrad
						t.Fatal(err)
					}
					both, gradients := pass{read(c.Logits), read(c.Value), read(c.InputGrad)}, n.Gradients()
					if one == nil {
						one = n
						want := reference(t, n, nn.ReferenceCall{Training: true, Rows: rows, X: n.x, Loss: loss, Labels: n.labels, Soft: n.soft, Scale: scale, Noise: 77})
						near(t, "logits", both.logits, want.Logits)
						near(t, "value", both.value, want.Value)
						near(t, "input gradient", both.inputGrad, want.InputGrad)
						nearWeights(t, "gradient", gradients, want.ParamGrads)
						nearWeights(t, "weights", n.Weights(), want.Weights)
					}
					sameWeights(t, fmt.Sprintf("%d threads: gradient", threads), gradients, one.Gradients())
					if err := n.SetWeights(n.weights); err != nil {
						t.Fatal(err)
					}
					alone := n.paramGrad(t, n.call(0, rows, loss, scale))
					pass{both.logits, both.value, nil}.same(t, "without the input's gradient: ", alone)
					sameWeights(t, "gradient without the input's", n.Gradients(), gradients)

					if err := n.InputGrad(n.call(0, rows, loss, 1)); err == nil || !strings.Contains(err.Error(), "ties rows together") {
						t.Errorf("a program that attacks took the loss: %v", err)
					}
					if _, err := n.Iterate(n.call(0, rows, loss, 1), &device.Loop{}); err == nil || !strings.Contains(err.Error(), "ties rows together") {
						t.Errorf("an attack's loop took the loss: %v", err)
					}
				}
			})
		}
	}
	n := s.build(t, spec, 1, 5)
	if err := n.ParamGrad(n.call(0, 5, nn.TRADES{}, 1)); err == nil || !strings.Contains(err.Error(), "5 rows for a loss on 2 groups") {
		t.Errorf("an odd number of rows for pairs: %v", err)
	}
}
