package ptx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unsafe"

	"rampart/nn/cuda/driver"
)

// bench is a machine with a stream and pinned memory.
type bench struct {
	*Machine
	t      *testing.T
	stream driver.Stream
	host   []byte
}

func newBench(t *testing.T) *bench {
	b := &bench{Machine: NewMachine(1), t: t}
	b.Capability = 80
	must(t, b.Enter(1))
	var err error
	b.stream, err = b.NewStream()
	must(t, err)
	b.host, err = b.Pinned(1 << 16)
	must(t, err)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// buffer is device memory that holds words.
func (b *bench) buffer(words ...uint32) driver.Pointer {
	p, err := b.Alloc(4 * len(words))
	must(b.t, err)
	for i, v := range words {
		binary.LittleEndian.PutUint32(b.host[4*i:], v)
	}
	must(b.t, b.Upload(p, b.host[:4*len(words)], b.stream))
	must(b.t, b.Synchronize(b.stream))
	return p
}

func (b *bench) words(p driver.Pointer, n int) []uint32 {
	must(b.t, b.Download(b.host[:4*n], p, b.stream))
	must(b.t, b.Synchronize(b.stream))
	out := make([]uint32, n)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(b.host[4*i:])
	}
	return out
}

// kernelText wraps a body as a kernel k(u64 a, u64 b) whose registers hold tid in %r1, both addresses
// of this thread's words in %rd1 and %rd2, and those of the buffers in %rd3 and %rd4.
func kernelText(body string) string {
	return `.version 7.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 a, .param .u64 b)
{
	.reg .pred %p<9>; .reg .f32 %f<9>; .reg .b32 %r<20>; .reg .b64 %rd<9>; .reg .f64 %fd<5>;
	.shared .align 16 .b8 s[512];
	ld.param.u64 %rd3, [a];
	ld.param.u64 %rd4, [b];
	mov.u32 %r1, %tid.x;
	mul.wide.u32 %rd5, %r1, 4;
	add.s64 %rd1, %rd3, %rd5;
	add.s64 %rd2, %rd4, %rd5;
	shl.b32 %r2, %r1, 2;
	mov.u32 %r3, s;
	add.s32 %r4, %r3, %r2;
` + body + `
	ret;
}`
}

// start loads and launches a kernel, whose threads read 64 words and write 64.
func (b *bench) start(body string, threads int, from, to driver.Pointer) error {
	m, err := b.Load(append([]byte(kernelText(body)), 0))
	if err != nil {
		return err
	}
	f, err := b.Function(m, "k")
	if err != nil {
		return err
	}
	params := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(from)), uint64(to))
	return b.Launch(f, [3]int{1, 1, 1}, [3]int{threads, 1, 1}, params, b.stream)
}

func (b *bench) run(body string, threads int, from, to driver.Pointer) error {
	if err := b.start(body, threads, from, to); err != nil {
		return err
	}
	return b.Synchronize(b.stream)
}

func iota64() []uint32 {
	v := make([]uint32, 64)
	for i := range v {
		v[i] = uint32(i)
	}
	return v
}

