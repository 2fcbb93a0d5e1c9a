// What a convolution stores when a maximum pooling of 2x2 follows: of four rows that belong together the largest
// value, and which it was, as max_pool in pool.cu has it. The convolution's own result is not stored.
#pragma once

#include "gemm.cuh"

// wins reports whether v, later in the window, takes the place of best: the first of equals stays, and a NaN wins
// over numbers.
__device__ inline bool wins(float v, float best) { return v > best || v != v; }

struct Pooled {
  static constexpr int together = 4;
  Biased to; // the pooled values
  unsigned char* index;
  int positions, stride; // windows of an example; bytes of its index
  __device__ void put(int m, int n, float best, int at) const {
    const int window = m >> 2;
    to.y[(long long)window * to.N + n] = best;
    index[(long long)(window / positions) * stride + window % positions * to.N + n] = at;
  }
  __device__ void operator()(int m, int n, const float (&v)[4]) const {
    float best = to.value(n, v[0]);
    int at = 0;
#pragma unroll
    for (int r = 1; r < 4; r++)
      if (const float next = to.value(n, v[r]); wins(next, best)) {
        best = next;
        at = r;
      }
    put(m, n, best, at);
  }
  // across is called by all lanes, each with a value of one row: those of a window lie 4 lanes apart. First the
  // two of a line are compared, then both lines.
  __device__ void across(int m, int n, bool inside, float v) const {
    float best = inside ? to.value(n, v) : 0;
    int at = m & 3;
#pragma unroll
    for (int row = 1; row <= 2; row *= 2) {
      const float other = __shfl_xor_sync(~0u, best, 4 * row);
      const int place = __shfl_xor_sync(~0u, at, 4 * row);
      const bool later = m & row, stays = later == wins(later ? best : other, later ? other : best);
      best = stays ? best : other;
      at = stays ? at : place;
    }
    if (inside && (m & 3) == 0) put(m, n, best, at);
  }
};
