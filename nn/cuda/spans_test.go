package cuda

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// set is the plain form of spans.
type set [12]bool

func (s spans) set(t *testing.T) (out set) {
	t.Helper()
	last := -1
	for _, v := range s {
		if v.from <= last || v.from >= v.to {
			t.Fatalf("%v are not apart and in order", s)
		}
		last = v.to
		for i := v.from; i < v.to; i++ {
			out[i] = true
		}
	}
	return out
}

// TestSpans compares with sets of numbers.
func TestSpans(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var s spans
	var want set
	for range 3000 {
		r := span{random.IntN(len(want)), random.IntN(len(want) + 1)}
		before := fmt.Sprint(s)
		part := s.within(r).set(t)
		for i, in := range want {
			if part[i] != (in && i >= r.from && i < r.to) {
				t.Fatalf("%v within %v is %v", before, r, s.within(r))
			}
		}
		add := random.IntN(2) == 0
		for i := r.from; i < r.to; i++ {
			want[i] = add
		}
		if s = s.without(r); add {
			s = s.with(r)
		}
		if s.set(t) != want {
			t.Fatalf("%v, %v added (%v): %v", before, r, add, s)
		}
	}
}
