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

// tally leaves in out the sum of the rows' values, in two parts, and how many rows of logits are largest at their label:
// of the first rows, then of the others. One block, a thread for each row in turn; equals and what is no number as
// device.Argmax has them.
__global__ void tally(const float* value, const float* logits, const int* labels, float* out, int rows, int first, int classes) {
  double values = 0, firsts = 0, rest = 0;
  for (int row = threadIdx.x; row < rows; row += blockDim.x) {
    const float* z = logits + (long long)row * classes;
    int best = 0;
    for (int j = 1; j < classes; j++)
      if (z[j] > z[best]) best = j;
    values += value[row];
    firsts += best == labels[row] && row < first;
    rest += best == labels[row] && row >= first;
  }
  const double loss = block_sum(values), right = block_sum(firsts), others = block_sum(rest);
  if (threadIdx.x) return;
  out[0] = loss;
  out[1] = loss - out[0];
  out[2] = right;
  out[3] = others;
}

} // extern "C"
