// Convolutions of [rows,H,W,C] with weights [KH,KW,C,Out], as matrix products over patches that
// are read in place (implicit GEMM).
#include "gemm.cuh"
#include "patches.cuh"

template <class T>
__device__ void forward(const float* x, const float* weights, const float* bias, float* y, Window w, int out, int rows, int relu) {
  const int K = w.KH * w.KW * w.C;
  gemm<T, false>(rows * w.outH * w.outW, out, 0, K, Patches{x, w}, Right{weights, out, 1}, Biased{y, bias, out, relu});
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

extern "C" {

__global__ void __launch_bounds__(Large::threads) conv(const float* x, const float* weights, const float* bias, float* y, Window w, int out, int rows, int relu) {
  forward<Large>(x, weights, bias, y, w, out, rows, relu);
}

__global__ void __launch_bounds__(Small::threads) conv_small(const float* x, const float* weights, const float* bias, float* y, Window w, int out, int rows, int relu) {
  forward<Small>(x, weights, bias, y, w, out, rows, relu);
}

__global__ void __launch_bounds__(Large::threads) conv_input_grad(const float* weights, const float* dy, float* dx, Window w, int out, int rows) {
  input_grad<Large>(weights, dy, dx, w, out, rows);
}

__global__ void __launch_bounds__(Small::threads) conv_input_grad_small(const float* weights, const float* dy, float* dx, Window w, int out, int rows) {
  input_grad<Small>(weights, dy, dx, w, out, rows);
}

__global__ void __launch_bounds__(Narrow::threads) conv_input_grad_narrow(const float* weights, const float* dy, float* dx, Window w, int out, int rows) {
  input_grad<Narrow>(weights, dy, dx, w, out, rows);
}

__global__ void __launch_bounds__(Large::threads) conv_weight_grad(const float* x, const float* dy, float* parts, Window w, int out, int rows, int chunk) {
  weight_grad<Large>(x, dy, parts, w, out, rows, chunk);
}

__global__ void __launch_bounds__(Small::threads) conv_weight_grad_small(const float* x, const float* dy, float* parts, Window w, int out, int rows, int chunk) {
  weight_grad<Small>(x, dy, parts, w, out, rows, chunk);
}

} // extern "C"
