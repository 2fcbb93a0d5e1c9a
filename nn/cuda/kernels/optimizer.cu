// Optimiser updates (see nn/kernel/optimizer.go for the formulas), one thread a weight.
#include "common.cuh"

extern "C" {

// sum_squares leaves the sum of squares of each chunk of a gradient; a block each.
__global__ void sum_squares(const float* g, double* sums, unsigned chunk, unsigned n) {
  const unsigned from = blockIdx.x * chunk, to = min(from + chunk, n);
  double sum = 0;
  for (unsigned i = from + threadIdx.x; i < to; i += blockDim.x) sum += (double)g[i] * g[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void sgd(float* w, const float* g, float lr, float clip, float decay, unsigned n) {
  const unsigned i = thread_index();
  if (i < n) w[i] -= lr * (clip * g[i] + decay * w[i]);
}

// momentum moves along fresh*d + old*v, for the gradient d and the momentum v.
__global__ void momentum(float* w, const float* g, float* v, float lr, float clip, float decay, float factor, float fresh, float old, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  const float d = clip * g[i] + decay * w[i], moved = factor * v[i] + d;
  v[i] = moved;
  w[i] -= lr * (fresh * d + old * moved);
}

// adam: mean 1-beta1, square 1-beta2, root sqrt(1-beta2^t), rate lr/(1-beta1^t).
__global__ void adam(float* w, const float* g, float* m, float* v, float clip, float decay, float shrink, float mean, float beta2, float square,
                     float root, float epsilon, float rate, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  const float d = clip * g[i] + decay * w[i];
  const float first = m[i] + mean * (d - m[i]), second = beta2 * v[i] + square * d * d;
  m[i] = first;
  v[i] = second;
  w[i] = shrink * w[i] - rate * first / (sqrtf(second) / root + epsilon);
}

} // extern "C"
