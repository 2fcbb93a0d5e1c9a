package ptx

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// strides describes fragments by the way of CUTLASS (include/cute/atom/mma_traits_sm80.hpp), which is not the
// PTX manual's: a matrix of rows m or n and columns k counts its elements down the columns, and a thread's
// value lies at the sum of one stride for lane%4, one for lane/4, and one for each bit of the value's number.
type strides struct {
	rows       int
	in, group  int
	value      [3]int
	valueCount int
}

func (s strides) place(lane, value int) (row, column int) {
	at := lane%4*s.in + lane/4*s.group
	for bit, stride := range s.value {
		at += value >> bit & 1 * stride
	}
	return at % s.rows, at / s.rows
}

// TestTensorCores multiplies random matrices that are dealt out by that description.
func TestTensorCores(t *testing.T) {
	c := strides{16, 32, 1, [3]int{16, 8}, 4}
	for _, test := range []struct {
		name    string
		k, half int // half is how many values share a register
		a, b    strides
		bits    func(v float32) uint32
	}{
		{"m16n8k8.row.col.f32.tf32.tf32.f32", 8, 1, strides{16, 16, 1, [3]int{8, 64}, 4}, strides{8, 8, 1, [3]int{32}, 2}, b32},
		{"m16n8k16.row.col.f32.bf16.bf16.f32", 16, 2, strides{16, 32, 1, [3]int{16, 8, 128}, 8}, strides{8, 16, 1, [3]int{8, 64}, 4},
			func(v float32) uint32 { return b32(v) >> 16 }},
	} {
		random := rand.New(rand.NewPCG(1, 1))
		matrix := func(rows, columns int) [][]float32 {
			m := make([][]float32, rows)
			for i := range m {
				for range columns {
					m[i] = append(m[i], float32(random.IntN(33)-16)/4)
				}
			}
			return m
		}
		A, B, C := matrix(16, test.k), matrix(8, test.k), matrix(16, 8)
		words := make([]uint32, 10*lanes) // registers of A, B and C, one after another, a word for each lane
		for lane := range lanes {
			deal := func(first, half int, s strides, from [][]float32, bits func(float32) uint32) {
				for i := range s.valueCount {
					row, column := s.place(lane, i)
					words[(first+i/half)*lanes+lane] |= bits(from[row][column]) << (16 * (i % half))
				}
			}
			deal(0, test.half, test.a, A, test.bits)
			deal(4, test.half, test.b, B, test.bits)
			deal(6, 1, c, C, b32)
		}
		var body strings.Builder
		for i := range 10 {
			fmt.Fprintf(&body, "ld.global.u32 %%r%d, [%%rd1+%d];\n", 5+i, 4*lanes*i)
		}
		for i := range 4 {
			fmt.Fprintf(&body, "mov.b32 %%f%d, %%r%d;\n", 1+i, 11+i)
		}
		fmt.Fprintf(&body, "mma.sync.aligned.%s {%%f5,%%f6,%%f7,%%f8}, {%%r5,%%r6,%%r7,%%r8}, {%%r9,%%r10}, {%%f1,%%f2,%%f3,%%f4};\n", test.name)
		for i := range 4 {
			fmt.Fprintf(&body, "st.global.f32 [%%rd2+%d], %%f%d;\n", 4*lanes*i, 5+i)
		}
		b := newBench(t)
		from, to := b.buffer(words...), b.buffer(make([]uint32, 4*lanes)...)
		must(t, b.run(body.String(), lanes, from, to))
		got := b.words(to, 4*lanes)
		for lane := range lanes {
			for i := range 4 {
				row, column := c.place(lane, i)
				want := C[row][column]
				for k := range test.k {
					want += A[row][k] * B[column][k]
				}
				if v := f32(got[i*lanes+lane]); v != want {
					t.Fatalf("%s: element (%d,%d) is %v, want %v", test.name, row, column, v, want)
				}
			}
		}
		if err := b.run(strings.Replace(body.String(), "mma", "setp.lt.s32 %p1, %r1, 8; @%p1 mma", 1), lanes, from, to); err == nil || !strings.Contains(err.Error(), "0xff alone") {
			t.Errorf("a product by eight threads: %v", err)
		}
	}
	b := newBench(t)
	err := b.run(`mov.u32 %r5, 0x3f800001; mov.f32 %f1, 0f00000000;
		mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f1,%f1,%f1,%f1}, {%r5,%r5,%r5,%r5}, {%r5,%r5}, {%f1,%f1,%f1,%f1};`, lanes, b.buffer(0), b.buffer(0))
	if err == nil || !strings.Contains(err.Error(), "no TF32") {
		t.Errorf("an operand that is not rounded: %v", err)
	}
}

