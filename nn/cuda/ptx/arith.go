package ptx

import (
	"math"
	"math/big"
	"math/bits"
)

// instructions holds every instruction that a kernel may use, by its name in full.
var instructions = map[string]builder{}

func binary32(f func(a, b uint32) uint32, names ...string) {
	for _, name := range names {
		instructions[name] = func(c *compiler) operation {
			d, a, b := c.three32()
			line, divides := c.cur.line, name[:3] == "div" && name[4] != 'r' || name[:3] == "rem"
			return func(w *warp, mask uint32) {
				D, A, B := &w.r[d], &w.r[a], &w.r[b]
				for m := mask; m != 0; m &= m - 1 {
					i := bits.TrailingZeros32(m)
					if divides && B[i] == 0 {
						w.fail(line, "division by zero")
					}
					D[i] = f(A[i], B[i])
				}
			}
		}
	}
}

func binary64(f func(a, b uint64) uint64, names ...string) {
	for _, name := range names {
		instructions[name] = func(c *compiler) operation {
			d, a, b := c.r64(c.arg(0, 3)), c.r64(c.arg(1, 3)), c.r64(c.arg(2, 3))
			return func(w *warp, mask uint32) {
				D, A, B := &w.d[d], &w.d[a], &w.d[b]
				for m := mask; m != 0; m &= m - 1 {
					i := bits.TrailingZeros32(m)
					D[i] = f(A[i], B[i])
				}
			}
		}
	}
}

// shift64 takes its second operand from a 32-bit register.
func shift64(f func(a uint64, n uint32) uint64, names ...string) {
	for _, name := range names {
		instructions[name] = func(c *compiler) operation {
			d, a, b := c.r64(c.arg(0, 3)), c.r64(c.arg(1, 3)), c.r32(c.arg(2, 3))
			return func(w *warp, mask uint32) {
				D, A, B := &w.d[d], &w.d[a], &w.r[b]
				for m := mask; m != 0; m &= m - 1 {
					i := bits.TrailingZeros32(m)
					D[i] = f(A[i], B[i])
				}
			}
		}
	}
}

func unary32(f func(a uint32) uint32, names ...string) {
	for _, name := range names {
		instructions[name] = func(c *compiler) operation {
			d, a := c.r32(c.arg(0, 2)), c.r32(c.arg(1, 2))
			return func(w *warp, mask uint32) { each(mask, func(i int) { w.r[d][i] = f(w.r[a][i]) }) }
		}
	}
}

func unary64(f func(a uint64) uint64, names ...string) {
	for _, name := range names {
		instructions[name] = func(c *compiler) operation {
			d, a := c.r64(c.arg(0, 2)), c.r64(c.arg(1, 2))
			return func(w *warp, mask uint32) { each(mask, func(i int) { w.d[d][i] = f(w.d[a][i]) }) }
		}
	}
}

func widen(f func(a uint32) uint64, names ...string) {
	for _, name := range names {
		instructions[name] = func(c *compiler) operation {
			d, a := c.r64(c.arg(0, 2)), c.r32(c.arg(1, 2))
			return func(w *warp, mask uint32) { each(mask, func(i int) { w.d[d][i] = f(w.r[a][i]) }) }
		}
	}
}

func narrow(f func(a uint64) uint32, names ...string) {
	for _, name := range names {
		instructions[name] = func(c *compiler) operation {
			d, a := c.r32(c.arg(0, 2)), c.r64(c.arg(1, 2))
			return func(w *warp, mask uint32) { each(mask, func(i int) { w.r[d][i] = f(w.d[a][i]) }) }
		}
	}
}

func float2(f func(a, b float32) float32, names ...string) {
	binary32(func(a, b uint32) uint32 { return b32(f(f32(a), f32(b))) }, names...)
}

func double2(f func(a, b float64) float64, names ...string) {
	binary64(func(a, b uint64) uint64 { return b64(f(f64(a), f64(b))) }, names...)
}

func float1(f func(a float32) float32, names ...string) {
	unary32(func(a uint32) uint32 { return b32(f(f32(a))) }, names...)
}

func double1(f func(a float64) float64, names ...string) {
	unary64(func(a uint64) uint64 { return b64(f(f64(a))) }, names...)
}

