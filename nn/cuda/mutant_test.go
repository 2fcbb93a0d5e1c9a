package cuda

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"rampart/nn/cpu"
	"rampart/nn/cuda/ptx"
	"rampart/nn/device"
)

// replace changes one file's PTX until what it returns is called.
func replace(file, text string) (restore func()) {
	before := ptxOf
	ptxOf = func(name string) []byte {
		if name == file {
			return append([]byte(text), 0)
		}
		return before(name)
	}
	return func() { ptxOf = before }
}

// replaced runs work with one file's PTX changed.
func replaced(t *testing.T, file, text string, wide bool) error {
	t.Helper()
	return subjectOf(file, wide).notices(t, file, text, wide)
}

// notices does the work with one file's PTX changed.
func (s *subject) notices(t *testing.T, file, text string, wide bool) error {
	t.Helper()
	defer replace(file, text)()
	d, err := New(ptx.NewMachine(1), 0)
	if err != nil {
		t.Fatal(err)
	}
	if wide {
		d.fill = 1
	}
	got, err := s.work(d)
	if err != nil {
		return err
	}
	if s.want == nil {
		if s.want, err = s.work(cpu.New(1)); err != nil {
			t.Fatal(err)
		}
	}
	return got.differs(s.want)
}

// subject is work that a mutant is to spoil, with the processor's outcome.
type subject struct {
	work func(device.Device) (outcome, error)
	want outcome
}

var (
	mostOps  = &subject{work: func(d device.Device) (outcome, error) { return work(d, false) }}
	wideOps  = &subject{work: func(d device.Device) (outcome, error) { return work(d, true) }}
	groupOps = &subject{work: passes(groupedSpec())}
	gateOps  = &subject{work: passes(gateSpec())}
)

// subjectOf is the work that uses a file's kernels.
func subjectOf(file string, wide bool) *subject {
	switch {
	case strings.HasPrefix(file, "group_") || file == "activation.ptx":
		return groupOps
	case wide:
		return wideOps
	}
	return mostOps
}

// original is a file's PTX.
func original(file string) string {
	text := string(ptxOf(file))
	return text[:len(text)-1]
}

// kernelOf returns where in a file's text a kernel lies.
func kernelOf(t *testing.T, text, kernel string) (from, to int) {
	t.Helper()
	from = strings.Index(text, ".entry "+kernel+"(")
	if from < 0 {
		t.Fatalf("no kernel %s", kernel)
	}
	to = len(text)
	if next := strings.Index(text[from+1:], ".entry "); next >= 0 {
		to = from + 1 + next
	}
	return from, to
}

// change replaces the first match of a pattern in one kernel.
func change(t *testing.T, file, kernel, pattern, with string) string {
	t.Helper()
	text := original(file)
	from, to := kernelOf(t, text, kernel)
	at := regexp.MustCompile(pattern).FindStringSubmatchIndex(text[from:to])
	if at == nil {
		t.Fatalf("%s: no match of %s", kernel, pattern)
	}
	body := text[from:to]
	return text[:from] + body[:at[0]] + string(regexp.MustCompile(pattern).ExpandString(nil, with, body, at)) + body[at[1]:] + text[to:]
}

// harmless are barriers whose absence changes nothing, by kernel and place: block_sum's first, where a
// kernel calls it once or nothing is left to read; and in attack_start_normal_l1 the two before the
// first sum, of which either suffices but for a sum that later ones correct.
var harmless = map[string]bool{
	"sum_squares 1": true, "attack_start_l2 1": true, "attack_counts 1": true, "tally 1": true, "attack_step_l2 1": true,
	"attack_step_l1 1": true, "attack_start_l1 1": true, "attack_start_normal_l2 1": true,
	"attack_start_normal_l1 1": true, "attack_start_normal_l1 2": true,
	"group_norm 1": true, "group_norm_input_grad 1": true, "group_norm_stats 1": true,
}

// TestDeletedBarriers deletes each barrier of the kernels in turn: each must be missed.
func TestDeletedBarriers(t *testing.T) {
	if testing.Short() {
		t.Skip("a training step for each barrier")
	}
	names, err := kernelFiles.ReadDir("kernels")
	if err != nil {
		t.Fatal(err)
	}
	barriers := 0
	for _, f := range names {
		if !strings.HasSuffix(f.Name(), "_tensor.ptx") { // see TestTensorMutants
			barriers += strings.Count(original(f.Name()), "bar.sync")
			t.Run(f.Name(), func(t *testing.T) { deleteBarriers(t, f.Name()) })
		}
	}
	if barriers < 80 {
		t.Errorf("only %d barriers were found", barriers)
	}
}

