// The state of an attack in progress (device.Loop), a block a row.
#pragma once

#include "common.cuh"

// State of one row.
struct State {
  float value; // of the best iterate
  int found;   // whether the best iterate succeeds
  int tau;     // how many iterates that succeed early stop still lets pass
  int done;    // ended by early stop
  int forwards, gradients, zero, nonfinite; // device.Counts
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

__device__ inline void reset(State* state, int tau) {
  if (threadIdx.x == 0) *state = State{-INFINITY, 0, tau, 0, 0, 0, 0, 0};
}
