// The inner loop of an attack (device.Loop), a block a row. Rows that early stop has ended stay
// where they are: their state says so, and nothing is moved.
#include "common.cuh"
#include "philox.cuh"

// State of one row.
struct State {
  float value;   // of the best iterate
  int found;     // whether the best iterate succeeds
  int done;      // ended by early stop
  int gradients; // computed, and of those: zero everywhere, not finite
  int zero, nonfinite;
};

// Limits of a step lie in memory, so that a captured graph serves when a schedule moves them.
struct Limits {
  float step, eps;
};

__device__ inline float clamp(float v, float lower, float upper) {
  if (v < lower) v = lower; // NaN stays
  if (v > upper) v = upper;
  return v;
}

__device__ inline void reset(State* state) {
  if (threadIdx.x == 0) *state = State{-INFINITY, 0, 0, 0, 0, 0};
}

extern "C" {

// attack_begin: at the clean example. The best iterate is the clean example until there is one.
__global__ void attack_begin(const float* clean, float* adv, float* best, State* state, int size) {
  const long long row = blockIdx.x;
  reset(state + row);
  for (int i = threadIdx.x; i < size; i += blockDim.x) adv[row * size + i] = best[row * size + i] = clean[row * size + i];
}

// attack_start_linf: uniform in the cube, clipped.
__global__ void attack_start_linf(const float* clean, float* adv, float* best, State* state, int size, float eps, unsigned k0, unsigned k1, const unsigned* example, unsigned restart) {
  const long long row = blockIdx.x;
  reset(state + row);
  for (int block = threadIdx.x; block * 4 < size; block += blockDim.x) {
    const Words words = philox(k0, k1, example[row], restart, 0, block);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int i = block * 4 + j;
      if (i >= size) continue;
      const float x = clean[row * size + i];
      best[row * size + i] = x;
      // Rounding of the sum may leave the ball by a unit in the last place.
      adv[row * size + i] = clamp(clamp(x + uniform(words.w[j], -eps, eps), 0, 1), x - eps, x + eps);
    }
  }
}

// attack_start_l2: uniform in the ball's volume, clipped: a normal direction, and the radius eps*u^(1/size).
__global__ void attack_start_l2(const float* clean, float* adv, float* best, State* state, int size, float eps, unsigned k0, unsigned k1, const unsigned* example, unsigned restart) {
  const long long row = blockIdx.x;
  reset(state + row);
  double squares = 0;
  for (int block = threadIdx.x; block * 4 < size; block += blockDim.x) {
    const Words words = philox(k0, k1, example[row], restart, 0, block);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int i = block * 4 + j;
      if (i >= size) continue;
      const float z = (float)normal(words, j);
      adv[row * size + i] = z;
      squares += (double)z * z;
    }
  }
  const double norm = sqrt(block_sum(squares));
  const double u = uniform(philox(k0, k1, example[row], restart, 1, 0).w[0], 0, 1);
  const double factor = u > 0 ? eps * exp(log(u) / size) / norm : 0;
  for (int block = threadIdx.x; block * 4 < size; block += blockDim.x)
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int i = block * 4 + j;
      if (i >= size) continue;
      const float x = clean[row * size + i];
      best[row * size + i] = x;
      adv[row * size + i] = clamp(x + (float)(adv[row * size + i] * factor), 0, 1);
    }
}

// attack_judge looks at iterates whose logits and losses are there: it keeps the best, and with
// early stop ends rows that succeed. A hit is a row that is misclassified (classified as its label, if targeted).
__global__ void attack_judge(const float* logits, const float* value, const int* labels, const float* adv, float* best, State* state,
                             int size, int classes, int early_stop, int keep_best, int targeted, int last) {
  const long long row = blockIdx.x;
  State* s = state + row;
  __shared__ int better;
  if (threadIdx.x == 0) {
    better = 0;
    if (!s->done) {
      const float* z = logits + row * classes;
      int top = 0;
      for (int j = 1; j < classes; j++)
        if (z[j] > z[top]) top = j;
      const int hit = (top == labels[row]) == targeted;
      if (!last) s->gradients++;
      if (keep_best || (hit && early_stop)) {
        better = (hit && !s->found) || (hit == s->found && value[row] > s->value);
        if (better) {
          s->found = hit;
          s->value = value[row];
        }
      }
      s->done = hit && early_stop;
    }
  }
  __syncthreads();
  if (better)
    for (int i = threadIdx.x; i < size; i += blockDim.x) best[row * size + i] = adv[row * size + i];
}

