// Matrix products C[M,N] = A[M,K] B[K,N] on tensor cores (compute capability 8.0 and later): operands are
// rounded to TF32 or bf16, sums are float32. They travel from where they lie to shared memory by
// asynchronous copies, two steps of k ahead. Each element is one sum over k in ascending order of the
// instructions, whatever the tile.
#pragma once

#include "gemm.cuh"

// copy begins to copy count neighbours to shared memory, zeros where `from` is null; `any` is some address.
template <int count>
__device__ inline void copy(float* to, const float* from, const float* any) {
  const unsigned at = (unsigned)__cvta_generic_to_shared(to);
  const size_t source = __cvta_generic_to_global(from ? from : any);
  const int bytes = from ? 4 * count : 0;
  if constexpr (count == 4)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(source), "r"(bytes) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(at), "l"(source), "r"(bytes) : "memory");
}

__device__ inline void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// wait returns when all but the last `left` groups of this thread's copies are done.
template <int left>
__device__ inline void wait() { asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory"); }

// aligned reports whether rows of n values from p on can be copied four at a time.
__device__ inline bool aligned(const float* p, int n) { return n % 4 == 0 && (size_t)p % 16 == 0; }

// TF32 and BF16 are the instructions: how far one goes in k, how many neighbours in k a word of a fragment
// holds, and what keeps shared memory free of bank conflicts. The fragments are those of the PTX ISA
// (matrix fragments for mma.m16n8k8 and mma.m16n8k16): m, n and k are a thread's first in them.
struct TF32 {
  static constexpr int K = 8, word = 1, padK = 4, padMN = 8;

  __device__ static unsigned rounded(float v) {
    unsigned r;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(v));
    return r;
  }
  template <class S>
  __device__ static void left(unsigned (&f)[4], const S& s, int m, int k) {
    for (int i = 0; i < 4; i++) f[i] = rounded(s(m + i % 2 * 8, k + i / 2 * 4));
  }
  template <class S>
  __device__ static void right(unsigned (&f)[2], const S& s, int n, int k) {
    for (int i = 0; i < 2; i++) f[i] = rounded(s(n, k + i * 4));
  }
  __device__ static void multiply(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};

struct BF16 {
  static constexpr int K = 16, word = 2, padK = 8, padMN = 4;

  __device__ static unsigned pair(float low, float high) {
    unsigned r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
  }
  template <class S>
  __device__ static void left(unsigned (&f)[4], const S& s, int m, int k) {
    for (int i = 0; i < 4; i++) f[i] = pair(s(m + i % 2 * 8, k + i / 2 * 8), s(m + i % 2 * 8, k + i / 2 * 8 + 1));
  }
  template <class S>
  __device__ static void right(unsigned (&f)[2], const S& s, int n, int k) {
    for (int i = 0; i < 2; i++) f[i] = pair(s(n, k + i * 8), s(n, k + i * 8 + 1));
  }
  __device__ static void multiply(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};

// Block is the part of C that four warps compute, size x size, two and two.
template <int size>
struct Block {
  static constexpr int side = size, threads = 128, stages = 3, depth = 16; // of k in a stage
};

using Wide = Block<64>;
using Narrower = Block<32>; // for products too small to fill the device

// Side is a stage of one operand in shared memory: a line for each row of the operand where it lies
// contiguous in k, for each k otherwise.
template <class T, class P, bool alongK>
struct Side {
  static constexpr int lines = alongK ? T::side : T::depth, length = alongK ? T::depth : T::side;
  static constexpr int stride = length + (alongK ? P::padK : P::padMN);
  float cells[lines * stride];
  __device__ float* cell(int line, int place) { return cells + line * stride + place; }
  __device__ float operator()(int mn, int k) const { return alongK ? cells[mn * stride + k] : cells[k * stride + mn]; }
};

// Loader fills stages with the rows of an operand from first on. Each thread copies four neighbours of a
// line at a time, as one where the operand is `whole`: where any four that belong together are aligned
// neighbours in memory, and all of them or none are zeros.
template <class T, class P, bool alongK, class O>
struct Loader {
  using S = Side<T, P, alongK>;
  static constexpr int across = S::length / 4, step = T::threads / across, passes = S::lines / step;

  const O& o;
  const float* any;
  int first, limit, line, place;
  bool whole;
  typename O::Row rows[alongK ? passes : 4];

  __device__ Loader(const O& o, const float* any, int first, int limit, bool whole)
      : o(o), any(any), first(first), limit(limit), line(threadIdx.x / across), place(threadIdx.x % across * 4), whole(whole) {
#pragma unroll
    for (int i = 0; i < (alongK ? passes : 4); i++) rows[i] = o.at(min(row(i), limit - 1));
  }

  __device__ int row(int i) const { return first + (alongK ? line + i * step : place + i); }

  __device__ void load(S& to, int k0, int k1) const {
    if constexpr (alongK) {
      typename O::Column columns[4];
#pragma unroll
      for (int j = 0; j < 4; j++)
        if (j == 0 || !whole) columns[j] = o.column(min(k0 + place + j, k1 - 1));
#pragma unroll
      for (int i = 0; i < passes; i++)
        four(to.cell(line + i * step, place), [&](int j) { return row(i) < limit && k0 + place + j < k1 ? o.where(rows[i], columns[j]) : nullptr; });
    } else {
#pragma unroll
      for (int i = 0; i < passes; i++) {
        const int k = k0 + line + i * step;
        const typename O::Column column = o.column(min(k, k1 - 1));
        four(to.cell(line + i * step, place), [&](int j) { return row(j) < limit && k < k1 ? o.where(rows[j], column) : nullptr; });
      }
    }
  }

  template <class F>
  __device__ void four(float* to, const F& from) const {
    if (whole) {
      copy<4>(to, from(0), any);
      return;
    }
#pragma unroll
    for (int j = 0; j < 4; j++) copy<1>(to + j, from(j), any);
  }
};

// Source is an operand: its matrix, an address in it, and whether four neighbours can be copied as one.
template <class O>
struct Source {
  O matrix;
  const float* any;
  bool whole;
};

// tensor_gemm computes the block's part of C for k in [k0,k1). alongA and alongB say that an operand lies
// contiguous in k rather than in m or n. B is given by rows n and columns k.
template <class T, class P, bool alongA, bool alongB, class A, class B, class Store>
__device__ void tensor_gemm(int M, int N, int k0, int k1, const Source<A>& a, const Source<B>& b, const Store& store) {
  __shared__ __align__(16) Side<T, P, alongA> sa[T::stages];
  __shared__ __align__(16) Side<T, P, alongB> sb[T::stages];
  const int firstM = blockIdx.x * T::side, firstN = blockIdx.y * T::side;
  const Loader<T, P, alongA, A> loadA(a.matrix, a.any, firstM, M, a.whole);
  const Loader<T, P, alongB, B> loadB(b.matrix, b.any, firstN, N, b.whole);
  const int steps = (k1 - k0 + T::depth - 1) / T::depth;
  constexpr int ahead = T::stages - 1;
  constexpr int half = T::side / 2, countM = half / 16, countN = half / 8;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, group = lane / 4, in = lane % 4;
  const int m = warp / 2 * half, n = warp % 2 * half;
  float sum[countM][countN][4] = {};
#pragma unroll 1
  for (int step = -ahead; step < steps; step++) {
    if (step >= 0) {
      wait<ahead - 1>();
      __syncthreads(); // this stage is full, and the one to be filled next has been read
    }
    if (const int next = step + ahead; next < steps) {
      loadA.load(sa[next % T::stages], k0 + next * T::depth, k1);
      loadB.load(sb[next % T::stages], k0 + next * T::depth, k1);
    }
    commit(); // a group a step, empty at the end
    if (step < 0) continue;
    const auto& x = sa[step % T::stages];
    const auto& y = sb[step % T::stages];
#pragma unroll
    for (int k = 0; k < T::depth; k += P::K) {
      unsigned left[countM][4], right[countN][2];
#pragma unroll
      for (int i = 0; i < countM; i++) P::left(left[i], x, m + i * 16 + group, k + in * P::word);
#pragma unroll
      for (int j = 0; j < countN; j++) P::right(right[j], y, n + j * 8 + group, k + in * P::word);
#pragma unroll
      for (int i = 0; i < countM; i++)
#pragma unroll
        for (int j = 0; j < countN; j++) P::multiply(sum[i][j], left[i], right[j]);
    }
  }
#pragma unroll
  for (int i = 0; i < countM; i++)
#pragma unroll
    for (int j = 0; j < countN; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int row = firstM + m + i * 16 + group + e / 2 * 8, column = firstN + n + j * 8 + in * 2 + e % 2;
        if constexpr (Store::together > 1)
          store.across(row, column, row < M && column < N, sum[i][j][e]);
        else if (row < M && column < N)
          store(row, column, {sum[i][j][e]});
      }
}
