package cuda

import (
	"testing"

	"rampart/nn"
	"rampart/nn/backendtest"
)

// TestGroupedMutants is TestMutants for activations, and for convolutions and normalisations in groups.
func TestGroupedMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("two passes for each mutant; TestMutants is the short form")
	}
	for _, m := range []struct {
		name, file, kernel, pattern, with string
	}{
		{"the other side of 0", "activation.ptx", "activation_leaky_relu", `setp\.gt\.f32`, "setp.lt.f32"},
		{"the other side of 0", "activation.ptx", "activation_leaky_relu_grad", `setp\.gt\.f32`, "setp.lt.f32"},
		{"the other tail", "activation.ptx", "activation_gelu", `0fBF3504F3`, "0f3F3504F3"},
		{"the density twice", "activation.ptx", "activation_gelu_grad", `0f3ECC422A`, "0f3F4C422A"},
		{"another sign", "activation.ptx", "activation_silu", `neg\.f32\s+(%f\d+), (%f\d+);`, "mov.f32 $1, $2;"},
		{"a sum for a difference", "activation.ptx", "activation_silu_grad", `sub\.f32`, "add.f32"},
		{"another sign", "activation.ptx", "activation_sigmoid", `neg\.f32\s+(%f\d+), (%f\d+);`, "mov.f32 $1, $2;"},
		{"a sum for a difference", "activation.ptx", "activation_sigmoid_grad", `sub\.f32`, "add.f32"},
		{"the series of small values for all", "activation.ptx", "activation_tanh", `0f3F19999A`, "0f41102CB4"},
		{"a sum for a difference", "activation.ptx", "activation_tanh_grad", `(?s)(.*)sub\.f32`, "${1}add.f32"},
		{"a part too few", "group_norm.ptx", "group_norm_warp", `ld\.param\.u32\s+(%r\d+), \[group_norm_warp_param_5\];`, "$0 add.s32 $1, $1, -1;"},
		{"a wrong lane", "group_norm.ptx", "group_norm_input_grad_warp", `(?s)(.*shfl\.sync\.bfly\.b32\s+%r\d+\|%p\d+, %r\d+), %r\d+,(.*shfl)`, "$1, 2,$2"},
		{"squares about 0", "group_norm.ptx", "group_norm", `sub\.f64\s+(%fd\d+), (%fd\d+), (%fd\d+);`, "mov.f64 $1, $2;"},
		{"values for their gradients", "group_norm.ptx", "group_norm_input_grad", `group_norm_input_grad_param_2\]`, "group_norm_input_grad_param_0]"},
		{"the next part's statistics", "group_norm.ptx", "group_norm_stats", `mov\.u32\s+(%r\d+), %ctaid\.x;`, "$0 xor.b32 $1, $1, 1;"},
		{"1/std for the mean", "group_norm.ptx", "group_norm_gamma_sums", `(ld\.global\.v2\.f64\s+)\{(%fd\d+), (%fd\d+)\}`, "$1{$3, $2}"},
		{"a strip too few", "group_conv.ptx", "group_conv", `ld\.param\.u32\s+(%r\d+), \[group_conv_param_7\];`, "$0 add.s32 $1, $1, -1;"},
		{"height and width exchanged", "group_conv.ptx", "group_conv", `group_conv_param_4\+4\]`, "group_conv_param_4]"},
		{"as many groups as outputs", "group_conv.ptx", "group_conv", `group_conv_param_6\]`, "group_conv_param_5]"},
		{"gaps of a stride alone", "group_conv.ptx", "group_conv_input_grad", `setp\.ne\.s32`, "setp.eq.s32"},
		{"in and out exchanged", "group_conv.ptx", "group_conv_input_grad", `group_conv_input_grad_param_4\]`, "group_conv_input_grad_param_3+8]"},
		{"a row less", "group_conv.ptx", "group_conv_weight_grad", `ld\.param\.u32\s+(%r\d+), \[group_conv_weight_grad_param_6\];`, "$0 add.s32 $1, $1, -1;"},
		{"another padding", "group_conv.ptx", "group_conv_weight_grad", `ld\.param\.u32\s+(%r\d+), \[group_conv_weight_grad_param_3\+24\];`, "$0 add.s32 $1, $1, -1;"},
		{"in and out exchanged", "group_gemm.ptx", "group_gemm_small", `group_gemm_small_param_4\+8\]`, "group_gemm_small_param_5]"},
		{"the first group's inputs", "group_gemm.ptx", "group_gemm_input_grad_small", `mov\.u32\s+(%r\d+), %ctaid\.z;`, "mov.u32 $1, 0;"},
		{"a position less", "group_gemm.ptx", "group_gemm_weight_grad_small", `ld\.param\.u32\s+(%r\d+), \[group_gemm_weight_grad_small_param_7\];`, "$0 add.s32 $1, $1, -1;"},
	} {
		if err := replaced(t, m.file, change(t, m.file, m.kernel, m.pattern, m.with), false); err == nil {
			t.Errorf("%s in %s: nothing notices", m.name, m.kernel)
		} else if testing.Verbose() {
			t.Logf("%s in %s: %v", m.name, m.kernel, err)
		}
	}
}

// gateSpec is the suite's network with products of values, and with the functions that only an import has.
func gateSpec() nn.Spec {
	for _, n := range backendtest.Networks() {
		if n.Name == "topology: gates and norms" {
			return n.Spec
		}
	}
	panic("the suite has no network with gates")
}

// TestGateMutants is TestMutants for products of two values, and for those functions.
func TestGateMutants(t *testing.T) {
	for _, m := range []struct {
		name, file, kernel, pattern, with string
	}{
		{"no repetition", "elementwise.ptx", "mul", `rem\.u32\s+(%r\d+), (%r\d+), %r\d+;`, "mov.u32 $1, 0;"},
		{"the first row's factors", "elementwise.ptx", "mul", `div\.u32\s+(%r\d+), (%r\d+), %r\d+;`, "mov.u32 $1, 0;"},
		{"the other side of 0", "activation.ptx", "activation_elu", `setp\.gt\.f32\s+(%p\d+), (%f\d+), 0f00000000`, "setp.lt.f32 $1, $2, 0f00000000"},
		{"the other side of 0", "activation.ptx", "activation_elu_grad", `setp\.gt\.f32`, "setp.lt.f32"},
		{"another sign", "activation.ptx", "activation_softplus", `neg\.f32\s+(%f\d+), (%f\d+);`, "mov.f32 $1, $2;"},
		{"no greater one", "activation.ptx", "activation_softplus", `max\.f32\s+(%f\d+), (%f\d+), (%f\d+);`, "mov.f32 $1, $2;"},
		{"another sign", "activation.ptx", "activation_reciprocal_grad", `0fBF800000`, "0f3F800000"},
		{"not squared", "activation.ptx", "activation_reciprocal_grad", `mul\.f32\s+(%f2), %f1, %f1;`, "mov.f32 $1, %f1;"},
	} {
		if err := gateOps.notices(t, m.file, change(t, m.file, m.kernel, m.pattern, m.with), false); err == nil {
			t.Errorf("%s in %s: nothing notices", m.name, m.kernel)
		}
	}
}
