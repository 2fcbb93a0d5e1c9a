// Convolutions as in conv.cu, on tensor cores.
#include "patches.cuh"
#include "tensor.cuh"

template <class T, class P>
__device__ void forward(const float* x, const float* weights, const float* bias, float* y, const Window& w, int out, int rows, int relu) {
  tensor_gemm<T, P, true, false>(rows * w.outH * w.outW, out, 0, w.KH * w.KW * w.C, Source<Patches>{{x, w}, x, aligned(x, w.C)},
                                 Source<Matrix>{{weights, 1, out}, weights, aligned(weights, out)}, Biased{y, bias, out, relu});
}

template <class T, class P>
__device__ void input_grad(const float* weights, const float* dy, float* dx, const Window& w, int out, int rows) {
  tensor_gemm<T, P, true, true>(rows * w.H * w.W, w.C, 0, w.KH * w.KW * out, Source<Reached>{{dy, w, out}, dy, aligned(dy, out)},
                                Source<Turned>{{weights, w.C, out}, weights, aligned(weights, out)}, Plain{dx, w.C});
}

// weight_grad leaves the sum over the chunk blockIdx.z of positions in parts; add_parts adds them.
template <class T, class P>
__device__ void weight_grad(const float* x, const float* dy, float* parts, const Window& w, int out, int rows, int chunk) {
  const int M = w.KH * w.KW * w.C, K = rows * w.outH * w.outW, first = blockIdx.z * chunk;
  tensor_gemm<T, P, false, false>(M, out, first, min(first + chunk, K), Source<Transposed>{{{x, w}}, x, aligned(x, w.C)},
                                  Source<Matrix>{{dy, 1, out}, dy, aligned(dy, out)}, Plain{parts + (long long)blockIdx.z * M * out, out});
}

#define CONV(ending, T, P)                                                                                                                       \
  extern "C" __global__ void __launch_bounds__(T::threads)                                                                                       \
      conv_##ending(const float* x, const float* weights, const float* bias, float* y, Window w, int out, int rows, int relu) {                  \
    forward<T, P>(x, weights, bias, y, w, out, rows, relu);                                                                                      \
  }                                                                                                                                              \
  extern "C" __global__ void __launch_bounds__(T::threads)                                                                                       \
      conv_input_grad_##ending(const float* weights, const float* dy, float* dx, Window w, int out, int rows) {                                  \
    input_grad<T, P>(weights, dy, dx, w, out, rows);                                                                                             \
  }                                                                                                                                              \
  extern "C" __global__ void __launch_bounds__(T::threads)                                                                                       \
      conv_weight_grad_##ending(const float* x, const float* dy, float* parts, Window w, int out, int rows, int chunk) {                         \
    weight_grad<T, P>(x, dy, parts, w, out, rows, chunk);                                                                                        \
  }

CONV(tf32, Wide, TF32)
CONV(tf32_small, Narrower, TF32)
CONV(bf16, Wide, BF16)
CONV(bf16_small, Narrower, BF16)
