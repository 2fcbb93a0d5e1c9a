// Fully connected layers as in dense.cu, on tensor cores.
#include "common.cuh"
#include "dense_kernels.cuh"
#include "tensor.cuh"

template <class T, class P>
__device__ void forward(const float* x, const float* weights, const float* bias, float* y, int in, int out, int rows, int relu) {
  tensor_gemm<T, P, true, false>(rows, out, 0, in, Source<Matrix>{{x, in, 1}, x, aligned(x, in)},
                                 Source<Matrix>{{weights, 1, out}, weights, aligned(weights, out)}, Biased{y, bias, out, relu});
}

template <class T, class P>
__device__ void input_grad(const float* weights, const float* dy, float* dx, int in, int out, int rows) {
  tensor_gemm<T, P, true, true>(rows, in, 0, out, Source<Matrix>{{dy, out, 1}, dy, aligned(dy, out)},
                                Source<Matrix>{{weights, out, 1}, weights, aligned(weights, out)}, Plain{dx, in});
}

// weight_grad leaves the sum over the chunk blockIdx.z of rows in parts; add_parts adds them.
template <class T, class P>
__device__ void weight_grad(const float* x, const float* dy, float* parts, int in, int out, int rows, int chunk) {
  const int first = blockIdx.z * chunk;
  tensor_gemm<T, P, false, false>(in, out, first, min(first + chunk, rows), Source<Matrix>{{x, 1, in}, x, aligned(x, in)},
                                  Source<Matrix>{{dy, 1, out}, dy, aligned(dy, out)}, Plain{parts + (long long)blockIdx.z * in * out, out});
}

DENSE(_tf32, Wide::threads, Wide, TF32)
DENSE(_tf32_small, Narrower::threads, Narrower, TF32)
DENSE(_bf16, Wide::threads, Wide, BF16)
DENSE(_bf16_small, Narrower::threads, Narrower, BF16)
