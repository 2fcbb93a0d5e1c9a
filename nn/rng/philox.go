// Package rng draws random numbers that depend on nothing but their place: a stream has a key,
// made of a seed and a purpose, and each number in it a counter (example, restart, step,
// element). Numbers are therefore the same in any order, on any number of threads, and on any
// executor that computes the same formulas.
//
// The generator is Philox4x32-10: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as
// easy as 1, 2, 3", SC 2011, section 3.3.
package rng

// Stream is a family of random numbers for one seed and one purpose. It has no state: copies are
// equal, and every method may be called concurrently. The zero Stream is a valid one, with key 0.
type Stream struct {
	// Key is the Philox key, for executors that draw on their own.
	Key [2]uint32
}

// Philox4x32 multipliers, and the Weyl increments of the key (Salmon et al. 2011, section 3.3).
const (
	mul0, mul1   = 0xD2511F53, 0xCD9E8D57
	weyl0, weyl1 = 0x9E3779B9, 0xBB67AE85
	rounds       = 10
)

// New returns the stream of a seed and a purpose, such as "weights" or "pgd/start". Different
// purposes give unrelated streams. The key is
//
//	splitmix64(splitmix64(seed) XOR fnv1a64(purpose)), low word first,
//
// and is frozen: saved runs are only reproducible while it stays.
func New(seed uint64, purpose string) Stream {
	return streamOf(splitmix64(splitmix64(seed) ^ fnv1a64(purpose)))
}

func streamOf(key uint64) Stream {
	return Stream{Key: [2]uint32{uint32(key), uint32(key >> 32)}}
}

// derive returns the n-th stream that belongs to s.
func (s Stream) derive(n uint64) Stream {
	key := uint64(s.Key[0]) | uint64(s.Key[1])<<32
	return streamOf(splitmix64(splitmix64(key) ^ n))
}

// Block returns the elements 4*block to 4*block+3 of the stream at (example, restart, step):
// Philox with the counter words in the order of the arguments.
func (s Stream) Block(example, restart, step, block uint32) [4]uint32 {
	c0, c1, c2, c3 := example, restart, step, block
	k0, k1 := s.Key[0], s.Key[1]
	for range rounds {
		p0, p1 := uint64(mul0)*uint64(c0), uint64(mul1)*uint64(c2)
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += weyl0
		k1 += weyl1
	}
	return [4]uint32{c0, c1, c2, c3}
}

// splitmix64 is one output of Steele, Lea and Flood's SplitMix64 (OOPSLA 2014) from state x.
func splitmix64(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// fnv1a64 is the 64-bit FNV-1a hash.
func fnv1a64(s string) uint64 {
	h := uint64(0xCBF29CE484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001B3
	}
	return h
}
