package kernel

import (
	"math"

	"rampart/nn/device"
)

// Activation computes y = f(x); slope is LeakyReLU's, and ELU's limit. y and x may be the same slice.
func Activation(f device.Func, slope float32, y, x []float32) {
	x = x[:len(y)]
	switch f {
	case device.LeakyReLU:
		for i, v := range x {
			if v > 0 {
				y[i] = v
			} else {
				y[i] = slope * v
			}
		}
	case device.GELU:
		for i, v := range x {
			y[i] = float32(float64(v) * 0.5 * math.Erfc(float64(v)*-(1/math.Sqrt2)))
		}
	case device.SiLU:
		for i, v := range x {
			y[i] = float32(float64(v) * sigmoid(v))
		}
	case device.Sigmoid:
		for i, v := range x {
			y[i] = float32(sigmoid(v))
		}
	case device.Tanh:
		for i, v := range x {
			y[i] = float32(math.Tanh(float64(v)))
		}
	case device.ELU:
		for i, v := range x {
			if v > 0 {
				y[i] = v
			} else {
				y[i] = float32(float64(slope) * math.Expm1(float64(v)))
			}
		}
	case device.Softplus:
		for i, v := range x {
			y[i] = float32(max(float64(v), 0) + math.Log1p(math.Exp(-math.Abs(float64(v)))))
		}
	case device.Reciprocal:
		for i, v := range x {
			y[i] = 1 / v
		}
	}
}

// ActivationGrad computes dx = dy*f'(x). dx may be x or dy.
func ActivationGrad(f device.Func, slope float32, dx, x, dy []float32) {
	x, dy = x[:len(dx)], dy[:len(dx)]
	switch f {
	case device.LeakyReLU:
		for i, d := range dy {
			if x[i] > 0 {
				dx[i] = d
			} else {
				dx[i] = slope * d
			}
		}
	case device.GELU:
		const density = 0.3989422804014327 // of N(0,1) at 0
		for i, d := range dy {
			v := float64(x[i])
			dx[i] = float32(float64(d) * (0.5*math.Erfc(v*-(1/math.Sqrt2)) + v*density*math.Exp(-0.5*v*v)))
		}
	case device.SiLU:
		for i, d := range dy {
			s := sigmoid(x[i])
			dx[i] = float32(float64(d) * s * (1 + float64(x[i])*(1-s)))
		}
	case device.Sigmoid:
		for i, d := range dy {
			s := sigmoid(x[i])
			dx[i] = float32(float64(d) * s * (1 - s))
		}
	case device.Tanh:
		for i, d := range dy {
			y := math.Tanh(float64(x[i]))
			dx[i] = float32(float64(d) * (1 - y*y))
		}
	case device.ELU:
		for i, d := range dy {
			if x[i] > 0 {
				dx[i] = d
			} else {
				dx[i] = float32(float64(d) * float64(slope) * math.Exp(float64(x[i])))
			}
		}
	case device.Softplus:
		for i, d := range dy {
			dx[i] = float32(float64(d) * sigmoid(x[i]))
		}
	case device.Reciprocal:
		for i, d := range dy {
			v := float64(x[i])
			dx[i] = float32(-float64(d) / (v * v))
		}
	}
}

func sigmoid(x float32) float64 { return 1 / (1 + math.Exp(-float64(x))) }
