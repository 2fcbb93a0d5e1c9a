// The kernels of a dense layer for one tile. The file that includes this has forward, input_grad and
// weight_grad, templates of what stands for the dots.
#pragma once

#define DENSE(ending, threads, ...)                                                                                                  \
  extern "C" __global__ void __launch_bounds__(threads)                                                                              \
      dense##ending(const float* x, const float* weights, const float* bias, float* y, int in, int out, int rows, int relu) {        \
    forward<__VA_ARGS__>(x, weights, bias, y, in, out, rows, relu);                                                                  \
  }                                                                                                                                  \
  extern "C" __global__ void __launch_bounds__(threads)                                                                              \
      dense_input_grad##ending(const float* weights, const float* dy, float* dx, int in, int out, int rows) {                        \
    input_grad<__VA_ARGS__>(weights, dy, dx, in, out, rows);                                                                         \
  }                                                                                                                                  \
  extern "C" __global__ void __launch_bounds__(threads)                                                                              \
      dense_weight_grad##ending(const float* x, const float* dy, float* parts, int in, int out, int rows, int chunk) {               \
    weight_grad<__VA_ARGS__>(x, dy, parts, in, out, rows, chunk);                                                                    \
  }