// deleteBarriers deletes those of a file.
func deleteBarriers(t *testing.T, file string) {
	text := original(file)
	place := map[string]int{}
	for at := range len(text) {
		if !strings.HasPrefix(text[at:], "bar.sync") {
			continue
		}
		before := text[:at]
		kernel, _, _ := strings.Cut(before[strings.LastIndex(before, ".entry ")+len(".entry "):], "(")
		place[kernel]++
		name := fmt.Sprintf("%s %d", kernel, place[kernel])
		end := at + strings.Index(text[at:], ";") + 1
		wide := !strings.HasSuffix(kernel, "_small") && (strings.HasPrefix(kernel, "conv") || strings.HasPrefix(kernel, "dense") || strings.HasPrefix(kernel, "group_gemm"))
		switch err := replaced(t, file, text[:at]+text[end:], wide); {
		case err == nil && !harmless[name]:
			t.Errorf("nothing notices that barrier %s is gone", name)
		case err != nil && harmless[name]:
			t.Errorf("barrier %s is listed as harmless, but: %v", name, err)
		}
	}
}

// TestMutants: mistakes that are easily made are caught by the comparison with the processor.
func TestMutants(t *testing.T) {
	for _, m := range []struct {
		name, file, kernel, pattern, with string
	}{
		{"projection onto 2 eps", "attack.ptx", "attack_step_linf", `sub\.f32\s+(%f\d+), %f\d+, (%f\d+);`, "$0 sub.f32 $1, $1, $2;"},
		{"projection onto the L2 ball of 2 eps", "attack.ptx", "attack_step_l2", `(?s)div\.rn\.f64.*?div\.rn\.f64\s+(%fd\d+), %fd\d+, %fd\d+;`, "$0 add.f64 $1, $1, $1;"},
		{"projection onto an L1 ball of its own", "attack.ptx", "attack_step_l1", `ld\.global\.f32\s+(%f\d+), \[(%rd\d+)\+4\];`, "ld.global.f32 $1, [$2];"},
		{"one pixel fewer in L1", "attack.ptx", "attack_step_l1", `ld\.param\.u32\s+(%r\d+), \[attack_step_l1_param_6\];`, "$0 add.s32 $1, $1, -1;"},
		{"start in the cube of 2 eps", "start.ptx", "attack_start_linf", `ld\.param\.f32\s+(%f\d+), \[attack_start_linf_param_5\];`, "$0 add.f32 $1, $1, $1;"},
		{"another block of random words", "start.ptx", "attack_start_linf", `-845247145|-766435501|3449720151|3528531795`, "3528531797"},
		{"a row too many", "dense.ptx", "dense_small", `ld\.param\.u32\s+(%r\d+), \[dense_small_param_6\];`, "$0 add.s32 $1, $1, 1;"},
		{"one row less", "elementwise.ptx", "affine", `setp\.ge\.u32\s+(%p\d+), (%r\d+), (%r\d+);`, "add.s32 $3, $3, -1; $0"},
		{"a wrong lane", "loss.ptx", "loss_cross_entropy", `(?s)(.*shfl\.sync\.bfly\.b32\s+%r\d+\|%p\d+, %r\d+), %r\d+,`, "$1, 2,"},
		{"the next row's label", "loss.ptx", "loss_cross_entropy", `ld\.global\.s32(.*)\[(%rd\d+)\]`, "ld.global.s32$1[$2+4]"},
		{"in and out exchanged", "dense.ptx", "dense_input_grad_small", `dense_input_grad_small_param_4\]`, "dense_input_grad_small_param_3]"},
		{"height and width exchanged", "conv.ptx", "conv_small", `conv_small_param_4\]`, "conv_small_param_4+4]"},
		{"the wrong element of a window", "pool.ptx", "max_pool_grad", `setp\.ne\.s32`, "setp.eq.s32"},
		{"a bias twice", "dense.ptx", "dense_small", `(add\.f32\s+%f\d+, %f\d+, (%f\d+);)`, "add.f32 $2, $2, $2; $1"},
		{"momentum without its past", "optimizer.ptx", "momentum", `fma\.rn\.f32\s+(%f\d+), (%f\d+), (%f\d+), (%f\d+);(\s+st)`, "mov.f32 $1, $4;$5"},
		{"another momentum of the running statistics", "norm.ptx", "norm_stats", `norm_stats_param_6\]`, "norm_stats_param_5]"},
		{"a label for another", "reduce.ptx", "tally", `setp\.(ne|eq)\.s32(.*)%r(\d+), %r(\d+);`, "setp.$1.s32$2%r$3, 1;"},
		{"a difference in the norm", "optimizer.ptx", "judge_gradient", `add\.f64`, "sub.f64"},
		{"differences for sums", "reduce.ptx", "add_parts", `add\.f32`, "sub.f32"},
	} {
		if err := replaced(t, m.file, change(t, m.file, m.kernel, m.pattern, m.with), false); err == nil {
			t.Errorf("%s in %s: nothing notices", m.name, m.kernel)
		} else if testing.Verbose() {
			t.Logf("%s: %v", m.name, err)
		}
	}
	if err := replaced(t, "attack.ptx", original("attack.ptx")+"\n", false); err != nil {
		t.Errorf("without a mutant: %v", err)
	}
}
