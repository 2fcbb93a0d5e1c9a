package kernel

// windowSums adds up a part of windows of x, each times a value, for some channels:
//
//	to[channel*toStep+i] += sum over e < counts[channel] of value[e] * x[offset[e] + i]
//
// for i < 8*vectors. pairs holds, from channel*pairStep on, each value with its offset, an integer in
// bytes. A sum starts from zero and adds in the order of the pairs.
type windowSums struct {
	counts   []int32 // by channel
	pairs    []float32
	x, to    []float32
	pairStep int
	toStep   int
	vectors  int
}

// The number of vectors that a part of a line may have: that many sums stay in registers; fewer than
// least would not cover the latency.
const (
	leastVectors = 4
	mostVectors  = 12
)

// windowParts cuts a line of the filter into parts of some vectors; ok is false where it is too short.
func (c Conv) windowParts() (vectors, parts int, ok bool) {
	all := (c.KW*c.C + lanes - 1) / lanes
	parts = (all + mostVectors - 1) / mostVectors
	return (all + parts - 1) / parts, parts, all >= leastVectors
}

// portableWindowSums keeps four sums in registers.
func portableWindowSums(s windowSums) {
	for channel, n := range s.counts {
		pairs := s.pairs[channel*s.pairStep:][:2*n]
		offsets := integers(pairs)
		to := s.to[channel*s.toStep:][:s.vectors*lanes]
		for i := 0; i < len(to); i += 4 {
			var s0, s1, s2, s3 float32
			for e := 0; e+1 < len(pairs) && e+1 < len(offsets); e += 2 {
				v, x := pairs[e], (*[4]float32)(s.x[i+int(offsets[e+1]/4):])
				s0 += v * x[0]
				s1 += v * x[1]
				s2 += v * x[2]
				s3 += v * x[3]
			}
			t := (*[4]float32)(to[i:])
			t[0] += s0
			t[1] += s1
			t[2] += s2
			t[3] += s3
		}
	}
}
