// Convolutions of [rows,H,W,C] in groups of few channels, depthwise above all, with weights [KH,KW,C/groups,out]:
// no matrix products, which would be narrow, but each sum by a thread of its own. Neighbours in a warp are
// neighbours in channels, which are contiguous. group_gemm.cu sees to groups of many channels.
#include "common.cuh"

constexpr int strip = 4; // neighbours along a line that a thread computes, so that it reads a weight once for all

// Strip is a thread's place in a result [rows,height,width,channels]: its first element.
struct Strip {
  int row, y, x, c;
};

__device__ inline Strip strip_of(unsigned i, int height, int width, int channels) {
  const int strips = (width + strip - 1) / strip, c = i % channels, s = i / channels;
  return {s / strips / height, s / strips % height, s % strips * strip, c};
}

// n counts threads, one for each strip and channel.
extern "C" __global__ void group_conv(const float* x, const float* weights, const float* bias, float* y, Window w, int out, int groups, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  const Strip o = strip_of(i, w.outH, w.outW, out);
  const int in = w.C / groups, top = o.y * w.stride - w.top, left = o.x * w.stride - w.left;
  const float* image = x + (long long)o.row * w.H * w.W * w.C + o.c / (out / groups) * in;
  float sum[strip] = {};
  for (int ky = max(0, -top); ky < min(w.KH, w.H - top); ky++)
    for (int kx = 0; kx < w.KW; kx++)
      for (int c = 0; c < in; c++) {
        const float f = weights[((ky * w.KW + kx) * in + c) * out + o.c];
#pragma unroll
        for (int j = 0; j < strip; j++) {
          const int px = left + kx + j * w.stride;
          if ((unsigned)px < w.W) sum[j] = fmaf(image[((top + ky) * w.W + px) * w.C + c], f, sum[j]);
        }
      }
  const float b = bias[o.c];
  float* line = y + (((long long)o.row * w.outH + o.y) * w.outW + o.x) * out + o.c;
#pragma unroll
  for (int j = 0; j < strip; j++)
    if (o.x + j < w.outW) line[j * out] = sum[j] + b;
}

// reached is the output that position p (padding added) and tap k meet along one axis, -1 where there is none.
__device__ inline int reached(int p, int k, int stride, int outputs) {
  const int o = p - k;
  if (o < 0 || o % stride) return -1;
  return o / stride < outputs ? o / stride : -1;
}

extern "C" __global__ void group_conv_input_grad(const float* weights, const float* dy, float* dx, Window w, int out, int groups, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  const Strip o = strip_of(i, w.H, w.W, w.C);
  const int in = w.C / groups, width = out / groups, first = o.c / in * width;
  const float* grad = dy + (long long)o.row * w.outH * w.outW * out + first;
  float sum[strip] = {};
  for (int ky = 0; ky < w.KH; ky++) {
    const int oy = reached(o.y + w.top, ky, w.stride, w.outH);
    if (oy < 0) continue;
    for (int kx = 0; kx < w.KW; kx++) {
      const float* tap = weights + ((long long)(ky * w.KW + kx) * in + o.c % in) * out + first;
      int at[strip];
#pragma unroll
      for (int j = 0; j < strip; j++) at[j] = reached(o.x + j + w.left, kx, w.stride, w.outW);
      for (int c = 0; c < width; c++) {
        const float f = tap[c];
#pragma unroll
        for (int j = 0; j < strip; j++)
          if (at[j] >= 0) sum[j] = fmaf(grad[(oy * w.outW + at[j]) * out + c], f, sum[j]);
      }
    }
  }
  float* line = dx + (((long long)o.row * w.H + o.y) * w.W + o.x) * w.C + o.c;
#pragma unroll
  for (int j = 0; j < strip; j++)
    if (o.x + j < w.W) line[j * w.C] = sum[j];
}

constexpr int lines = 8; // of 32 channels in a block
constexpr int taps = 9;  // weights of a channel that a thread sums: all of a depthwise 3x3

// group_conv_weight_grad sums over a chunk of the rows*outH*outW positions into parts
// [chunks,KH*KW*C/groups,out]: blocks are 32 output channels, a chunk, and some of a channel's weights.
extern "C" __global__ void __launch_bounds__(32 * lines)
    group_conv_weight_grad(const float* x, const float* dy, float* parts, Window w, int out, int groups, int rows, int chunk) {
  __shared__ float part[lines][taps][32];
  const int lane = threadIdx.x % 32, line = threadIdx.x / 32, o = blockIdx.x * 32 + lane;
  const int in = w.C / groups, count = w.KH * w.KW * in, first = blockIdx.z * taps, positions = w.outH * w.outW;
  int ky[taps], kx[taps], at[taps];
#pragma unroll
  for (int t = 0; t < taps; t++) {
    const int k = min(first + t, count - 1), tap = k / in;
    ky[t] = tap / w.KW - w.top;
    kx[t] = tap % w.KW - w.left;
    at[t] = (ky[t] * w.W + kx[t]) * w.C + o / (out / groups) * in + k % in;
  }
  float sum[taps] = {};
  if (o < out)
    for (int p = blockIdx.y * chunk + line; p < min((int)(blockIdx.y + 1) * chunk, rows * positions); p += lines) {
      const int place = p % positions, top = place / w.outW * w.stride, left = place % w.outW * w.stride;
      const float* corner = x + ((long long)(p / positions) * w.H * w.W + top * w.W + left) * w.C;
      const float d = dy[(long long)p * out + o];
#pragma unroll
      for (int t = 0; t < taps; t++)
        if ((unsigned)(top + ky[t]) < w.H && (unsigned)(left + kx[t]) < w.W) sum[t] = fmaf(corner[at[t]], d, sum[t]);
    }
#pragma unroll
  for (int t = 0; t < taps; t++) part[line][t][lane] = sum[t];
  __syncthreads();
  for (int t = line; t < taps; t += lines) {
    if (first + t >= count || o >= out) continue;
    float total = 0;
    for (int l = 0; l < lines; l++) total += part[l][t][lane];
    parts[((long long)blockIdx.y * count + first + t) * out + o] = total;
  }
}
