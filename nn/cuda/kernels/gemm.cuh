// Matrix products C[M,N] = A[M,K] B[K,N] whose operands are functions: a convolution reads its
// patches where they lie, without a copy. Each element is one sum over k in ascending order,
// whatever the tile, so that its bits depend on neither the tile nor the other rows.
#pragma once

// Tile is the part of C that a block computes, BM x BN in steps of BK along k; each thread keeps
// TM x TN elements in registers.
template <int M, int N, int K, int PerM, int PerN>
struct Tile {
  static constexpr int BM = M, BN = N, BK = K, TM = PerM, TN = PerN;
  static constexpr int threads = M / PerM * (N / PerN);
};

using Large = Tile<64, 64, 16, 8, 4>; // 128 threads
using Small = Tile<32, 16, 16, 4, 2>; // 64 threads: for products too small to fill the device
using Narrow = Tile<64, 4, 16, 1, 4>; // 64 threads: for the few channels of images

// load reads neighbours in shared memory, as few wide words.
template <int N>
__device__ inline void load(float (&x)[N], const float* from) {
  if constexpr (N % 4 == 0) {
#pragma unroll
    for (int i = 0; i < N; i += 4) {
      const float4 v = *(const float4*)(from + i);
      x[i] = v.x, x[i + 1] = v.y, x[i + 2] = v.z, x[i + 3] = v.w;
    }
  } else if constexpr (N == 1) {
    x[0] = *from;
  } else {
    static_assert(N == 2, "tiles keep 1, 2 or a multiple of 4 elements along an axis");
    const float2 v = *(const float2*)from;
    x[0] = v.x, x[1] = v.y;
  }
}

// gemm computes the block's tile for k in [k0,k1). a(m,k) and b(k,n) are called within the
// matrices only. a.at(m) prepares a row of A once, since each thread loads the same rows for every k.
// BTransposed says that B lies contiguous in k rather than in n.
template <class T, bool BTransposed, class A, class B, class Store>
__device__ void gemm(int M, int N, int k0, int k1, const A& a, const B& b, const Store& store) {
  __shared__ __align__(16) float sa[T::BK][T::BM + 4]; // 4 more: fewer bank conflicts, lines stay aligned
  __shared__ __align__(16) float sb[T::BK][T::BN + 4];
  constexpr int columns = T::BN / T::TN;
  const int t = threadIdx.x, row = t / columns * T::TM, column = t % columns * T::TN;
  const int firstM = blockIdx.x * T::BM, firstN = blockIdx.y * T::BN;

  // A is loaded with k fastest: patches are contiguous in channels.
  constexpr int stepA = T::threads / T::BK, loadsA = T::BM / stepA;
  constexpr int loadsB = T::BK * T::BN / T::threads;
  const int ka = t % T::BK, ma = t / T::BK;
  typename A::Row rows[loadsA];
#pragma unroll
  for (int i = 0; i < loadsA; i++) rows[i] = a.at(min(firstM + ma + i * stepA, M - 1));

  float sum[T::TM][T::TN] = {};
  for (int k = k0; k < k1; k += T::BK) {
    const typename A::Column columnA = a.column(k + ka < k1 ? k + ka : k0);
#pragma unroll
    for (int i = 0; i < loadsA; i++) {
      const int m = ma + i * stepA;
      sa[ka][m] = firstM + m < M && k + ka < k1 ? a(rows[i], columnA) : 0;
    }
#pragma unroll
    for (int i = 0; i < loadsB; i++) {
      const int e = t + i * T::threads;
      const int kb = BTransposed ? e % T::BK : e / T::BN, n = BTransposed ? e / T::BK : e % T::BN;
      sb[kb][n] = firstN + n < N && k + kb < k1 ? b(k + kb, firstN + n) : 0;
    }
    __syncthreads();
#pragma unroll
    for (int kk = 0; kk < T::BK; kk++) {
      float x[T::TM], y[T::TN];
      load(x, &sa[kk][row]);
      load(y, &sb[kk][column]);
#pragma unroll
      for (int i = 0; i < T::TM; i++)
#pragma unroll
        for (int j = 0; j < T::TN; j++) sum[i][j] = fmaf(x[i], y[j], sum[i][j]);
    }
    __syncthreads();
  }
  constexpr int together = Store::together; // a thread has all rows that belong together
#pragma unroll
  for (int i = 0; i < T::TM; i += together)
#pragma unroll
    for (int j = 0; j < T::TN; j++) {
      const int m = firstM + row + i, n = firstN + column + j;
      float v[together];
#pragma unroll
      for (int r = 0; r < together; r++) v[r] = sum[i + r][j];
      if (m < M && n < N) store(m, n, v);
    }
}

// Matrix is an operand A in memory: element (m,k) lies at m*byM + k*byK.
struct Matrix {
  const float* data;
  long long byM, byK;
  using Row = const float*;
  using Column = long long;
  __device__ Row at(int m) const { return data + m * byM; }
  __device__ Column column(int k) const { return k * byK; }
  __device__ const float* where(Row row, Column k) const { return row + k; }
  __device__ float operator()(Row row, Column k) const { return row[k]; }
};

// Right is an operand B in memory: element (k,n) lies at k*byK + n*byN.
struct Right {
  const float* data;
  long long byK, byN;
  __device__ float operator()(int k, int n) const { return data[k * byK + n * byN]; }
};

// Biased stores a layer's result.
struct Biased {
  static constexpr int together = 1; // rows that are stored at once, of which m is the first
  float* y;
  const float* bias;
  int N, relu;
  __device__ float value(int n, float v) const {
    v += bias[n];
    return relu && v < 0 ? 0 : v;
  }
  __device__ void operator()(int m, int n, const float (&v)[1]) const { y[(long long)m * N + n] = value(n, v[0]); }
};

// Plain stores C where it belongs; Part stores a share of a sum over k, which add_parts completes.
struct Plain {
  static constexpr int together = 1;
  float* c;
  int N;
  __device__ void operator()(int m, int n, const float (&v)[1]) const { c[(long long)m * N + n] = v[0]; }
};
