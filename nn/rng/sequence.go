package rng

import (
	"fmt"
	"math"
)

// Sequence reads the elements of a stream at one (example, restart, step) one after another, for
// algorithms that do not know beforehand how many they need. It is not safe for concurrent use.
type Sequence struct {
	stream                       Stream
	example, restart, step, next uint32 // next is the next block
	words                        [4]uint32
	used                         int // of words
}

// Sequence returns a reader that starts at element 0.
func (s Stream) Sequence(example, restart, step uint32) Sequence {
	return Sequence{stream: s, example: example, restart: restart, step: step, used: 4}
}

// Uint32 returns the next element.
func (q *Sequence) Uint32() uint32 {
	if q.used == len(q.words) {
		q.words = q.stream.Block(q.example, q.restart, q.step, q.next)
		q.next++
		q.used = 0
	}
	q.used++
	return q.words[q.used-1]
}

// Uint32n returns an unbiased integer in [0,n); n must be positive. It is Lemire's method ("Fast
// random integer generation in an interval", 2019), which needs more than one element with
// probability below n/2^32.
func (q *Sequence) Uint32n(n uint32) uint32 {
	if n == 0 {
		panic("rng: Uint32n of 0")
	}
	product := uint64(q.Uint32()) * uint64(n)
	if uint32(product) < n {
		for reject := -n % n; uint32(product) < reject; {
			product = uint64(q.Uint32()) * uint64(n)
		}
	}
	return uint32(product >> 32)
}

// Float64 returns a number uniform on the multiples of 2^-53 in [0,1), from the next two elements.
func (q *Sequence) Float64() float64 {
	high := uint64(q.Uint32())
	return float64((high<<32|uint64(q.Uint32()))>>11) * 0x1p-53
}

// Perm returns a permutation of 0..n-1, each as likely as any other, from the stream at
// (0, 0, step).
func (s Stream) Perm(n int, step uint32) []int {
	perm := make([]int, n)
	s.PermInto(perm, step)
	return perm
}

// PermInto fills perm with Perm(len(perm), step): Fisher and Yates's shuffle (Knuth, TAOCP 2,
// 3.4.2, algorithm P).
func (s Stream) PermInto(perm []int, step uint32) {
	if uint64(len(perm)) > math.MaxUint32 {
		panic(fmt.Sprintf("rng: permutation of %d items, more than 2^32-1", len(perm)))
	}
	for i := range perm {
		perm[i] = i
	}
	q := s.Sequence(0, 0, step)
	for i := len(perm) - 1; i > 0; i-- {
		j := int(q.Uint32n(uint32(i + 1)))
		perm[i], perm[j] = perm[j], perm[i]
	}
}
