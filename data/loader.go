package data

import (
	"fmt"

	"rampart/nn/rng"
)

// Batch is memory for a number of examples, one after another.
type Batch struct {
	X      []float32 // [N,H,W,C] in [0,1]
	Labels []int32   // [N]
	Index  []uint32  // [N], see Dataset.Index
}

// NewBatch returns a batch for n examples of d.
func (d *Dataset) NewBatch(n int) *Batch {
	return &Batch{X: make([]float32, n*d.Size()), Labels: make([]int32, n), Index: make([]uint32, n)}
}

// Len returns the number of examples that the batch has room for.
func (b *Batch) Len() int { return len(b.Labels) }

// Fill writes the examples from position start on, in order, to b, and returns how many there
// were: fewer than b.Len() at the end of the data, and 0 past it. What lies beyond in b is left
// as it was. It is safe for concurrent use with different batches.
func (d *Dataset) Fill(b *Batch, start int) int {
	n := max(0, min(b.Len(), d.Len()-start))
	for k := range n {
		d.put(b, k, start+k)
	}
	return n
}

// put writes example i to place k of the batch.
func (d *Dataset) put(b *Batch, k, i int) {
	size := d.Size()
	d.Image(i, b.X[k*size:(k+1)*size])
	b.Labels[k] = d.Labels[i]
	b.Index[k] = d.Index(i)
}

// Loader serves a data set in shuffled batches of one size, by the global number of the training
// step, so that a run resumes with nothing but that number. The order of an epoch depends on the
// seed and the epoch alone; the examples that fill no whole batch at its end are left out of it.
// A Loader is not safe for concurrent use.
type Loader struct {
	data   *Dataset
	size   int
	stream rng.Stream
	order  []int // of epoch
	epoch  int
}

// NewLoader returns a loader of batches of the given size. It fails where that is larger than the
// data, or not positive.
func NewLoader(d *Dataset, size int, seed uint64) (*Loader, error) {
	if size < 1 || size > d.Len() {
		return nil, fmt.Errorf("batch size %d for the %d examples of %q: choose 1 to %[2]d", size, d.Len(), d.Name)
	}
	return &Loader{data: d, size: size, stream: rng.New(seed, "data/shuffle"), order: make([]int, d.Len()), epoch: -1}, nil
}

// StepsPerEpoch returns the number of whole batches in the data.
func (l *Loader) StepsPerEpoch() int { return l.data.Len() / l.size }

// NewBatch returns a batch of the loader's size.
func (l *Loader) NewBatch() *Batch { return l.data.NewBatch(l.size) }

// Batch fills b, which NewBatch made, for a step counted from 0 over all epochs. Steps may come
// in any order; only a change of epoch costs a new shuffle. It allocates nothing.
func (l *Loader) Batch(step int, b *Batch) {
	if step < 0 || b.Len() != l.size {
		panic(fmt.Sprintf("data: step %d with a batch of %d, from a loader of batches of %d", step, b.Len(), l.size))
	}
	epoch, within := step/l.StepsPerEpoch(), step%l.StepsPerEpoch()
	if epoch != l.epoch {
		l.stream.PermInto(l.order, uint32(epoch))
		l.epoch = epoch
	}
	for k, i := range l.order[within*l.size : (within+1)*l.size] {
		l.data.put(b, k, i)
	}
}
