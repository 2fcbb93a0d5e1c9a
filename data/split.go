package data

import (
	"fmt"
	"slices"

	"rampart/nn/rng"
)

// HoldOut splits n examples, drawn with the seed, off the training data, to measure progress
// without touching the test set. Both parts keep the order of train. The draw depends on the
// seed and train.Len() alone; a smaller n holds out a part of what a larger one does. At least
// one example must be left to train on.
func HoldOut(train *Dataset, n int, seed uint64) (rest, held *Dataset, err error) {
	if n < 0 || n >= train.Len() {
		return nil, nil, fmt.Errorf("cannot hold out %d of the %d examples of %q: choose 0 to %d", n, train.Len(), train.Name, train.Len()-1)
	}
	if n == 0 {
		return train, train.Slice(0, 0), nil
	}
	order := rng.New(seed, "data/holdout").Perm(train.Len(), 0)
	slices.Sort(order[:n])
	slices.Sort(order[n:])
	return train.Subset(order[n:]), train.Subset(order[:n]), nil
}

// Sample draws n examples with the seed, in the order of d: the draw of HoldOut, which may be all.
func Sample(d *Dataset, n int, seed uint64) (*Dataset, error) {
	if n < 1 || n > d.Len() {
		return nil, fmt.Errorf("cannot draw %d of the %d examples of %q: choose 1 to %[2]d", n, d.Len(), d.Name)
	}
	if n == d.Len() {
		return d, nil
	}
	_, drawn, err := HoldOut(d, n, seed)
	return drawn, err
}

// Every returns n evenly spaced examples of a test set: for 1000 of 10000 every tenth, from the
// first. n = 0 means all of them.
func Every(test *Dataset, n int) (*Dataset, error) {
	if n < 0 || n > test.Len() {
		return nil, fmt.Errorf("cannot take %d of the %d examples of %q: choose 1 to %[2]d, or 0 for all", n, test.Len(), test.Name)
	}
	if n == 0 || n == test.Len() {
		return test, nil
	}
	positions := make([]int, n)
	for k := range positions {
		positions[k] = k * test.Len() / n
	}
	return test.Subset(positions), nil
}