// TestResults runs kernels of 64 threads that fill a buffer.
func TestResults(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       func(i uint32) uint32
	}{
		{"copy", "ld.global.u32 %r5, [%rd1]; st.global.u32 [%rd2], %r5;", func(i uint32) uint32 { return i }},
		{"divergence and loops", `
			mov.u32 %r5, 0; mov.u32 %r6, 0;
			$loop: setp.ge.u32 %p1, %r5, %r1; @%p1 bra $done;
			and.b32 %r7, %r5, 1; setp.eq.s32 %p2, %r7, 0; @%p2 bra $even;
			add.s32 %r6, %r6, 100; bra.uni $next;
			$even: add.s32 %r6, %r6, 1;
			$next: add.s32 %r5, %r5, 1; bra.uni $loop;
			$done: st.global.u32 [%rd2], %r6;`,
			func(i uint32) uint32 { return (i+1)/2 + i/2*100 }},
		{"exchange through shared memory", `
			st.shared.u32 [%r4], %r1; bar.sync 0;
			sub.s32 %r5, 63, %r1; shl.b32 %r5, %r5, 2; add.s32 %r5, %r5, %r3;
			ld.shared.u32 %r6, [%r5]; st.global.u32 [%rd2], %r6;`, func(i uint32) uint32 { return 63 - i }},
		{"shuffle", `
			mov.u32 %r5, 31; mov.u32 %r6, -1; mov.u32 %r7, 3;
			shfl.sync.bfly.b32 %r8|%p1, %r1, %r7, %r5, %r6; st.global.u32 [%rd2], %r8;`, func(i uint32) uint32 { return i ^ 3 }},
		{"predicated", `
			mov.u32 %r5, 7; setp.lt.s32 %p1, %r1, 10; @%p1 mov.u32 %r5, 1; @!%p1 add.s32 %r5, %r5, %r1;
			st.global.u32 [%rd2], %r5;`, func(i uint32) uint32 {
			if i < 10 {
				return 1
			}
			return 7 + i
		}},
		{"registers of 16 bits", `
			.reg .b16 %rs<3>; setp.lt.s32 %p1, %r1, 10; selp.u16 %rs1, 3, 4, %p1; setp.gt.s32 %p1, %r1, 20; selp.b16 %rs2, 5, %rs1, %p1;
			mov.u32 %r5, 0; st.global.u32 [%rd2], %r5; st.global.u8 [%rd2], %rs2;`, func(i uint32) uint32 {
			switch {
			case i < 10:
				return 3
			case i > 20:
				return 5
			}
			return 4
		}},
		{"any thread at a barrier", `
			setp.eq.s32 %p1, %r1, 45; bar.red.or.pred %p2, 0, %p1; selp.b32 %r5, 3, 4, %p2; st.global.u32 [%rd2], %r5;`,
			func(uint32) uint32 { return 3 }},
		{"float", `
			cvt.rn.f32.u32 %f1, %r1; fma.rn.f32 %f2, %f1, 0f40000000, 0f3F800000; st.global.f32 [%rd2], %f2;`,
			func(i uint32) uint32 { return math.Float32bits(2*float32(i) + 1) }},
		{"rounding down", `
			cvt.rn.f32.u32 %f1, %r1; fma.rm.f32 %f2, %f1, 0f33800000, 0f4B000001; st.global.f32 [%rd2], %f2;`,
			func(uint32) uint32 { return 0x4B000001 }},
		{"reciprocal", `
			cvt.rn.f32.u32 %f1, %r1; rcp.approx.ftz.f32 %f2, %f1; st.global.f32 [%rd2], %f2;`,
			func(i uint32) uint32 { return math.Float32bits(1 / float32(i)) }},
		{"reciprocal below the normal numbers", `
			mov.f32 %f1, 0f7F000000; rcp.approx.ftz.f32 %f2, %f1; rcp.approx.ftz.f32 %f3, 0f00000001;
			add.f32 %f2, %f2, %f3; st.global.f32 [%rd2], %f2;`, func(uint32) uint32 { return 0x7F800000 }},
		{"rounding toward zero", `
			cvt.rn.f32.u32 %f1, %r1; fma.rn.f32 %f1, %f1, 0fBF000000, 0f40200000; cvt.rzi.f32.f32 %f2, %f1; st.global.f32 [%rd2], %f2;`,
			func(i uint32) uint32 { return math.Float32bits(float32(math.Trunc(2.5 - float64(i)/2))) }},
		{"rounding to the nearest, halves to even", `
			cvt.rn.f32.u32 %f1, %r1; fma.rn.f32 %f1, %f1, 0fBF000000, 0f40200000; cvt.rni.f32.f32 %f2, %f1; st.global.f32 [%rd2], %f2;`,
			func(i uint32) uint32 { return math.Float32bits(float32(math.RoundToEven(2.5 - float64(i)/2))) }},
		{"a power of two below the normal numbers", `
			ex2.approx.f32 %f1, 0fC3020000; st.global.f32 [%rd2], %f1;`, func(uint32) uint32 { return 1 << 19 }},
		{"unordered comparison", `
			mov.f32 %f1, 0f7FC00000; setp.geu.f32 %p1, %f1, 0f00000000; setp.ge.f32 %p2, %f1, 0f00000000;
			selp.b32 %r5, 1, 0, %p1; @%p2 add.s32 %r5, %r5, 2; st.global.u32 [%rd2], %r5;`, func(uint32) uint32 { return 1 }},
		{"high product", "mul.hi.u32 %r5, %r1, -1; st.global.u32 [%rd2], %r5;", func(i uint32) uint32 { return uint32(uint64(i) * 0xffffffff >> 32) }},
	} {
		b := newBench(t)
		from, to := b.buffer(iota64()...), b.buffer(make([]uint32, 64)...)
		if err := b.run(c.body, 64, from, to); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for i, v := range b.words(to, 64) {
			if v != c.want(uint32(i)) {
				t.Errorf("%s: thread %d gives %d, want %d", c.name, i, v, c.want(uint32(i)))
				break
			}
		}
	}
}

