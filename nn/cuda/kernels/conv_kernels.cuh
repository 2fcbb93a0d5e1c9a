// The kernels of a convolution for one tile. The file that includes this has forward, forward_pool, input_grad and
// weight_grad, templates of what stands for the dots.
#pragma once

#include "patches.cuh"

#define CONV(ending, threads, ...)                                                                                                    \
  extern "C" __global__ void __launch_bounds__(threads)                                                                               \
      conv##ending(const float* x, const float* weights, const float* bias, float* y, Window w, int out, int rows, int relu) {        \
    forward<__VA_ARGS__>(x, weights, bias, y, w, out, rows, relu);                                                                    \
  }                                                                                                                                   \
  extern "C" __global__ void __launch_bounds__(threads)                                                                               \
      conv_pool##ending(const float* x, const float* weights, const float* bias, float* y, unsigned char* index, Window w, int out,   \
                        int rows, int relu, int stride) {                                                                             \
    forward_pool<__VA_ARGS__>(x, weights, bias, y, index, w, out, rows, relu, stride);                                                \
  }                                                                                                                                   \
  CONV_INPUT_GRAD(ending, threads, __VA_ARGS__)                                                                                       \
  extern "C" __global__ void __launch_bounds__(threads)                                                                               \
      conv_weight_grad##ending(const float* x, const float* dy, float* parts, Window w, int out, int rows, int chunk) {               \
    weight_grad<__VA_ARGS__>(x, dy, parts, w, out, rows, chunk);                                                                      \
  }

#define CONV_INPUT_GRAD(ending, threads, ...)                                                                                         \
  extern "C" __global__ void __launch_bounds__(threads)                                                                               \
      conv_input_grad##ending(const float* weights, const float* dy, float* dx, Window w, int out, int rows) {                        \
    input_grad<__VA_ARGS__>(weights, dy, dx, w, out, rows);                                                                           \
  }
