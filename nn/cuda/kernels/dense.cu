// Fully connected layers: x [rows,In], weights [In,Out].
#include "common.cuh"
#include "dense_kernels.cuh"
#include "gemm.cuh"

template <class T>
__device__ void forward(const float* x, const float* weights, const float* bias, float* y, int in, int out, int rows, int relu) {
  gemm<T, false>(rows, out, 0, in, Matrix{x, in, 1}, Right{weights, out, 1}, Biased{y, bias, out, relu});
}

template <class T>
__device__ void input_grad(const float* weights, const float* dy, float* dx, int in, int out, int rows) {
  gemm<T, true>(rows, in, 0, out, Matrix{dy, out, 1}, Right{weights, 1, out}, Plain{dx, in});
}

// weight_grad leaves the sum over the chunk blockIdx.z of rows in parts; add_parts adds them.
template <class T>
__device__ void weight_grad(const float* x, const float* dy, float* parts, int in, int out, int rows, int chunk) {
  const int first = blockIdx.z * chunk;
  gemm<T, false>(in, out, first, min(first + chunk, rows), Matrix{x, 1, in}, Right{dy, out, 1},
                 Plain{parts + (long long)blockIdx.z * in * out, out});
}

DENSE(, Large::threads, Large)
DENSE(_small, Small::threads, Small)