// TestFaults: what a GPU may let pass is an error that names the line.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name, body, want string
		threads          int
	}{
		{"beyond an allocation", "ld.global.u32 %r5, [%rd1+256];", "line 17: a read of 4 bytes", 64},
		{"before it", "st.global.u32 [%rd3+-4], %r1;", "a write of 4 bytes", 64},
		{"misaligned", "ld.global.u32 %r5, [%rd1+2];", "misaligned", 64},
		{"not written", "ld.global.u32 %r5, [%rd2];", "nothing has written", 64},
		{"shared, not written", "ld.shared.u32 %r5, [%r4];", "which nothing has written", 64},
		{"shared, beyond", "st.shared.u32 [%r4+500], %r1;", "of shared memory, of which there are 512", 64},
		{"a deleted barrier", `
			st.shared.u32 [%r4], %r1;
			sub.s32 %r5, 63, %r1; shl.b32 %r5, %r5, 2; add.s32 %r5, %r5, %r3;
			ld.shared.u32 %r6, [%r5];`, "shared word", 64}, // a race, or not yet written: as the warps' order is
		{"written while others read", `
			st.shared.u32 [%r4], %r1; bar.sync 0;
			ld.shared.u32 %r6, [%r3]; st.shared.u32 [%r4], %r6;`, "a race", 64},
		{"two warps write one word", "st.shared.u32 [%r3], %r1;", "a race: warp", 64},
		{"a barrier that half a warp reaches", "setp.lt.s32 %p1, %r1, 16; @%p1 bra $on; bar.sync 0; $on: mov.u32 %r5, 0;", "a barrier that only 16 of 32", 32},
		{"a barrier that one warp misses", "setp.lt.s32 %p1, %r1, 32; @%p1 bra $on; bar.sync 0; $on: mov.u32 %r5, 0;", "wait at a barrier", 64},
		{"a shuffle without all", `
			mov.u32 %r5, 31; mov.u32 %r6, -1; mov.u32 %r7, 3; setp.lt.s32 %p1, %r1, 16;
			@%p1 shfl.sync.bfly.b32 %r8|%p2, %r1, %r7, %r5, %r6;`, "a shuffle", 32},
		{"division by zero", "div.s32 %r5, %r1, 0;", "division by zero", 32},
		{"unknown instruction", "\nprmt.b32 %r5, %r1, %r1, 1;", "line 18: prmt.b32: this instruction is not supported", 32},
		{"unknown rounding", "add.rp.f32 %f1, %f2, %f3;", "add.rp.f32: this instruction is not supported", 32},
		{"unknown register", "add.s32 %r5, %q1, 0;", `unknown register "%q1"`, 32},
		{"register of another size", "add.s32 %r5, %rd1, 0;", "has not 32 bits", 32},
		{"too few operands", "add.s32 %r5, %r1;", "2 operands where 3 are due", 32},
		{"unknown label", "bra $nowhere;", "no label", 32},
		{"unfinished", "add.s32 %r5", "", 32},
	} {
		b := newBench(t)
		to, err := b.Alloc(256)
		must(t, err)
		err = b.run(c.body, c.threads, b.buffer(iota64()...), to)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// TestStreams: nothing happens before someone waits, and a fault stays.
func TestStreams(t *testing.T) {
	b := newBench(t)
	from, to := b.buffer(iota64()...), b.buffer(make([]uint32, 64)...)
	const copies = "ld.global.u32 %r5, [%rd1]; st.global.u32 [%rd2], %r5;"
	must(t, b.start(copies, 64, from, to))
	must(t, b.Download(b.host[:256], to, b.stream))
	clear(b.host)
	if err := b.Check(); err == nil {
		t.Error("work on a stream that nobody waits for is no error")
	}
	if b.host[4] != 0 {
		t.Error("a copy was done before anyone waited for it")
	}
	must(t, b.Synchronize(b.stream))
	if b.host[4] != 1 {
		t.Error("a copy was not done")
	}
	must(t, b.Check())
	if err := b.run("ld.global.u32 %r5, [%rd1+1024];", 64, from, to); err == nil {
		t.Fatal("no fault")
	}
	if _, err := b.Alloc(4); err == nil || !strings.Contains(err.Error(), "line 17") {
		t.Errorf("after a fault an allocation gives %v", err)
	}
}

// TestGraphs: a captured launch does nothing until the graph is launched, and nothing but launches is captured.
func TestGraphs(t *testing.T) {
	b := newBench(t)
	buffer := b.buffer(make([]uint32, 64)...)
	m, err := b.Load(append([]byte(kernelText("ld.global.u32 %r5, [%rd1]; add.s32 %r5, %r5, 3; st.global.u32 [%rd2], %r5;")), 0))
	must(t, err)
	f, err := b.Function(m, "k")
	must(t, err)
	params := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(buffer)), uint64(buffer))
	must(t, b.Capture(b.stream))
	must(t, b.Launch(f, [3]int{1, 1, 1}, [3]int{64, 1, 1}, params, b.stream))
	if _, err := b.Alloc(4); err == nil || !strings.Contains(err.Error(), "CAPTURE_UNSUPPORTED") {
		t.Errorf("an allocation during a capture gives %v", err)
	}
	g, err := b.Captured(b.stream)
	must(t, err)
	if got := b.words(buffer, 1)[0]; got != 0 {
		t.Errorf("a captured launch wrote %d", got)
	}
	for range 4 {
		must(t, b.LaunchGraph(g, b.stream))
	}
	if got := b.words(buffer, 64)[63]; got != 12 {
		t.Errorf("four launches of a graph give %d, want 12", got)
	}
	must(t, b.CloseGraph(g))
	if err := b.LaunchGraph(g, b.stream); err == nil {
		t.Error("a closed graph was launched")
	}
}