func init() {
	binary32(func(a, b uint32) uint32 { return uint32(uint64(a) * uint64(b) >> 32) }, "mul.hi.u32")
	binary32(func(a, b uint32) uint32 { return uint32(int64(int32(a)) * int64(int32(b)) >> 32) }, "mul.hi.s32")
	binary32(func(a, b uint32) uint32 { return uint32(int32(a) / int32(b)) }, "div.s32")
	binary32(func(a, b uint32) uint32 { return uint32(int32(a) % int32(b)) }, "rem.s32")
	binary32(func(a, b uint32) uint32 { return a / b }, "div.u32")
	binary32(func(a, b uint32) uint32 { return a % b }, "rem.u32")
	binary32(func(a, b uint32) uint32 { return uint32(min(int32(a), int32(b))) }, "min.s32")
	binary32(func(a, b uint32) uint32 { return uint32(max(int32(a), int32(b))) }, "max.s32")
	binary32(func(a, b uint32) uint32 { return min(a, b) }, "min.u32")
	binary32(func(a, b uint32) uint32 { return max(a, b) }, "max.u32")
	binary32(func(a, b uint32) uint32 { return a & b }, "and.b32")
	binary32(func(a, b uint32) uint32 { return a | b }, "or.b32")
	binary32(func(a, b uint32) uint32 { return a ^ b }, "xor.b32")
	binary32(func(a, b uint32) uint32 { return a << b }, "shl.b32")
	binary32(func(a, b uint32) uint32 { return a >> b }, "shr.u32")
	binary32(func(a, b uint32) uint32 { return uint32(int32(a) >> b) }, "shr.s32")
	unary32(func(a uint32) uint32 { return ^a }, "not.b32")
	unary32(func(a uint32) uint32 { return -a }, "neg.s32")

	binary64(func(a, b uint64) uint64 { return a - b }, "sub.s64", "sub.u64")
	binary64(func(a, b uint64) uint64 { return uint64(min(int64(a), int64(b))) }, "min.s64")
	binary64(func(a, b uint64) uint64 { return a & b }, "and.b64")
	binary64(func(a, b uint64) uint64 { return a | b }, "or.b64")
	binary64(func(a, b uint64) uint64 { return a ^ b }, "xor.b64")
	shift64(func(a uint64, n uint32) uint64 { return a << n }, "shl.b64")
	shift64(func(a uint64, n uint32) uint64 { return a >> n }, "shr.u64")
	shift64(func(a uint64, n uint32) uint64 { return uint64(int64(a) >> n) }, "shr.s64")

	float2(func(a, b float32) float32 { return a - b }, "sub.f32", "sub.rn.f32")
	float2(func(a, b float32) float32 { return a * b }, "mul.f32", "mul.rn.f32")
	float2(func(a, b float32) float32 { return a / b }, "div.rn.f32")
	float2(func(a, b float32) float32 { return float32(minimum(float64(a), float64(b))) }, "min.f32")
	float2(func(a, b float32) float32 { return float32(maximum(float64(a), float64(b))) }, "max.f32")
	float2(func(a, b float32) float32 { return toward(a, 1, b, big.ToZero) }, "add.rz.f32")
	float1(func(a float32) float32 { return -a }, "neg.f32")
	unary32(func(a uint32) uint32 { return a &^ (1 << 31) }, "abs.f32")
	float1(func(a float32) float32 { return float32(math.Sqrt(float64(a))) }, "sqrt.rn.f32")
	float1(func(a float32) float32 { return 1 / a }, "rcp.rn.f32")
	float1(func(a float32) float32 { return flush(float32(math.Exp2(float64(flush(a))))) }, "ex2.approx.ftz.f32")
	float1(func(a float32) float32 { return float32(math.Exp2(float64(a))) }, "ex2.approx.f32")
	float1(func(a float32) float32 { return flush(1 / flush(a)) }, "rcp.approx.ftz.f32")
	float1(func(a float32) float32 { return flush(float32(math.Log2(float64(flush(a))))) }, "lg2.approx.ftz.f32")
	instructions["fma.rm.f32"] = func(c *compiler) operation {
		d, a, b, e := c.r32(c.arg(0, 4)), c.r32(c.arg(1, 4)), c.r32(c.arg(2, 4)), c.r32(c.arg(3, 4))
		return func(w *warp, mask uint32) {
			each(mask, func(i int) {
				w.r[d][i] = b32(toward(f32(w.r[a][i]), f32(w.r[b][i]), f32(w.r[e][i]), big.ToNegativeInf))
			})
		}
	}

	double2(func(a, b float64) float64 { return a + b }, "add.f64", "add.rn.f64")
	double2(func(a, b float64) float64 { return a - b }, "sub.f64", "sub.rn.f64")
	double2(func(a, b float64) float64 { return a * b }, "mul.f64", "mul.rn.f64")
	double2(func(a, b float64) float64 { return a / b }, "div.rn.f64")
	double2(minimum, "min.f64")
	double2(maximum, "max.f64")
	double1(func(a float64) float64 { return -a }, "neg.f64")
	unary64(func(a uint64) uint64 { return a &^ (1 << 63) }, "abs.f64")
	double1(math.Sqrt, "sqrt.rn.f64")
	double1(func(a float64) float64 { return 1 / a }, "rcp.rn.f64")
	// The reciprocal of the upper half alone.
	double1(func(a float64) float64 { return f64(b64(1/f64(b64(a)>>32<<32)) >> 32 << 32) }, "rcp.approx.ftz.f64")
	instructions["fma.rn.f64"] = func(c *compiler) operation {
		d, a, b, e := c.r64(c.arg(0, 4)), c.r64(c.arg(1, 4)), c.r64(c.arg(2, 4)), c.r64(c.arg(3, 4))
		return func(w *warp, mask uint32) {
			each(mask, func(i int) { w.d[d][i] = b64(math.FMA(f64(w.d[a][i]), f64(w.d[b][i]), f64(w.d[e][i]))) })
		}
	}
}

// toward is a*b+c rounded to float32 in a given direction.
func toward(a, b, c float32, mode big.RoundingMode) float32 {
	exact := float64(a)*float64(b) + float64(c)
	if math.IsNaN(exact) || math.IsInf(exact, 0) || exact == 0 {
		return float32(exact)
	}
	product := new(big.Float).SetPrec(300).SetFloat64(float64(a) * float64(b))
	sum := product.Add(product, big.NewFloat(float64(c))).SetMode(mode).SetPrec(24)
	v, _ := sum.Float32()
	return v
}

// flush turns subnormal numbers into zeros.
func flush(v float32) float32 {
	if b32(v)>>23&255 == 0 {
		return f32(b32(v) & (1 << 31))
	}
	return v
}

// minimum and maximum prefer numbers to NaN.
func minimum(a, b float64) float64 {
	if a != a {
		return b
	}
	if b != b {
		return a
	}
	return min(a, b)
}

func maximum(a, b float64) float64 {
	if a != a {
		return b
	}
	if b != b {
		return a
	}
	return max(a, b)
}
