// Optimiser updates (see nn/kernel/optimizer.go for the formulas), one thread a weight. They change nothing from
// the first step on whose gradient is not finite, until the processor has seen that.
#include "common.cuh"

// Verdict is what is known of the last gradient that was judged.
struct Verdict {
  float factor; // that clips it
  int step;
  int bad; // the first chunk that is not finite, counted from 1; 0 for none
};

// Rates is what changes of a parameter's update from step to step. It lies in memory, so that a graph of the
// update serves the next step, too.
struct Rates {
  float rate;   // the learning rate; of Adam lr/(1-beta1^t)
  float shrink; // what decoupled decay leaves of a weight
  float root;   // sqrt(1-beta2^t)
};

extern "C" {

// sum_squares leaves the sum of squares of each chunk of a gradient; a block each.
__global__ void sum_squares(const float* g, double* sums, unsigned chunk, unsigned n) {
  const unsigned from = blockIdx.x * chunk, to = min(from + chunk, n);
  double sum = 0;
  for (unsigned i = from + threadIdx.x; i < to; i += blockDim.x) sum += (double)g[i] * g[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// judge_gradient adds the sums of all chunks in order, and leaves the factor that clips the gradient; or, of the first
// step that is not finite, its number and that of the first bad chunk. One warp: each lane fetches, all add alike.
__global__ void judge_gradient(const double* sums, int chunks, float most, const int* step, Verdict* verdict) {
  if (verdict->bad) return;
  double sum = 0;
  int bad = 0;
  for (int from = 0; from < chunks; from += 32) {
    const int mine = from + threadIdx.x;
    const double fetched = mine < chunks ? sums[mine] : 0;
    for (int lane = 0; lane < min(32, chunks - from); lane++) {
      const double v = __shfl_sync(~0u, fetched, lane);
      if (!(v < INFINITY) && !bad) bad = from + lane + 1; // a sum of squares is not negative
      sum += v;
    }
  }
  if (threadIdx.x) return;
  const double norm = sqrt(sum);
  verdict->factor = most > 0 && norm > most ? (float)(most / norm) : 1;
  verdict->step = *step;
  verdict->bad = bad;
}

__global__ void sgd(float* w, const float* g, const Verdict* verdict, const Rates* now, float decay, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n || verdict->bad) return;
  w[i] -= now->rate * (verdict->factor * g[i] + decay * w[i]);
}

// momentum moves along fresh*d + old*v, for the gradient d and the momentum v.
__global__ void momentum(float* w, const float* g, float* v, const Verdict* verdict, const Rates* now, float decay, float factor, float fresh, float old,
                         unsigned n) {
  const unsigned i = thread_index();
  if (i >= n || verdict->bad) return;
  const float d = verdict->factor * g[i] + decay * w[i], moved = factor * v[i] + d;
  v[i] = moved;
  w[i] -= now->rate * (fresh * d + old * moved);
}

// adam: mean is 1-beta1, square 1-beta2.
__global__ void adam(float* w, const float* g, float* m, float* v, const Verdict* verdict, const Rates* now, float decay, float mean, float beta2, float square,
                     float epsilon, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n || verdict->bad) return;
  const float d = verdict->factor * g[i] + decay * w[i];
  const float first = m[i] + mean * (d - m[i]), second = beta2 * v[i] + square * d * d;
  m[i] = first;
  v[i] = second;
  w[i] = now->shrink * w[i] - now->rate * first / (sqrtf(second) / now->root + epsilon);
}

} // extern "C"
