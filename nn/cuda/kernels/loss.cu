// Losses on logits [rows,classes] (see nn/loss.go), one warp a row: a value and d(loss)/d(logits),
// times scale. sign -1 turns a loss round.
#include "common.cuh"

struct Softmax {
  float top, rest; // the largest logit, and the sum of exp((z-top)/t) over all classes but one with it
  int first;       // that one
};

// largest is the index of the largest of a row, the first of equals, as device.Argmax has it.
__device__ inline int largest(const float* z, int classes) {
  const int lane = threadIdx.x & 31;
  float best = -INFINITY;
  int at = classes;
  for (int j = lane; j < classes; j += 32)
    if (z[j] > best || at == classes) {
      best = z[j];
      at = j;
    }
  for (int lanes = 16; lanes > 0; lanes >>= 1) {
    const float other = __shfl_xor_sync(~0u, best, lanes);
    const int there = __shfl_xor_sync(~0u, at, lanes);
    if (there < classes && (at == classes || other > best || (other == best && there < at))) {
      best = other;
      at = there;
    }
  }
  return __shfl_sync(~0u, at, 0); // of logits that are not numbers lanes may think differently
}

__device__ inline Softmax softmax(const float* z, int classes, float t) {
  Softmax s;
  s.first = largest(z, classes);
  s.top = z[s.first];
  float rest = 0;
  for (int j = threadIdx.x & 31; j < classes; j += 32)
    if (j != s.first) rest += expf((z[j] - s.top) / t);
  s.rest = warp_sum(rest);
  return s;
}

// probability of class j: exp((z-top)/t) / (1+rest).
__device__ inline float probability(const Softmax& s, const float* z, int j, float t) {
  return (j == s.first ? 1 : expf((z[j] - s.top) / t)) / (1 + s.rest);
}

extern "C" {

__global__ void loss_cross_entropy(const float* logits, const int* labels, const float*, float* value, float* grad, float t, float smoothing, float sign, float scale, int classes, int rows) {
  const int row = thread_index() / 32, lane = threadIdx.x & 31;
  if (row >= rows) return; // a whole warp
  const float* z = logits + (long long)row * classes;
  const int y = labels[row];
  const Softmax s = softmax(z, classes, t);
  // 1-p[y] as a sum of the others keeps its precision when p[y] is close to 1.
  const float log_rest = log1pf(s.rest), even = smoothing / classes; // smoothing spreads a share of the target
  float others = 0, spread = 0;
  for (int j = lane; j < classes; j += 32) {
    spread += even * ((s.top - z[j]) / t + log_rest);
    if (j == y) continue;
    const float p = probability(s, z, j, t);
    others += p;
    grad[(long long)row * classes + j] = sign * (p - even) / t * scale;
  }
  others = warp_sum(others);
  spread = warp_sum(spread);
  if (lane == 0) {
    grad[(long long)row * classes + y] = sign * (smoothing - even - others) / t * scale;
    value[row] = sign * ((1 - smoothing) * ((s.top - z[y]) / t + log_rest) + spread);
  }
}

// loss_distill: soft holds the teacher's logits.
__global__ void loss_distill(const float* logits, const int*, const float* soft, float* value, float* grad, float t, float, float sign, float scale, int classes, int rows) {
  const int row = thread_index() / 32, lane = threadIdx.x & 31;
  if (row >= rows) return;
  const float *z = logits + (long long)row * classes, *teacher = soft + (long long)row * classes;
  const Softmax s = softmax(z, classes, t), taught = softmax(teacher, classes, t);
  const float log_rest = log1pf(s.rest);
  float sum = 0;
  for (int j = lane; j < classes; j += 32) {
    const float q = probability(taught, teacher, j, t);
    sum += q * ((s.top - z[j]) / t + log_rest);
    grad[(long long)row * classes + j] = sign * (probability(s, z, j, t) - q) / t * scale;
  }
  sum = warp_sum(sum);
  if (lane == 0) value[row] = sign * sum;
}

// loss_margin: max over j != y of z[j], minus z[y]; the first of equals.
__global__ void loss_margin(const float* logits, const int* labels, const float*, float* value, float* grad, float, float, float sign, float scale, int classes, int rows) {
  const int row = thread_index() / 32, lane = threadIdx.x & 31;
  if (row >= rows) return;
  const float* z = logits + (long long)row * classes;
  const int y = labels[row];
  // Of the classes before y and after it; the first part wins a tie.
  int best;
  if (y == 0) best = 1 + largest(z + 1, classes - 1);
  else {
    best = largest(z, y);
    if (y + 1 < classes) {
      const int after = y + 1 + largest(z + y + 1, classes - y - 1);
      if (z[after] > z[best]) best = after;
    }
  }
  for (int j = lane; j < classes; j += 32) grad[(long long)row * classes + j] = j == best ? sign * scale : j == y ? -sign * scale : 0;
  if (lane == 0) value[row] = sign * (z[best] - z[y]);
}

// log_softmax writes z - log(sum(exp(z))), which log_mean and log_mean_grad read.
__global__ void log_softmax(const float* logits, float* logs, int classes, int rows) {
  const int row = thread_index() / 32, lane = threadIdx.x & 31;
  if (row >= rows) return;
  const float* z = logits + (long long)row * classes;
  const Softmax s = softmax(z, classes, 1);
  const float log_rest = log1pf(s.rest);
  for (int j = lane; j < classes; j += 32) logs[(long long)row * classes + j] = z[j] - s.top - log_rest;
}

// log_mean: the log of the mean of the members' softmaxes. logs is [members,n], n = rows*classes.
__global__ void log_mean(const float* logs, float* y, int members, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  float top = logs[i];
  for (int m = 1; m < members; m++) top = fmaxf(top, logs[(long long)m * n + i]);
  float sum = 0;
  for (int m = 0; m < members; m++) sum += expf(logs[(long long)m * n + i] - top);
  y[i] = top + logf(sum / members);
}

// log_mean_grad: with p_m the softmax of member m and P their sum,
// dz_m[i] = sum_j dy[j] p_m[j]/P[j] (1[i=j] - p_m[i]).
__global__ void log_mean_grad(const float* logs, const float* dy, float* dz, int members, int member, int classes, int rows) {
  const int row = thread_index() / 32, lane = threadIdx.x & 31;
  if (row >= rows) return;
  const long long n = (long long)rows * classes, at = (long long)row * classes;
  const float* own = logs + member * n + at;
  float sum = 0;
  for (int j = lane; j < classes; j += 32) {
    float ratio = 0; // P[j]/p_m[j]: no underflow
    for (int m = 0; m < members; m++) ratio += expf(logs[m * n + at + j] - own[j]);
    const float g = dy[at + j] / ratio;
    dz[at + j] = g;
    sum += g;
  }
  sum = warp_sum(sum);
  for (int j = lane; j < classes; j += 32) dz[at + j] -= sum * expf(own[j]);
}

} // extern "C"
