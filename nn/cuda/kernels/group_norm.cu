// Normalisation of [blocks,positions,channels] by statistics of its own (device.GroupNorm): those of one of
// the groups of the channels of one block, a part. Statistics are in double precision and take two passes.
#include "columns.cuh"

// Norm says how parts lie: runs of width values, channels apart.
struct Norm {
  int positions, channels, groups;
  float epsilon;
};

// Warp and Block are the threads that work on a part: a warp where it is small.
struct Warp {
  static constexpr int threads = 32;
  __device__ static int part() { return thread_index() / 32; }
  __device__ static double sum(double v) { return warp_sum(v); }
};

struct Block {
  static constexpr int threads = 256;
  __device__ static int part() { return blockIdx.x; }
  __device__ static double sum(double v) { return block_sum(v); }
};

// Part is where a part lies, and its statistics.
struct Part {
  long long from; // of its first value
  int first, width, size, channels;
  double mean, inverse; // 1/std
  double share;         // 1/size
  __device__ int channel(int i) const { return first + i % width; }
  __device__ long long at(int i) const { return from + (long long)(i / width) * channels + i % width; }
  __device__ double normal(float x) const { return ((double)x - mean) * inverse; }
};

template <class Team>
__device__ Part measure(const float* x, Norm g, int part) {
  Part p;
  p.width = g.channels / g.groups;
  p.first = part % g.groups * p.width;
  p.size = p.width * g.positions;
  p.channels = g.channels;
  p.share = 1.0 / p.size;
  p.from = (long long)(part / g.groups) * g.positions * g.channels + p.first;
  const int thread = threadIdx.x % Team::threads;
  double sum = 0, squares = 0;
  for (int i = thread; i < p.size; i += Team::threads) sum += x[p.at(i)];
  p.mean = Team::sum(sum) * p.share;
  for (int i = thread; i < p.size; i += Team::threads) {
    const double d = x[p.at(i)] - p.mean;
    squares += d * d;
  }
  p.inverse = 1 / sqrt(Team::sum(squares) * p.share + (double)g.epsilon);
  return p;
}

template <class Team>
__device__ void forward(const float* x, const float* gamma, const float* beta, float* y, Norm g, int parts) {
  if (Team::part() >= parts) return; // a whole team
  const Part p = measure<Team>(x, g, Team::part());
  for (int i = threadIdx.x % Team::threads; i < p.size; i += Team::threads) {
    const int c = p.channel(i);
    y[p.at(i)] = (float)p.normal(x[p.at(i)]) * gamma[c] + beta[c];
  }
}

// With n the normalised x and d = dy*gamma, dx = (d - mean(d) - n*mean(d*n)) / std (Ioffe and Szegedy 2015,
// section 3, for other sets of values).
template <class Team>
__device__ void input_grad(const float* x, const float* gamma, const float* dy, float* dx, Norm g, int parts) {
  if (Team::part() >= parts) return;
  const Part p = measure<Team>(x, g, Team::part());
  const int thread = threadIdx.x % Team::threads;
  double sum = 0, dot = 0;
  for (int i = thread; i < p.size; i += Team::threads) {
    const long long at = p.at(i);
    const double d = (double)dy[at] * gamma[p.channel(i)];
    sum += d;
    dot += d * p.normal(x[at]);
  }
  sum = Team::sum(sum) * p.share;
  dot = Team::sum(dot) * p.share;
  for (int i = thread; i < p.size; i += Team::threads) {
    const long long at = p.at(i);
    dx[at] = (float)(p.inverse * ((double)dy[at] * gamma[p.channel(i)] - sum - p.normal(x[at]) * dot));
  }
}

// stats leaves mean and 1/std of each part for group_norm_gamma_sums.
template <class Team>
__device__ void statistics(const float* x, double2* stats, Norm g, int parts) {
  if (Team::part() >= parts) return;
  const Part p = measure<Team>(x, g, Team::part());
  if (threadIdx.x % Team::threads == 0) stats[Team::part()] = make_double2(p.mean, p.inverse);
}

// Four blocks at a time leave registers enough that nothing spills.
#define GROUP_NORM(ending, Team)                                                                                                      \
  extern "C" __global__ void __launch_bounds__(256, 4)                                                                                \
      group_norm##ending(const float* x, const float* gamma, const float* beta, float* y, Norm g, int parts) {                        \
    forward<Team>(x, gamma, beta, y, g, parts);                                                                                       \
  }                                                                                                                                   \
  extern "C" __global__ void __launch_bounds__(256, 4)                                                                                \
      group_norm_input_grad##ending(const float* x, const float* gamma, const float* dy, float* dx, Norm g, int parts) {              \
    input_grad<Team>(x, gamma, dy, dx, g, parts);                                                                                     \
  }                                                                                                                                   \
  extern "C" __global__ void __launch_bounds__(256, 4) group_norm_stats##ending(const float* x, double2* stats, Norm g, int parts) {  \
    statistics<Team>(x, stats, g, parts);                                                                                             \
  }

GROUP_NORM(, Block)
GROUP_NORM(_warp, Warp)

// group_norm_gamma_sums: sums of dy times the normalised x over a chunk of positions of all blocks.
extern "C" __global__ void __launch_bounds__(32 * lines)
    group_norm_gamma_sums(const float* x, const float* dy, const double2* stats, float* parts, Norm g, int n, int chunk) {
  const int width = g.channels / g.groups;
  sum_columns(parts, n, g.channels, chunk, [=](int p, int c) {
    const double2 s = stats[p / g.positions * g.groups + c / width];
    const long long i = (long long)p * g.channels + c;
    return (double)dy[i] * ((double)x[i] - s.x) * s.y;
  });
}