// TestMemory: what callers get wrong.
func TestMemory(t *testing.T) {
	b := newBench(t)
	b.Limit = 1024
	if _, err := b.Alloc(2048); !errors.Is(err, driver.ErrMemory) {
		t.Errorf("too large an allocation gives %v", err)
	}
	p, err := b.Alloc(64)
	must(t, err)
	if err := b.Upload(p, make([]byte, 4), b.stream); err == nil || !strings.Contains(err.Error(), "not pinned") {
		t.Errorf("a copy from memory that is not pinned gives %v", err)
	}
	must(t, b.Download(b.host[:64], p, b.stream))
	if err := b.Synchronize(b.stream); err == nil || !strings.Contains(err.Error(), "never been written") {
		t.Errorf("a copy of what nothing has written gives %v", err)
	}
	b = newBench(t)
	must(t, b.Upload(b.buffer(1), b.host[:8], b.stream))
	if err := b.Synchronize(b.stream); err == nil || !strings.Contains(err.Error(), "4") {
		t.Errorf("a copy that is too long gives %v", err)
	}
	b = newBench(t)
	p = b.buffer(1)
	must(t, b.Free(p))
	if err := b.Free(p); err == nil {
		t.Error("memory was freed twice")
	}
	m, err := b.Load(append([]byte(kernelText("")), 0))
	must(t, err)
	f, err := b.Function(m, "k")
	must(t, err)
	if err := b.Launch(f, [3]int{1, 1, 1}, [3]int{32, 1, 1}, make([]byte, 12), b.stream); err == nil || !strings.Contains(err.Error(), "takes 16 bytes of parameters, not 12") {
		t.Errorf("a launch with too few parameters gives %v", err)
	}
	if _, err := b.Function(m, "missing"); err == nil {
		t.Error("a kernel was found that is not there")
	}
	if err := NewMachine(1).Free(p); err == nil {
		t.Error("a call without a context succeeds")
	}
}

// TestShuffledOrder: which warp comes first is not the same for all seeds.
func TestShuffledOrder(t *testing.T) {
	seen := map[uint32]bool{}
	for seed := range uint64(20) {
		b := newBench(t)
		b.Machine.random = NewMachine(seed).random
		to := b.buffer(make([]uint32, 64)...)
		must(t, b.run("st.global.u32 [%rd4], %r1;", 64, to, to))
		seen[b.words(to, 1)[0]] = true
	}
	if len(seen) < 2 {
		t.Errorf("the last warp to write is always the same: %v", seen)
	}
}

// TestHandles keeps the size of device pointers, which kernels get as eight bytes.
func TestHandles(t *testing.T) {
	if unsafe.Sizeof(driver.Pointer(0)) != 8 {
		t.Error(fmt.Sprint("a device pointer has ", unsafe.Sizeof(driver.Pointer(0)), " bytes"))
	}
}
