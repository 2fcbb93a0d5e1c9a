package ptx

import "math"

func init() {
	narrow(func(a uint64) uint32 { return uint32(a) }, "cvt.u32.u64", "cvt.s32.s64")
	unary32(func(a uint32) uint32 { return b32(float32(int32(a))) }, "cvt.rn.f32.s32")
	unary32(func(a uint32) uint32 { return b32(float32(a)) }, "cvt.rn.f32.u32")
	// A NaN saturates to 0.
	float1(func(a float32) float32 {
		if a != a {
			return 0
		}
		return min(max(a, 0), 1)
	}, "cvt.sat.f32.f32")
	float1(func(a float32) float32 { return float32(math.Trunc(float64(a))) }, "cvt.rzi.f32.f32")
	float1(func(a float32) float32 { return float32(math.RoundToEven(float64(a))) }, "cvt.rni.f32.f32")
	widen(func(a uint32) uint64 { return b64(float64(f32(a))) }, "cvt.f64.f32")
	widen(func(a uint32) uint64 { return b64(float64(a)) }, "cvt.rn.f64.u32")
	widen(func(a uint32) uint64 { return b64(float64(int32(a))) }, "cvt.rn.f64.s32")
	narrow(func(a uint64) uint32 { return b32(float32(f64(a))) }, "cvt.rn.f32.f64")
	double1(math.RoundToEven, "cvt.rni.f64.f64")
	double1(math.Trunc, "cvt.rzi.f64.f64")
	unary64(func(a uint64) uint64 {
		switch v := f64(a); {
		case v != v:
			return 1 << 63
		case v >= 1<<63:
			return math.MaxInt64
		case v < -1<<63:
			return 1 << 63
		default:
			return uint64(int64(v))
		}
	}, "cvt.rzi.s64.f64")
	narrow(func(a uint64) uint32 {
		switch v := f64(a); {
		case v != v:
			return 0
		case v >= math.MaxInt32:
			return math.MaxInt32
		case v <= math.MinInt32:
			return 1 << 31
		default:
			return uint32(int32(v))
		}
	}, "cvt.rzi.s32.f64")
}
