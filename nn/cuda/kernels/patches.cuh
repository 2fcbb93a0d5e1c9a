// A convolution's operands, as matrices that are read where they lie: where(row, column) is the address
// of an element, null for a zero that lies nowhere; offset counts from the example, -1 for such a zero.
#pragma once

#include "common.cuh"

// Place is the corner of a patch: the example's first element, and its line and column in the image.
struct Place {
  const float* example;
  int y, x;
  __device__ const float* where(int offset) const { return offset < 0 ? nullptr : example + offset; }
  __device__ float value(int offset) const { return offset < 0 ? 0 : example[offset]; }
};

// Tap is an element of a patch: line, column, channel.
struct Tap {
  int y, x, c;
};

// Patches is the matrix of patches: a row for each output position, a column for each tap (ky,kx,c).
struct Patches {
  const float* x;
  Window w;
  using Row = Place;
  using Column = Tap;
  __device__ Row at(int m) const {
    const int position = m % (w.outH * w.outW), example = m / (w.outH * w.outW);
    return corner(example, position / w.outW, position % w.outW);
  }
  __device__ Row corner(int example, int y, int x0) const {
    return {x + (long long)example * w.H * w.W * w.C, y * w.stride - w.top, x0 * w.stride - w.left};
  }
  __device__ Column column(int k) const {
    const int tap = k / w.C;
    return {tap / w.KW, tap % w.KW, k % w.C};
  }
  __device__ int offset(const Row& r, const Column& k) const {
    const int y = r.y + k.y, x = r.x + k.x;
    if ((unsigned)y >= w.H || (unsigned)x >= w.W) return -1;
    return (y * w.W + x) * w.C + k.c;
  }
  __device__ const float* where(const Row& r, const Column& k) const { return r.where(offset(r, k)); }
  __device__ float operator()(const Row& r, const Column& k) const { return r.value(offset(r, k)); }
};

// PooledPatches is Patches in the order of a pooling of 2x2: four rows for each window, line by line. Positions
// that no window covers are left out.
struct PooledPatches {
  Patches all;
  using Row = Place;
  using Column = Tap;
  __device__ Row at(int m) const {
    const int outH = all.w.outH / 2, outW = all.w.outW / 2, window = m >> 2, position = window % (outH * outW);
    return all.corner(window / (outH * outW), position / outW * 2 + (m >> 1 & 1), position % outW * 2 + (m & 1));
  }
  __device__ Column column(int k) const { return all.column(k); }
  __device__ const float* where(const Row& r, const Column& k) const { return all.where(r, k); }
  __device__ float operator()(const Row& r, const Column& k) const { return all(r, k); }
};

// Reached is the matrix of output gradients that an input position reaches: a row for each input
// position, a column for each (ky,kx,out).
struct Reached {
  const float* dy;
  Window w;
  int out;
  using Row = Place;
  using Column = Tap;
  __device__ Row at(int m) const {
    const int position = m % (w.H * w.W), example = m / (w.H * w.W);
    return {dy + (long long)example * w.outH * w.outW * out, position / w.W + w.top, position % w.W + w.left};
  }
  __device__ Column column(int k) const {
    const int tap = k / out;
    return {tap / w.KW, tap % w.KW, k % out};
  }
  __device__ int offset(const Row& r, const Column& k) const {
    int y = r.y - k.y, x = r.x - k.x;
    if (y < 0 || x < 0) return -1;
    if (w.stride > 1) {
      if (y % w.stride || x % w.stride) return -1;
      y /= w.stride;
      x /= w.stride;
    }
    if (y >= w.outH || x >= w.outW) return -1;
    return (y * w.outW + x) * out + k.c;
  }
  __device__ const float* where(const Row& r, const Column& k) const { return r.where(offset(r, k)); }
  __device__ float operator()(const Row& r, const Column& k) const { return r.value(offset(r, k)); }
};

// Turned is the weights as [(ky,kx,out), C].
struct Turned {
  const float* weights;
  int C, out;
  using Row = const float*;
  using Column = int;
  __device__ Row at(int c) const { return weights + c * out; }
  __device__ Column column(int k) const { return k / out * C * out + k % out; }
  __device__ const float* where(Row row, Column k) const { return row + k; }
  __device__ float operator()(int k, int c) const { return weights[(k / out * C + c) * out + k % out]; }
};

// Transposed is Patches with rows and columns exchanged: a row for each tap, a column for each position.
struct Transposed {
  Patches p;
  using Row = Tap;
  using Column = Place;
  __device__ Row at(int m) const { return p.column(m); }
  __device__ Column column(int k) const { return p.at(k); }
  __device__ const float* where(const Row& tap, const Column& place) const { return p.where(place, tap); }
  __device__ float operator()(const Row& tap, const Column& place) const { return p(place, tap); }
};
