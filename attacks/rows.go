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

// rankedTargets are the targets of a batch by the logits z [n, classes] of its clean images.
func rankedTargets(z []float32, labels []int32, number int) []int32 {
	targets, k := make([]int32, len(labels)), len(z)/len(labels)
	for i, y := range labels {
		targets[i] = int32(ranked(z[i*k:][:k], int(y), number))
	}
	return targets
}

// The random numbers of the attacks that step on the host come from steps beyond those of a
// device.Loop and of a Target, so that no two draws of a run share them.
const (
	drawStart  = 1 << 21
	drawSquare = 1 << 22
)
