// Functions of one variable (device.Func) and their derivatives, one thread an element.
#include "common.cuh"

// Each function gives its value, and its derivative; slope is LeakyReLU's below 0.
struct LeakyReLU {
  __device__ static float value(float x, float slope) { return x > 0 ? x : slope * x; }
  __device__ static float derivative(float x, float slope) { return x > 0 ? 1 : slope; }
};

struct Sigmoid {
  __device__ static float value(float x, float) { return 1 / (1 + expf(-x)); }
  __device__ static float derivative(float x, float) {
    const float s = value(x, 0);
    return s * (1 - s);
  }
};

struct SiLU {
  __device__ static float value(float x, float) { return x * Sigmoid::value(x, 0); }
  __device__ static float derivative(float x, float) {
    const float s = Sigmoid::value(x, 0);
    return s * (1 + x * (1 - s));
  }
};

struct Tanh {
  __device__ static float value(float x, float) { return tanhf(x); }
  __device__ static float derivative(float x, float) {
    const float y = tanhf(x);
    return 1 - y * y;
  }
};

struct GELU {
  // below is P(N(0,1) <= x): erfc, for 1+erf would cancel below 0.
  __device__ static float below(float x) { return 0.5f * erfcf(-0.7071067811865476f * x); }
  __device__ static float value(float x, float) { return x * below(x); }
  __device__ static float derivative(float x, float) { return below(x) + x * 0.3989422804014327f * expf(-0.5f * x * x); }
};

struct ELU { // slope is its limit
  __device__ static float value(float x, float limit) { return x > 0 ? x : limit * expm1f(x); }
  __device__ static float derivative(float x, float limit) { return x > 0 ? 1 : limit * expf(x); }
};

struct Softplus {
  __device__ static float value(float x, float) { return fmaxf(x, 0) + log1pf(expf(-fabsf(x))); }
  __device__ static float derivative(float x, float) { return Sigmoid::value(x, 0); }
};

struct Reciprocal {
  __device__ static float value(float x, float) { return 1 / x; }
  __device__ static float derivative(float x, float) { return -1 / (x * x); }
};

#define ACTIVATION(name, F)                                                                                      \
  extern "C" __global__ void name(const float* x, float* y, float slope, unsigned n) {                           \
    const unsigned i = thread_index();                                                                           \
    if (i < n) y[i] = F::value(x[i], slope);                                                                     \
  }                                                                                                              \
  extern "C" __global__ void name##_grad(const float* x, const float* dy, float* dx, float slope, unsigned n) {  \
    const unsigned i = thread_index();                                                                           \
    if (i < n) dx[i] = dy[i] * F::derivative(x[i], slope);                                                       \
  }

ACTIVATION(activation_leaky_relu, LeakyReLU)
ACTIVATION(activation_gelu, GELU)
ACTIVATION(activation_silu, SiLU)
ACTIVATION(activation_sigmoid, Sigmoid)
ACTIVATION(activation_tanh, Tanh)
ACTIVATION(activation_elu, ELU)
ACTIVATION(activation_softplus, Softplus)
ACTIVATION(activation_reciprocal, Reciprocal)
