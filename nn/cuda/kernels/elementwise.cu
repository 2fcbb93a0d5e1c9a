// One thread an element.
#include "common.cuh"
#include "philox.cuh"

extern "C" {

__global__ void relu(const float* x, float* y, unsigned n) {
  const unsigned i = thread_index();
  if (i < n) y[i] = x[i] < 0 ? 0 : x[i]; // a NaN stays
}

__global__ void relu_grad(const float* y, const float* dy, float* dx, unsigned n) {
  const unsigned i = thread_index();
  if (i < n) dx[i] = y[i] > 0 ? dy[i] : 0;
}

__global__ void add(const float* a, const float* b, float* y, unsigned n) {
  const unsigned i = thread_index();
  if (i < n) y[i] = a[i] + b[i];
}

// mul multiplies rows of size values of a by channels values of b, which repeat along the row.
__global__ void mul(const float* a, const float* b, float* y, int size, int channels, unsigned n) {
  const unsigned i = thread_index();
  if (i < n) y[i] = a[i] * b[i / size * channels + i % size % channels];
}

__global__ void scale(const float* x, float* y, float factor, unsigned n) {
  const unsigned i = thread_index();
  if (i < n) y[i] = factor * x[i];
}

// affine computes y = x*scale + shift by channel; coefficients holds the scales, then the shifts.
__global__ void affine(const float* x, float* y, const float* coefficients, int channels, unsigned n) {
  const unsigned i = thread_index();
  if (i < n) y[i] = x[i] * coefficients[i % channels] + coefficients[channels + i % channels];
}

// dropout multiplies by the mask of device.DropoutMask, and so does its gradient; first is the first row's number.
// The key, another for each step, lies in memory, so that a graph of the step serves the next one, too.
__global__ void dropout(const float* x, float* y, int size, float rate, unsigned layer, const unsigned* key, unsigned first, unsigned n) {
  const unsigned i = thread_index();
  if (i >= n) return;
  const unsigned row = first + i / size, element = i % size;
  const Words words = philox(key[0], key[1], row, layer, 0, element / 4);
  const unsigned word = element & 2 ? (element & 1 ? words.w[3] : words.w[2]) : (element & 1 ? words.w[1] : words.w[0]);
  y[i] = uniform(word, 0, 1) >= rate ? x[i] * (1 / (1 - rate)) : 0 * x[i];
}

} // extern "C"
