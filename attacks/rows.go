package attacks

import (
	"runtime"
	"sync"
)

// eachRow calls f for 0, 1, …, n-1, shared out among the processors: the calls must not touch one
// another's memory, so that the result is the same for any number of them.
func eachRow(n int, f func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	var wait sync.WaitGroup
	for w := 1; w < workers; w++ {
		wait.Go(func() {
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				f(i)
			}
		})
	}
	if workers > 0 {
		for i := range n / workers {
			f(i)
		}
	}
	wait.Wait()
}

// ranked is, for a row of logits, the class of the number-th largest among those other than y,
// counted from 0, of equals the first one first; -1 where there are not as many.
func ranked(z []float32, y, number int) int {
	for j, v := range z {
		if j == y {
			continue
		}
		before := 0
		for i, u := range z {
			if i != y && (u > v || u == v && i < j) {
				before++
			}
		}
		if before == number {
			return j
		}
	}
	return -1
}

// rankedTargets are the targets of a batch by the logits of its clean images, and those logits
// [n, classes], in memory that the next question overwrites. ok is false where the network has
// fewer wrong classes than number+1.
func (o *oracle) rankedTargets(clean []float32, number int) (targets []int32, z []float32, ok bool, err error) {
	if number >= o.classes-1 {
		return nil, nil, false, nil
	}
	if z, err = o.logits(clean, count(len(o.b.Labels))); err != nil {
		return nil, nil, false, err
	}
	targets = make([]int32, len(o.b.Labels))
	for i, y := range o.b.Labels {
		targets[i] = int32(ranked(z[i*o.classes:][:o.classes], int(y), number))
	}
	return targets, z, true, nil
}

// The random numbers of the attacks that step on the host come from steps beyond those of a
// device.Loop and of a Target, so that no two draws of a run share them.
const (
	drawStart  = 1 << 21
	drawSquare = 1 << 22
)
