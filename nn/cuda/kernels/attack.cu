// The inner loop of an attack (device.Loop), a block a row. Rows that early stop has ended stay
// where they are: their state says so, and nothing is moved.
#include "l1.cuh"

extern "C" {

// attack_begin: at the clean example. The best iterate is the clean example until there is one.
__global__ void attack_begin(const float* clean, float* adv, float* best, State* state, int size, int tau) {
  const long long row = blockIdx.x;
  reset(state + row, tau);
  for (int i = threadIdx.x; i < size; i += blockDim.x) adv[row * size + i] = best[row * size + i] = clean[row * size + i];
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
      int hit = (top == labels[row]) == targeted;
      (last ? s->forwards : s->gradients)++;
      if (keep_best) {
        better = (hit && !s->found) || (hit == s->found && value[row] > s->value);
        if (better) {
          s->found = hit;
          s->value = value[row];
        }
      }
      if (hit && early_stop && s->tau > 0) {
        s->tau--;
        hit = 0; // not yet
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

// attack_step_l1 moves along the largest entries of the gradient (SLIDE; Tramer and Boneh 2019, section
// 3.2), and projects; a gradient that is 0 everywhere, or not finite, moves nothing.
__global__ void attack_step_l1(const float* clean, const float* grad, float* adv, State* state, int size, const Limits* limits, int most) {
  const long long row = blockIdx.x, at = row * size;
  if (state[row].done) return;
  double squares = 0;
  for (int i = threadIdx.x; i < size; i += blockDim.x) squares += (double)grad[at + i] * grad[at + i];
  squares = block_sum(squares);
  if (threadIdx.x == 0) {
    state[row].zero += squares == 0;
    state[row].nonfinite += !(squares < INFINITY);
  }
  if (squares > 0 && squares < INFINITY) slide(adv + at, grad + at, size, limits->step, most);
  project_l1(adv + at, clean + at, size, limits->eps);
}

// attack_finish writes each row's result: the best iterate where it was kept, otherwise the last.
__global__ void attack_finish(const float* adv, const float* best, float* result, int size, int keep_best) {
  const long long row = blockIdx.x;
  const float* from = keep_best ? best : adv;
  for (int i = threadIdx.x; i < size; i += blockDim.x) result[row * size + i] = from[row * size + i];
}

// attack_counts adds the rows' counts in one block, to those that are there where more is set: forwards, gradients,
// zero, not finite.
__global__ void attack_counts(const State* state, long long* counts, int rows, int more) {
  double sums[4] = {}; // exact below 2^53
  for (int row = threadIdx.x; row < rows; row += blockDim.x) {
    sums[0] += state[row].forwards;
    sums[1] += state[row].gradients;
    sums[2] += state[row].zero;
    sums[3] += state[row].nonfinite;
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const double sum = block_sum(sums[i]);
    if (threadIdx.x == 0) counts[i] = (long long)sum + (more ? counts[i] : 0);
  }
}

} // extern "C"
