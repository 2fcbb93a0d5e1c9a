// Convolutions of [rows,H,W,C] with weights [KH,KW,C,Out], as matrix products over patches that
// are read in place (implicit GEMM).
#include "common.cuh"
#include "gemm.cuh"

// Place is the corner of a patch: the example's first element, and its line and column in the image.
struct Place {
  const float* example;
  int y, x;
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
    return {x + (long long)example * w.H * w.W * w.C, position / w.outW * w.stride - w.top, position % w.outW * w.stride - w.left};
  }
  __device__ Column column(int k) const {
    const int tap = k / w.C;
    return {tap / w.KW, tap % w.KW, k % w.C};
  }
  __device__ float operator()(const Row& r, const Column& k) const {
    const int y = r.y + k.y, x = r.x + k.x;
    if ((unsigned)y >= w.H || (unsigned)x >= w.W) return 0;
    return r.example[(y * w.W + x) * w.C + k.c];
  }
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
  __device__ float operator()(const Row& r, const Column& k) const {
    int y = r.y - k.y, x = r.x - k.x;
    if (y < 0 || x < 0) return 0;
    if (w.stride > 1) {
      if (y % w.stride || x % w.stride) return 0;
      y /= w.stride;
      x /= w.stride;
    }
    if (y >= w.outH || x >= w.outW) return 0;
    return r.example[(y * w.outW + x) * out + k.c];
  }
};

// Turned is the weights as [(ky,kx,out), C].
struct Turned {
  const float* weights;
  int C, out;
  __device__ float operator()(int k, int c) const { return weights[(k / out * C + c) * out + k % out]; }
};

// Transposed is Patches with rows and columns exchanged: a row for each tap, a column for each position.
struct Transposed {
  Patches p;
  using Row = Tap;
  using Column = Place;
  __device__ Row at(int m) const { return p.column(m); }
  __device__ Column column(int k) const { return p.at(k); }
  __device__ float operator()(const Row& tap, const Column& place) const { return p(place, tap); }
};

template <class T>
__device__ void forward(const float* x, const float* weights, const float* bias, float* y, Window w, int out, int rows, int relu) {
  const int K = w.KH * w.KW * w.C;
  gemm<T, false>(rows * w.outH * w.outW, out, 0, K, Patches{x, w}, Right{weights, out, 1}, Biased{y, bias, out, relu});
}

template <class T>
__device__ void input_grad(const float* weights, const float* dy, float* dx, Window w, int out, int rows) {
  gemm<T, true>(rows * w.H * w.W, w.C, 0, w.KH * w.KW * out, Reached{dy, w, out}, Turned{weights, w.C, out}, Plain{dx, w.C});
}

// weight_grad leaves the sum over the chunk blockIdx.z of positions in parts; add_parts adds them.
template <class T>
__device__ void weight_grad(const float* x, const float* dy, float* parts, Window w, int out, int rows, int chunk) {
  const int M = w.KH * w.KW * w.C, K = rows * w.outH * w.outW, first = blockIdx.z * chunk;
  gemm<T, false>(M, out, first, min(first + chunk, K), Transposed{Patches{x, w}}, Right{dy, out, 1},
                 Plain{parts + (long long)blockIdx.z * M * out, out});
}

extern "C" {

__global__ void __launch_bounds__(Large::threads) conv(const float* x, const float* weights, const float* bias, float* y, Window w, int out, int rows, int relu) {
  forward<Large>(x, weights, bias, y, w, out, rows, relu);
}

__global__ void __launch_bounds__(Small::threads) conv_small(const float* x, const float* weights, const float* bias, float* y, Window w, int out, int rows, int relu) {
  forward<Small>(x, weights, bias, y, w, out, rows, relu);
}

__global__ void __launch_bounds__(Large::threads) conv_input_grad(const float* weights, const float* dy, float* dx, Window w, int out, int rows) {
  input_grad<Large>(weights, dy, dx, w, out, rows);
}

__global__ void __launch_bounds__(Small::threads) conv_input_grad_small(const float* weights, const float* dy, float* dx, Window w, int out, int rows) {
  input_grad<Small>(weights, dy, dx, w, out, rows);
}

__global__ void __launch_bounds__(Narrow::threads) conv_input_grad_narrow(const float* weights, const float* dy, float* dx, Window w, int out, int rows) {
  input_grad<Narrow>(weights, dy, dx, w, out, rows);
}

__global__ void __launch_bounds__(Large::threads) conv_weight_grad(const float* x, const float* dy, float* parts, Window w, int out, int rows, int chunk) {
  weight_grad<Large>(x, dy, parts, w, out, rows, chunk);
}

__global__ void __launch_bounds__(Small::threads) conv_weight_grad_small(const float* x, const float* dy, float* parts, Window w, int out, int rows, int chunk) {
  weight_grad<Small>(x, dy, parts, w, out, rows, chunk);
}

} // extern "C"
