// Convolutions of [rows,H,W,C] with weights [KH,KW,C,Out], as matrix products over patches that
// are read in place (implicit GEMM).
#include "conv_kernels.cuh"
#include "pooled.cuh"

template <class T>
__device__ void forward(const float* x, const float* weights, const float* bias, float* y, Window w, int out, int rows, int relu) {
  const int K = w.KH * w.KW * w.C;
  gemm<T, false>(rows * w.outH * w.outW, out, 0, K, Patches{x, w}, Right{weights, out, 1}, Biased{y, bias, out, relu});
}

template <class T>
__device__ void forward_pool(const float* x, const float* weights, const float* bias, float* y, unsigned char* index, Window w, int out, int rows,
                             int relu, int stride) {
  const int windows = w.outH / 2 * (w.outW / 2);
  gemm<T, false>(rows * windows * 4, out, 0, w.KH * w.KW * w.C, PooledPatches{{x, w}}, Right{weights, out, 1},
                 Pooled{{y, bias, out, relu}, index, windows, stride});
}

template <class T>
__device__ void input_grad(const float* weights, const float* dy, float* dx, Window w, int out, int rows) {
  gemm<T, true>(rows * w.H * w.W, w.C, 0, w.KH * w.KW * out, Reached{dy, w, out}, Turned{weights, w.C, out}, Plain{dx, w.C});
}

// weight_grad leaves the sum over the chunk blockIdx.z of positions in parts; add_parts adds them.
template <class T>
__device__ void weight_grad(const float* x, const float* dy, float* parts, Window w, int out, int rows, int chunk) {
  const int M = w.KH * w.KW * w.C, K = rows * w.outH * w.outW, first = blockIdx.z * chunk;
  gemm<T, false>(M, out, first, min(first + chunk, K), Transposed{Patches{x, w}}, Right{dy, out, 1},
                 Plain{parts + (long long)blockIdx.z * M * out, out});
}

CONV(, Large::threads, Large)
CONV(_small, Small::threads, Small)
CONV_INPUT_GRAD(_narrow, Narrow::threads, Narrow)
