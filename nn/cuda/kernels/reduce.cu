// Sums over rows, in two stages: blocks leave sums of chunks, which are then added in order.
#include "columns.cuh"

extern "C" {

// add_parts computes c[i] = sum of parts[p][i] over p in ascending order.
__global__ void add_parts(const float* parts, float* c, int count, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  float sum = 0;
  for (int p = 0; p < count; p++) sum += parts[(long long)p * n + i];
  c[i] = sum;
}

// column_sums adds chunk positions of x [n,channels] into parts [chunks,channels]. Blocks have 32
// channels and 8 lines.
__global__ void __launch_bounds__(32 * lines) column_sums(const float* x, float* parts, int n, int channels, int chunk) {
  sum_columns(parts, n, channels, chunk, [=](int p, int c) { return (double)x[(long long)p * channels + c]; });
}

} // extern "C"
