// What the kernels share. Every sum has an order that depends on sizes alone, so that results are
// the same bits on every run; a row's results depend on that row alone.
#pragma once

#define INFINITY __int_as_float(0x7f800000)

// Window is the geometry of a convolution or pooling on [H,W,C] examples (device.Window).
struct Window {
  int H, W, C, KH, KW, stride, top, left, outH, outW;
};

__device__ inline float warp_sum(float v) {
  for (int lanes = 16; lanes > 0; lanes >>= 1) v += __shfl_xor_sync(~0u, v, lanes);
  return v;
}

__device__ inline double warp_sum(double v) {
  for (int lanes = 16; lanes > 0; lanes >>= 1) v += __shfl_xor_sync(~0u, v, lanes);
  return v;
}

__device__ inline float warp_max(float v) {
  for (int lanes = 16; lanes > 0; lanes >>= 1) v = fmaxf(v, __shfl_xor_sync(~0u, v, lanes));
  return v;
}

// block_sum adds v over a block of whole warps and gives every thread the sum.
__device__ inline double block_sum(double v) {
  __shared__ double part[32];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  v = warp_sum(v);
  __syncthreads(); // the last call's part has been read
  if (lane == 0) part[warp] = v;
  __syncthreads();
  double sum = 0;
  for (int w = 0; w < blockDim.x >> 5; w++) sum += part[w];
  return sum;
}

// The first elements of rows or of the batch that a one-dimensional grid works on.
__device__ inline unsigned thread_index() { return blockIdx.x * blockDim.x + threadIdx.x; }