// TestRounding: to TF32 ties go away from zero, to bf16 to even.
func TestRounding(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct{ v, tf32, bf16 float32 }{
		{0, 0, 0}, {1, 1, 1}, {-3.5, -3.5, -3.5}, {inf, inf, inf}, {nan, nan, nan},
		{1 + 0x1p-11, 1 + 0x1p-10, 1}, {-1 - 0x1p-11, -1 - 0x1p-10, -1}, {1 + 0x1p-11 - 0x1p-23, 1, 1},
		{1 + 0x1p-8, 1 + 0x1p-8, 1}, {1 + 3*0x1p-8, 1 + 3*0x1p-8, 1 + 0x1p-6}, {1 + 0x1p-8 + 0x1p-23, 1 + 0x1p-8, 1 + 0x1p-7},
		{2 - 0x1p-23, 2, 2}, {math.MaxFloat32, inf, inf},
	} {
		b := newBench(t)
		to := b.buffer(0, 0)
		must(t, b.run(`ld.global.f32 %f1, [%rd3]; mov.f32 %f2, 0f40000000;
			cvt.rna.tf32.f32 %r5, %f1; st.global.u32 [%rd4], %r5;
			cvt.rn.bf16x2.f32 %r6, %f1, %f2; st.global.u32 [%rd4+4], %r6;`, 1, b.buffer(b32(c.v)), to))
		got := b.words(to, 2)
		same := func(a, b float32) bool { return a == b || a != a && b != b }
		if v := f32(got[0]); !same(v, c.tf32) {
			t.Errorf("%v becomes %v in TF32, want %v", c.v, v, c.tf32)
		}
		if v := f32(got[1] >> 16 << 16); !same(v, c.bf16) || got[1]&0xffff != 0x4000 {
			t.Errorf("%v becomes %v in bf16 (%#x with a 2), want %v", c.v, v, got[1], c.bf16)
		}
	}
}

// TestAsyncCopies: what has been waited for is there, a barrier later for other warps, too; all else is an error.
func TestAsyncCopies(t *testing.T) {
	const (
		copy4   = "mov.u32 %r9, 4; cp.async.ca.shared.global [%r4], [%rd1], 4, %r9; cp.async.commit_group;"
		wait    = "cp.async.wait_group 0;"
		barrier = "bar.sync 0;"
		own     = "ld.shared.u32 %r5, [%r4];"
		other   = "xor.b32 %r6, %r2, 252; add.s32 %r6, %r6, %r3; ld.shared.u32 %r5, [%r6];" // the thread 63-i
		store   = "st.global.u32 [%rd2], %r5;"
	)
	for _, c := range []struct {
		name, body string
		want       func(i uint32) uint32
		err        string
	}{
		{"own", copy4 + wait + own + store, func(i uint32) uint32 { return i }, ""},
		{"other", copy4 + wait + barrier + other + store, func(i uint32) uint32 { return 63 - i }, ""},
		{"no wait", copy4 + own + store, nil, "is on its way to"},
		{"no wait but a barrier", copy4 + barrier + other + store, nil, "is on its way to"},
		{"no barrier", copy4 + wait + other + store, nil, "the shared word"},
		{"a write in the way", copy4 + "st.shared.u32 [%r4], %r1;" + wait + own + store, nil, "a write to the shared word"},
		{"the older group alone", copy4 + "add.s32 %r7, %r4, 256; cp.async.ca.shared.global [%r7], [%rd1], 4, %r9; cp.async.commit_group; cp.async.wait_group 1;" + own + store,
			func(i uint32) uint32 { return i }, ""},
		{"the younger group", copy4 + "add.s32 %r7, %r4, 256; cp.async.ca.shared.global [%r7], [%rd1], 4, %r9; cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r5, [%r7];" + store,
			nil, "is on its way to"},
		{"not committed", "mov.u32 %r9, 4; cp.async.ca.shared.global [%r4], [%rd1], 4, %r9;" + wait + own + store, nil, "is on its way to"},
		{"zeros", "mov.u32 %r9, 0; cp.async.ca.shared.global [%r4], [%rd1], 4, %r9; cp.async.commit_group;" + wait + own + store, func(uint32) uint32 { return 0 }, ""},
		{"four words", `mov.u32 %r9, 16; and.b32 %r5, %r1, 3; setp.ne.s32 %p1, %r5, 0; @%p1 bra $L;
			cp.async.cg.shared.global [%r4], [%rd1], 16, %r9; $L: cp.async.commit_group;` + wait + barrier + other + store, func(i uint32) uint32 { return 63 - i }, ""},
		{"misaligned", "mov.u32 %r9, 16; cp.async.cg.shared.global [%r3], [%rd1], 16, %r9;", nil, "misaligned"},
		{"beyond the memory", "mov.u32 %r9, 4; cp.async.ca.shared.global [%r4], [%rd1+256], 4, %r9;", nil, "from the start of an allocation of 256"},
		{"a size that is none", "mov.u32 %r9, 8; cp.async.cg.shared.global [%r4], [%rd1], 8, %r9;", nil, "not possible"},
	} {
		b := newBench(t)
		to := b.buffer(make([]uint32, 64)...)
		err := b.run(c.body, 64, b.buffer(iota64()...), to)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for i, v := range b.words(to, 64) {
			if v != c.want(uint32(i)) {
				t.Errorf("%s: word %d is %d, want %d", c.name, i, v, c.want(uint32(i)))
				break
			}
		}
	}
}

// TestTarget: a device takes no module for newer ones, and a module no instruction of newer ones.
func TestTarget(t *testing.T) {
	b := newBench(t)
	b.Capability = 75
	if err := b.start("", 1, 0, 0); err == nil || !strings.Contains(err.Error(), "it is for sm_80") {
		t.Errorf("sm_80 on a device of 7.5: %v", err)
	}
	old := strings.Replace(kernelText("cp.async.ca.shared.global [%r4], [%rd1], 4, %r1;"), "sm_80", "sm_75", 1)
	if _, err := b.Load(append([]byte(old), 0)); err == nil || !strings.Contains(err.Error(), "needs sm_80") {
		t.Errorf("an instruction of sm_80 in a module for sm_75: %v", err)
	}
}
