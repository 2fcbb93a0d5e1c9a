// Convolutions in groups of many channels: a matrix product for each group, as conv.cu has one for all. In
// the grid z counts groups. in and out are the channels of one group.
#include "gemm.cuh"
#include "patches.cuh"

// GroupPatches is Patches of the input channels of one group.
struct GroupPatches {
  Patches all;
  int in, group;
  using Row = Place;
  using Column = Tap;
  __device__ Row at(int m) const { return all.at(m); }
  __device__ Column column(int k) const {
    const int tap = k / in;
    return {tap / all.w.KW, tap % all.w.KW, group * in + k % in};
  }
  __device__ float operator()(const Row& r, const Column& k) const { return all(r, k); }
};

// GroupTransposed is GroupPatches with rows and columns exchanged.
struct GroupTransposed {
  GroupPatches p;
  using Row = Tap;
  using Column = Place;
  __device__ Row at(int m) const { return p.column(m); }
  __device__ Column column(int k) const { return p.at(k); }
  __device__ float operator()(const Row& tap, const Column& place) const { return p(place, tap); }
};

// GroupReached is Reached by the output channels of one group.
struct GroupReached {
  Reached all;
  int out, group;
  using Row = Place;
  using Column = Tap;
  __device__ Row at(int m) const { return all.at(m); }
  __device__ Column column(int k) const {
    const int tap = k / out;
    return {tap / all.w.KW, tap % all.w.KW, group * out + k % out};
  }
  __device__ float operator()(const Row& r, const Column& k) const { return all(r, k); }
};

// GroupTurned is the weights of one group as [(ky,kx,out), in]; channels are the outputs of all groups.
struct GroupTurned {
  const float* weights; // the group's first
  int in, out, channels;
  __device__ float operator()(int k, int c) const { return weights[(k / out * in + c) * channels + k % out]; }
};

template <class T>
__device__ void forward(const float* x, const float* weights, const float* bias, float* y, Window w, int channels, int groups, int rows) {
  const int group = blockIdx.z, in = w.C / groups, out = channels / groups;
  gemm<T, false>(rows * w.outH * w.outW, out, 0, w.KH * w.KW * in, GroupPatches{{x, w}, in, group},
                 Right{weights + group * out, channels, 1}, Biased{y + group * out, bias + group * out, channels, 0});
}

template <class T>
__device__ void input_grad(const float* weights, const float* dy, float* dx, Window w, int channels, int groups, int rows) {
  const int group = blockIdx.z, in = w.C / groups, out = channels / groups;
  gemm<T, true>(rows * w.H * w.W, in, 0, w.KH * w.KW * out, GroupReached{{dy, w, channels}, out, group},
                GroupTurned{weights + group * out, in, out, channels}, Plain{dx + group * in, w.C});
}

// weight_grad leaves the sum over a chunk of positions in parts; add_parts adds them. z counts groups of chunks.
template <class T>
__device__ void weight_grad(const float* x, const float* dy, float* parts, Window w, int channels, int groups, int rows, int chunk) {
  const int group = blockIdx.z % groups, part = blockIdx.z / groups, in = w.C / groups, out = channels / groups;
  const int M = w.KH * w.KW * in, K = rows * w.outH * w.outW, first = part * chunk;
  gemm<T, false>(M, out, first, min(first + chunk, K), GroupTransposed{{{x, w}, in, group}}, Right{dy + group * out, channels, 1},
                 Plain{parts + (long long)part * M * channels + group * out, channels});
}

#define GROUP_GEMM(ending, T)                                                                                                              \
  extern "C" __global__ void __launch_bounds__(T::threads)                                                                                 \
      group_gemm##ending(const float* x, const float* weights, const float* bias, float* y, Window w, int out, int groups, int rows) {     \
    forward<T>(x, weights, bias, y, w, out, groups, rows);                                                                                 \
  }                                                                                                                                        \
  extern "C" __global__ void __launch_bounds__(T::threads)                                                                                 \
      group_gemm_input_grad##ending(const float* weights, const float* dy, float* dx, Window w, int out, int groups, int rows) {           \
    input_grad<T>(weights, dy, dx, w, out, groups, rows);                                                                                  \
  }                                                                                                                                        \
  extern "C" __global__ void __launch_bounds__(T::threads)                                                                                 \
      group_gemm_weight_grad##ending(const float* x, const float* dy, float* parts, Window w, int out, int groups, int rows, int chunk) {  \
    weight_grad<T>(x, dy, parts, w, out, groups, rows, chunk);                                                                             \
  }

GROUP_GEMM(, Large)
GROUP_GEMM(_small, Small)
