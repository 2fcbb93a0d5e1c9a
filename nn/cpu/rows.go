package cpu

import (
	"math"

	"rampart/nn/device"
	"rampart/nn/kernel"
)

// dropout multiplies rows by their mask, which depends on the row's place in the batch, not on its tile.
func dropout(f *frame, dst, src, r, n int, rate float32, layer int) {
	for i := range n {
		y, x := f.at(dst, r+i, 1), f.at(src, r+i, 1)
		device.DropoutMask(y, rate, f.e.call.Noise, layer, f.row0+r+i)
		for j := range y {
			y[j] *= x[j]
		}
	}
}

// applyLoss turns a tile's logits into values and the seed of the backward pass.
func applyLoss(f *frame, logits, seed, value, n, classes int) {
	c := f.e.call
	f.block = device.Block{Rows: n, Classes: classes, Logits: f.at(logits, 0, n), Value: f.at(value, 0, n), Grad: f.at(seed, 0, n)}
	if c.Labels != nil {
		f.block.Labels = f.labels[:n]
	}
	if f.soft != nil {
		f.block.Soft = f.soft[:n*classes]
	}
	c.Loss.Rows(&f.block)
	if c.Scale != 1 {
		kernel.Scale(f.block.Grad, f.block.Grad, c.Scale)
	}
}

// logSumExp is stable for any finite logits.
func logSumExp(z []float32) float64 {
	top := math.Inf(-1)
	for _, v := range z {
		top = math.Max(top, float64(v))
	}
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum)
}

func logMeanSoftmax(f *frame, members []int, dst, from, n, classes int) {
	for r := from; r < from+n; r++ {
		y := f.at(dst, r, 1)
		logs := f.scratch[:len(members)*classes]
		for m, b := range members {
			z := f.at(b, r, 1)
			lse := logSumExp(z)
			for j, v := range z {
				logs[j*len(members)+m] = float32(float64(v) - lse)
			}
		}
		for j := range y {
			y[j] = float32(logSumExp(logs[j*len(members):][:len(members)]) - math.Log(float64(len(members))))
		}
	}
}

// logMeanSoftmaxGrad: with p_m the softmax of member m and P the sum over members,
// dz_m[i] = sum_j dy[j] p_m[j]/P[j] (1[i=j] - p_m[i]).
func logMeanSoftmaxGrad(f *frame, in []int, dst, n int, op device.LogMeanSoftmaxGrad) {
	members, grad := in[:op.Members], in[op.Members]
	for r := range n {
		dz, dy, own := f.at(dst, r, 1), f.at(grad, r, 1), f.at(members[op.Index], r, 1)
		lse := logSumExp(own)
		sum := 0.0
		for j := range dz {
			// p_m[j]/P[j] as 1/sum of exp(log p_k[j] - log p_m[j]): no underflow.
			ratio := 0.0
			for _, b := range members {
				z := f.at(b, r, 1)
				ratio += math.Exp(float64(z[j]) - logSumExp(z) - (float64(own[j]) - lse))
			}
			g := float64(dy[j]) / ratio
			dz[j] = float32(g)
			sum += g
		}
		for i := range dz {
			dz[i] -= float32(sum * math.Exp(float64(own[i])-lse))
		}
	}
}
