// The L1 ball inside the box (nn/kernel/projectl1.go, nn/kernel/ascent.go), one image a block.
#pragma once

#include "attack.cuh"

// project_l1 moves an image to the nearest point of the L1 ball around x inside [0,1] (Croce and Hein
// 2021, section 3.1): each difference shrinks by the same amount and is cut where it meets the box.
// The amount is found by bisection, on the side that lies within the ball.
__device__ inline void project_l1(float* adv, const float* x, int size, float eps) {
  // The norm after shrinking by some amount.
  const auto norm = [=](double shrink) {
    double sum = 0;
    for (int i = threadIdx.x; i < size; i += blockDim.x) {
      const double length = fabs((double)adv[i] - x[i]), room = adv[i] < x[i] ? x[i] : 1 - (double)x[i];
      sum += fmin(fmax(length - shrink, 0.0), room);
    }
    return block_sum(sum);
  };
  double low = 0, high = 0;
  if (norm(0) > eps) {
    double longest = 0; // the sum of all lengths is one that suffices
    for (int i = threadIdx.x; i < size; i += blockDim.x) longest += fabs((double)adv[i] - x[i]);
    high = block_sum(longest);
    for (int round = 0; round < 48; round++) {
      const double middle = (low + high) / 2;
      (norm(middle) > eps ? low : high) = middle;
    }
  }
  for (int i = threadIdx.x; i < size; i += blockDim.x) {
    const double difference = (double)adv[i] - x[i], room = difference < 0 ? x[i] : 1 - (double)x[i];
    const double move = fmin(fmax(fabs(difference) - high, 0.0), room);
    adv[i] = clamp((float)(x[i] + (difference < 0 ? -move : move)), 0, 1);
  }
}

// open_size is the size of a gradient's entry, or 0 where the box blocks the way.
__device__ inline float open_size(float v, float g) {
  if (g > 0 && v < 1) return g;
  if (g < 0 && v > 0) return -g;
  return 0;
}

// slide moves an image by step, in L1, along the signs of the `most` largest entries of its gradient that
// the box does not block; of equal entries at the limit all move.
__device__ inline void slide(float* adv, const float* grad, int size, float step, int most) {
  const auto at_least = [=](unsigned limit) { // how many sizes; their order is that of their bits
    double count = 0;
    for (int i = threadIdx.x; i < size; i += blockDim.x) count += __float_as_uint(open_size(adv[i], grad[i])) >= limit;
    return block_sum(count);
  };
  unsigned limit = 0;
  for (unsigned bit = 1u << 30; bit > 0; bit >>= 1)
    if (at_least(limit | bit) >= most) limit |= bit;
  limit = max(limit, 1u); // zeros never move
  const double length = step / at_least(limit);
  for (int i = threadIdx.x; i < size; i += blockDim.x)
    if (__float_as_uint(open_size(adv[i], grad[i])) >= limit) adv[i] += (float)(grad[i] < 0 ? -length : length);
}
