// Batch normalisation in training whose rows are spread over several devices: each adds up its own, the
// sums are added across devices, and every device makes the same statistics of them.
#include "norm.cuh"

extern "C" {

// norm_raw_sums turns the chunks of norm_moments, which are about the first position's x, into sums of x and
// of its squares, sums [2,channels]: another device's chunks are about another x. What cancels in double
// precision is less than what x lost when it was rounded to single.
__global__ void norm_raw_sums(const float* x, const double* parts, int chunks, int n, int channels, double* sums) {
  const int c = thread_index();
  if (c >= channels) return;
  const double about = (double)x[c], sum = add_chunks(parts, chunks, channels, 0, c);
  sums[c] = sum + n * about;
  sums[channels + c] = add_chunks(parts, chunks, channels, 1, c) + about * (2 * sum + n * about);
}

// norm_stats_of is norm_stats for raw sums over all n positions.
__global__ void norm_stats_of(const double* sums, int n, int channels, float epsilon, float momentum, float* stats, float* running, float* running_variance) {
  const int c = thread_index();
  if (c >= channels) return;
  const double mean = sums[c] / n, squares = fmax(sums[channels + c] - n * mean * mean, 0.0);
  stats[c] = (float)mean;
  stats[channels + c] = inverse_std(squares / n, epsilon);
  running[c] = (1 - momentum) * running[c] + momentum * (float)mean;
  running_variance[c] = (1 - momentum) * running_variance[c] + momentum * (float)(squares / max(n - 1, 1));
}

} // extern "C"
