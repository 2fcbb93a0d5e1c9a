// Random starts of attacks: a point of the ball around the clean example, clipped to [0,1] (the
// formulas are nn/kernel/ascent.go's). A block a row.
#include "l1.cuh"
#include "philox.cuh"

// Draw is a row's place in the random numbers, and where it starts from.
struct Draw {
  unsigned k0, k1, example, restart;
  int size;

  // each calls f(element, words of its block, place in the block) for this thread's share of the row.
  template <class F>
  __device__ void each(const F& f) const {
    for (int block = threadIdx.x; block * 4 < size; block += blockDim.x) {
      const Words words = philox(k0, k1, example, restart, 0, block);
#pragma unroll
      for (int j = 0; j < 4; j++)
        if (block * 4 + j < size) f(block * 4 + j, words, j);
    }
  }

  // unit is uniform in [0,1), once a row.
  __device__ double unit() const { return uniform(philox(k0, k1, example, restart, 1, 0).w[0], 0, 1); }
};

enum Norm { linf, l2, l1 };

// start draws moves into adv, scales them, and adds them to the clean example.
template <Norm norm, bool gaussian>
__device__ void start(const float* clean, float* adv, float* best, State* state, const Draw& draw, float eps, float std) {
  double sum = 0; // of squares, or of exponentials
  draw.each([&](int i, const Words& words, int j) {
    best[i] = clean[i];
    if (gaussian || norm == l2) {
      adv[i] = (float)((gaussian ? (double)std : 1.0) * normal(words, j));
      sum += (double)adv[i] * adv[i];
    } else if (norm == linf) {
      adv[i] = uniform(words.w[j], -eps, eps);
    } else { // exponentials over a sum of one more are uniform in a corner of the simplex
      const float u = uniform(words.w[j], -1, 1);
      const double e = -log(fmax(fabs((double)u), 0x1p-25));
      sum += e;
      adv[i] = (float)(u < 0 ? -e : e);
    }
  });
  double factor = 1;
  if (norm == l2) {
    const double length = sqrt(block_sum(sum));
    if (!gaussian) {
      const double u = draw.unit(); // the radius of a uniform point of a ball is eps*u^(1/size)
      factor = u > 0 ? eps * exp(log(u) / draw.size) / length : 0;
    } else if (length > eps) factor = eps / length;
  } else if (norm == l1 && !gaussian) {
    factor = eps / (block_sum(sum) - log(1 - draw.unit()));
  }
  draw.each([&](int i, const Words&, int) {
    const float x = clean[i], move = factor == 1 ? adv[i] : (float)(adv[i] * factor);
    const float v = clamp(x + move, 0, 1);
    // A normal draw may leave the cube, and rounding of the sum by a unit in the last place.
    adv[i] = norm == linf ? clamp(v, x - eps, x + eps) : v;
  });
  if (norm == l1 && gaussian) {
    __syncthreads(); // draws come in fours, the projection takes pixels one by one
    project_l1(adv, clean, draw.size, eps);
  }
}

#define START(name, norm, gaussian)                                                                                             \
  extern "C" __global__ void name(const float* clean, float* adv, float* best, State* state, int size, float eps, float std,    \
                                  unsigned k0, unsigned k1, const unsigned* example, unsigned restart, int tau) {               \
    const long long at = (long long)blockIdx.x * size;                                                                          \
    reset(state + blockIdx.x, tau);                                                                                             \
    start<norm, gaussian>(clean + at, adv + at, best + at, state, Draw{k0, k1, example[blockIdx.x], restart, size}, eps, std);  \
  }

START(attack_start_linf, linf, false)
START(attack_start_l2, l2, false)
START(attack_start_l1, l1, false)
START(attack_start_normal_linf, linf, true)
START(attack_start_normal_l2, l2, true)
START(attack_start_normal_l1, l1, true)