// attack_step_linf moves by step along the gradient's sign, and projects onto the ball and [0,1]. A
// gradient of 0 or NaN moves nothing.
__global__ void attack_step_linf(const float* clean, const float* grad, float* adv, State* state, int size, const Limits* limits) {
  const long long row = blockIdx.x;
  const float step = limits->step, eps = limits->eps;
  if (state[row].done) return;
  int some = 0, bad = 0;
  for (int i = threadIdx.x; i < size; i += blockDim.x) {
    const float g = grad[row * size + i], x = clean[row * size + i];
    const float move = g > 0 ? step : g < 0 ? -step : 0;
    adv[row * size + i] = clamp(clamp(adv[row * size + i] + move, x - eps, x + eps), 0, 1);
    some |= g != 0;
    bad |= !(fabsf(g) < INFINITY);
  }
  some = __syncthreads_or(some);
  bad = __syncthreads_or(bad);
  if (threadIdx.x > 0) return;
  state[row].zero += !some;
  state[row].nonfinite += bad;
}

// attack_step_l2 moves by step along the normalised gradient, and projects onto the ball and [0,1];
// a gradient that is 0 everywhere, or not finite, moves nothing.
__global__ void attack_step_l2(const float* clean, const float* grad, float* adv, State* state, int size, const Limits* limits) {
  const long long row = blockIdx.x;
  const float step = limits->step, eps = limits->eps;
  if (state[row].done) return;
  double squares = 0;
  for (int i = threadIdx.x; i < size; i += blockDim.x) squares += (double)grad[row * size + i] * grad[row * size + i];
  squares = block_sum(squares);
  const bool moves = squares > 0 && squares < INFINITY;
  if (threadIdx.x == 0) {
    state[row].zero += squares == 0;
    state[row].nonfinite += !(squares < INFINITY);
  }
  const double factor = moves ? step / sqrt(squares) : 0;
  double distance = 0;
  for (int i = threadIdx.x; i < size; i += blockDim.x) {
    const long long at = row * size + i;
    const float v = moves ? adv[at] + (float)(factor * grad[at]) : adv[at];
    adv[at] = v;
    distance += ((double)v - clean[at]) * ((double)v - clean[at]);
  }
  distance = sqrt(block_sum(distance));
  const double shrink = distance > eps ? eps / distance : 1;
  for (int i = threadIdx.x; i < size; i += blockDim.x) {
    const long long at = row * size + i;
    float v = adv[at];
    if (shrink < 1) v = (float)(clean[at] + shrink * ((double)v - clean[at]));
    adv[at] = clamp(v, 0, 1);
  }
}

// attack_finish writes each row's result: the best iterate, where it was kept or has ended the row, otherwise the last.
__global__ void attack_finish(const float* adv, const float* best, const State* state, float* result, int size, int keep_best) {
  const long long row = blockIdx.x;
  const float* from = keep_best || state[row].done ? best : adv;
  for (int i = threadIdx.x; i < size; i += blockDim.x) result[row * size + i] = from[row * size + i];
}

// attack_counts adds the rows' counts in one block: gradients, zero, not finite.
__global__ void attack_counts(const State* state, long long* counts, int rows) {
  double gradients = 0, zero = 0, nonfinite = 0; // exact below 2^53
  for (int row = threadIdx.x; row < rows; row += blockDim.x) {
    gradients += state[row].gradients;
    zero += state[row].zero;
    nonfinite += state[row].nonfinite;
  }
  gradients = block_sum(gradients);
  zero = block_sum(zero);
  nonfinite = block_sum(nonfinite);
  if (threadIdx.x > 0) return;
  counts[0] = (long long)gradients;
  counts[1] = (long long)zero;
  counts[2] = (long long)nonfinite;
}

} // extern "C"
