// Sums over the rows of [n,channels], for blocks of 32 channels and 8 lines.
#pragma once

#include "common.cuh"

constexpr int lines = 8; // of 32 channels in a block of columns

// sum_columns adds term(position, channel) over a chunk of positions into parts [chunks,channels], in double
// precision.
template <class Term>
__device__ void sum_columns(float* parts, int n, int channels, int chunk, const Term& term) {
  __shared__ double part[lines][32];
  const int lane = threadIdx.x % 32, line = threadIdx.x / 32, c = blockIdx.x * 32 + lane, from = blockIdx.y * chunk;
  double sum = 0;
  if (c < channels)
    for (int p = from + line; p < min(from + chunk, n); p += lines) sum += term(p, c);
  part[line][lane] = sum;
  __syncthreads();
  if (line > 0 || c >= channels) return;
  for (int l = 1; l < lines; l++) sum += part[l][lane];
  parts[blockIdx.y * channels + c] = sum;
}
