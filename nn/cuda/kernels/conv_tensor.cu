// Convolutions as in conv.cu, on tensor cores.
#include "conv_kernels.cuh"
#include "pooled.cuh"
#include "tensor.cuh"

template <class T, class P>
__device__ void forward(const float* x, const float* weights, const float* bias, float* y, const Window& w, int out, int rows, int relu) {
  tensor_gemm<T, P, true, false>(rows * w.outH * w.outW, out, 0, w.KH * w.KW * w.C, Source<Patches>{{x, w}, x, aligned(x, w.C)},
                                 Source<Matrix>{{weights, 1, out}, weights, aligned(weights, out)}, Biased{y, bias, out, relu});
}

template <class T, class P>
__device__ void forward_pool(const float* x, const float* weights, const float* bias, float* y, unsigned char* index, const Window& w, int out, int rows,
                             int relu, int stride) {
  const int windows = w.outH / 2 * (w.outW / 2);
  tensor_gemm<T, P, true, false>(rows * windows * 4, out, 0, w.KH * w.KW * w.C, Source<PooledPatches>{{{x, w}}, x, aligned(x, w.C)},
                                 Source<Matrix>{{weights, 1, out}, weights, aligned(weights, out)},
                                 Pooled{{y, bias, out, relu}, index, windows, stride});
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

CONV(_tf32, Wide::threads, Wide, TF32)
CONV(_tf32_small, Narrower::threads, Narrower, TF32)
CONV(_bf16, Wide::threads, Wide, BF16)
CONV(_bf16_small, Narrower::threads, Narrower, BF16)
