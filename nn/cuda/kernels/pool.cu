// Pooling, one thread an element of the result. Sums run over windows in ascending order.
#include "common.cuh"

// Cell is an element of a [rows,H,W,C] array.
struct Cell {
  int row, y, x, c;
};

__device__ inline Cell cell(unsigned i, int height, int width, int channels) {
  const int c = i % channels, p = i / channels;
  return {p / width / height, p / width % height, p % width, c};
}

// first and last: the windows along one axis that cover position p (padding added), stride apart and k wide.
__device__ inline int first(int p, int k, int stride) { return p < k ? 0 : (p - k) / stride + 1; }
__device__ inline int last(int p, int stride, int windows) { return min(p / stride, windows - 1); }

extern "C" {

// index says which element of the window, counted line by line, is the largest: the first of
// equals; a NaN wins over numbers; padding never wins. Each row of index takes stride bytes.
__global__ void max_pool(const float* x, float* y, unsigned char* index, Window w, int stride, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  const Cell o = cell(i, w.outH, w.outW, w.C);
  const int top = o.y * w.stride - w.top, left = o.x * w.stride - w.left;
  const float* image = x + (long long)o.row * w.H * w.W * w.C + o.c;
  float best = -INFINITY;
  int at = max(0, -top) * w.KW + max(0, -left);
  for (int ky = max(0, -top); ky < min(w.KH, w.H - top); ky++)
    for (int kx = max(0, -left); kx < min(w.KW, w.W - left); kx++) {
      const float v = image[((top + ky) * w.W + left + kx) * w.C];
      if (v > best || v != v) {
        best = v;
        at = ky * w.KW + kx;
      }
    }
  y[i] = best;
  index[(long long)o.row * stride + (o.y * w.outW + o.x) * w.C + o.c] = at;
}

__global__ void max_pool_grad(const unsigned char* index, const float* dy, float* dx, Window w, int stride, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  const Cell o = cell(i, w.H, w.W, w.C);
  const int py = o.y + w.top, px = o.x + w.left;
  const unsigned char* won = index + (long long)o.row * stride;
  const float* grad = dy + (long long)o.row * w.outH * w.outW * w.C;
  float sum = 0;
  for (int oy = first(py, w.KH, w.stride); oy <= last(py, w.stride, w.outH); oy++)
    for (int ox = first(px, w.KW, w.stride); ox <= last(px, w.stride, w.outW); ox++) {
      const int at = (oy * w.outW + ox) * w.C + o.c;
      if (won[at] == (py - oy * w.stride) * w.KW + px - ox * w.stride) sum += grad[at];
    }
  dx[i] = sum;
}

__global__ void avg_pool(const float* x, float* y, Window w, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  const Cell o = cell(i, w.outH, w.outW, w.C);
  const int top = o.y * w.stride - w.top, left = o.x * w.stride - w.left;
  const float* image = x + (long long)o.row * w.H * w.W * w.C + o.c;
  float sum = 0;
  for (int ky = max(0, -top); ky < min(w.KH, w.H - top); ky++)
    for (int kx = max(0, -left); kx < min(w.KW, w.W - left); kx++) sum += image[((top + ky) * w.W + left + kx) * w.C];
  y[i] = sum * (1.0f / (w.KH * w.KW));
}

__global__ void avg_pool_grad(const float* dy, float* dx, Window w, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  const Cell o = cell(i, w.H, w.W, w.C);
  const int py = o.y + w.top, px = o.x + w.left;
  const float* grad = dy + (long long)o.row * w.outH * w.outW * w.C;
  float sum = 0;
  for (int oy = first(py, w.KH, w.stride); oy <= last(py, w.stride, w.outH); oy++)
    for (int ox = first(px, w.KW, w.stride); ox <= last(px, w.stride, w.outW); ox++) sum += grad[(oy * w.outW + ox) * w.C + o.c];
  dx[i] = sum * (1.0f / (w.KH * w.KW));
}

} // extern "C"
