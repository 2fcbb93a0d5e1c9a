// What the kernels of batch normalisation share: sums in double precision, by chunks of positions.
#pragma once

#include "common.cuh"

__device__ inline float inverse_std(double variance, float epsilon) { return (float)(1 / sqrt(variance + (double)epsilon)); }

__device__ inline double add_chunks(const double* parts, int chunks, int channels, int which, int c) {
  double sum = 0;
  for (int p = 0; p < chunks; p++) sum += parts[(2 * p + which) * channels + c];
  return sum;
}
