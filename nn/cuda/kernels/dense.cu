// Fully connected layers: x [rows,In], weights [In,Out].
#include "common.cuh"
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

extern "C" {

__global__ void __launch_bounds__(Large::threads) dense(const float* x, const float* weights, const float* bias, float* y, int in, int out, int rows, int relu) {
  forward<Large>(x, weights, bias, y, in, out, rows, relu);
}

__global__ void __launch_bounds__(Small::threads) dense_small(const float* x, const float* weights, const float* bias, float* y, int in, int out, int rows, int relu) {
  forward<Small>(x, weights, bias, y, in, out, rows, relu);
}

__global__ void __launch_bounds__(Large::threads) dense_input_grad(const float* weights, const float* dy, float* dx, int in, int out, int rows) {
  input_grad<Large>(weights, dy, dx, in, out, rows);
}

__global__ void __launch_bounds__(Small::threads) dense_input_grad_small(const float* weights, const float* dy, float* dx, int in, int out, int rows) {
  input_grad<Small>(weights, dy, dx, in, out, rows);
}

__global__ void __launch_bounds__(Large::threads) dense_weight_grad(const float* x, const float* dy, float* parts, int in, int out, int rows, int chunk) {
  weight_grad<Large>(x, dy, parts, in, out, rows, chunk);
}

__global__ void __launch_bounds__(Small::threads) dense_weight_grad_small(const float* x, const float* dy, float* parts, int in, int out, int rows, int chunk) {
  weight_grad<Small>(x, dy, parts, in, out, rows, chunk);
}

} // extern "C"
