// Batch normalisation (Ioffe and Szegedy 2015) of [n,channels], n counting rows times positions.
// Sums are in double precision, by chunks of positions, which are then added in order.
#include "norm.cuh"

constexpr int lines = 8; // of 32 channels in a block

// pair_sums adds first and second over a chunk of positions, for 32 channels a block, into
// parts [chunks,2,channels].
template <class Terms>
__device__ void pair_sums(double* parts, int n, int channels, int chunk, const Terms& terms) {
  __shared__ double first[lines][32], second[lines][32];
  const int lane = threadIdx.x % 32, line = threadIdx.x / 32, c = blockIdx.x * 32 + lane, from = blockIdx.y * chunk;
  double a = 0, b = 0;
  if (c < channels)
    for (int p = from + line; p < min(from + chunk, n); p += lines) terms(c, (long long)p * channels + c, a, b);
  first[line][lane] = a;
  second[line][lane] = b;
  __syncthreads();
  if (line > 0 || c >= channels) return;
  for (int l = 1; l < lines; l++) {
    a += first[l][lane];
    b += second[l][lane];
  }
  parts[(2 * blockIdx.y + 0) * channels + c] = a;
  parts[(2 * blockIdx.y + 1) * channels + c] = b;
}

extern "C" {

// norm_coefficients turns running statistics into affine's scales and shifts.
__global__ void norm_coefficients(const float* gamma, const float* beta, const float* mean, const float* variance, float* coefficients, float epsilon, int channels) {
  const int c = thread_index();
  if (c >= channels) return;
  const float scale = gamma[c] * inverse_std(variance[c], epsilon);
  coefficients[c] = scale;
  coefficients[channels + c] = beta ? beta[c] - mean[c] * scale : 0;
}

// norm_moments: sums of x and of its squares about the first position's x, which lies near the mean.
__global__ void __launch_bounds__(32 * lines) norm_moments(const float* x, double* parts, int n, int channels, int chunk) {
  pair_sums(parts, n, channels, chunk, [=](int c, long long i, double& sum, double& squares) {
    const double d = (double)x[i] - (double)x[c];
    sum += d;
    squares += d * d;
  });
}

// norm_stats leaves mean and 1/std by channel in stats and moves the running statistics.
__global__ void norm_stats(const float* x, const double* parts, int chunks, int n, int channels, float epsilon, float momentum, float* stats, float* running, float* running_variance) {
  const int c = thread_index();
  if (c >= channels) return;
  const double shift = add_chunks(parts, chunks, channels, 0, c) / n;
  const double squares = fmax(add_chunks(parts, chunks, channels, 1, c) - n * shift * shift, 0.0);
  const float mean = (float)((double)x[c] + shift);
  stats[c] = mean;
  stats[channels + c] = inverse_std(squares / n, epsilon);
  running[c] = (1 - momentum) * running[c] + momentum * mean;
  running_variance[c] = (1 - momentum) * running_variance[c] + momentum * (float)(squares / max(n - 1, 1));
}

__global__ void norm_train(const float* x, const float* gamma, const float* beta, const float* stats, float* y, int channels, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  const int c = i % channels;
  y[i] = (x[i] - stats[c]) * stats[channels + c] * gamma[c] + beta[c];
}

// norm_grad_sums: sums of dy and of dy times the normalised x.
__global__ void __launch_bounds__(32 * lines) norm_grad_sums(const float* x, const float* dy, const float* stats, double* parts, int n, int channels, int chunk) {
  pair_sums(parts, n, channels, chunk, [=](int c, long long i, double& sum, double& dot) {
    sum += (double)dy[i];
    dot += (double)dy[i] * ((double)x[i] - (double)stats[c]) * (double)stats[channels + c];
  });
}

// norm_add_sums adds the chunks of norm_grad_sums into sums [2,channels].
__global__ void norm_add_sums(const double* parts, int chunks, int channels, double* sums) {
  const int c = thread_index();
  if (c >= channels) return;
  sums[c] = add_chunks(parts, chunks, channels, 0, c);
  sums[channels + c] = add_chunks(parts, chunks, channels, 1, c);
}

__global__ void norm_gamma_grad(const double* parts, int chunks, int channels, float* dgamma) {
  const int c = thread_index();
  if (c < channels) dgamma[c] = (float)add_chunks(parts, chunks, channels, 1, c);
}

__global__ void norm_input_grad(const float* x, const float* gamma, const float* dy, const float* stats, const double* sums, float* dx, int positions, int channels, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  const int c = i % channels;
  const float inv = stats[channels + c], hat = (x[i] - stats[c]) * inv;
  const float mean = (float)(sums[c] / positions), slope = (float)(sums[channels + c] / positions);
  dx[i] = gamma[c] * inv * (dy[i] - mean - hat * slope);
}

// norm_running turns running mean and variance into the stats that norm_grad_sums reads.
__global__ void norm_running(const float* mean, const float* variance, float* stats, float epsilon, int channels) {
  const int c = thread_index();
  if (c >= channels) return;
  stats[c] = mean[c];
  stats[channels + c] = inverse_std(variance[c], epsilon);
}

} // extern "C"
