// Heads of ensembles, besides the log-mean-softmax in loss.cu.
#include "common.cuh"

extern "C" {

// vote_begin takes the log of the mean of the members' softmaxes to that mean.
__global__ void vote_begin(float* y, unsigned n) {
  const unsigned i = thread_index();
  if (i < n) y[i] = expf(y[i]);
}

// vote_add adds one member's vote, for the first of its largest logits. A thread for each score.
__global__ void vote_add(const float* logits, float* y, int classes, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  const unsigned row = i / classes, own = i % classes;
  const float* z = logits + (long long)row * classes;
  int best = 0;
  for (int j = 1; j < classes; j++)
    if (z[j] > z[best]) best = j;
  if (best == own) y[i] += 1;
}

// vote_end takes scores to the log of their share; floor is device.VoteFloor.
__global__ void vote_end(float* y, int members, float floor, unsigned n) {
  const unsigned i = thread_index();
  if (i < n) y[i] = logf(fmaxf(y[i], floor) / (members + 1));
}

// take_part copies rows of width values from x, where a row has from values, to y, where it has to.
__global__ void take_part(const float* x, float* y, int from, int to, int width, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  const unsigned row = i / width, j = i % width;
  y[(long long)row * to + j] = x[(long long)row * from + j];
}

} // extern "C"
