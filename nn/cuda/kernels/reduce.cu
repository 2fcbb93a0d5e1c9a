// Sums over rows, in two stages: blocks leave sums of chunks, which are then added in order.
#include "common.cuh"

constexpr int lines = 8; // of 32 channels in a block of columns

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
  __shared__ double part[lines][32];
  const int lane = threadIdx.x % 32, line = threadIdx.x / 32, c = blockIdx.x * 32 + lane, from = blockIdx.y * chunk;
  double sum = 0;
  if (c < channels)
    for (int p = from + line; p < min(from + chunk, n); p += lines) sum += x[(long long)p * channels + c];
  part[line][lane] = sum;
  __syncthreads();
  if (line > 0 || c >= channels) return;
  for (int l = 1; l < lines; l++) sum += part[l][lane];
  parts[blockIdx.y * channels + c] = sum;
}

} // extern "C"
