// Philox4x32-10 (Salmon et al., SC 2011, section 3.3), as nn/rng has it: the counter is (example,
// restart, step, block), and integers and uniforms are the same bits.
#pragma once

struct Words {
  unsigned w[4];
};

__device__ inline Words philox(unsigned k0, unsigned k1, unsigned example, unsigned restart, unsigned step, unsigned block) {
  unsigned c0 = example, c1 = restart, c2 = step, c3 = block;
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const unsigned high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
    const unsigned high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// uniform is rng.Stream.Uniform's value for one word. The intrinsics forbid a fused multiply-add.
__device__ inline float uniform(unsigned word, float lo, float hi) {
  return __fadd_rn(lo, __fmul_rn(__fsub_rn(hi, lo), (float)(word >> 8) * 0x1p-24f));
}

// normal is rng.Stream.Normal's standard value for one word of a block, before it is rounded.
__device__ inline double normal(const Words& words, int i) {
  const unsigned a = words.w[i & 2], b = words.w[i | 1];
  const double r = sqrt(-2 * log(((double)a + 1) * 0x1p-32)), turn = (double)b * 0x1p-31;
  return r * (i & 1 ? sinpi(turn) : cospi(turn));
}
