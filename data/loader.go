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
	// Mix says what was mixed into the examples; nil where no augmentation mixes.
	Mix *Mix
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
	if d.lazy != nil {
		parallel(n, func(k int) { d.put(b, k, start+k) })
		return n
	}
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
// Images that are not in memory are decoded one step ahead. A Loader is not safe for concurrent
// use.
type Loader struct {
	data    *Dataset
	size    int
	stream  rng.Stream
	order   []int // of epoch
	epoch   int
	augment *augmenter // nil for none
	ahead   *ahead     // nil where all images are in memory
}

// NewLoader returns a loader of batches of the given size. It fails where that is larger than the
// data, or not positive.
func NewLoader(d *Dataset, size int, seed uint64) (*Loader, error) {
	if size < 1 || size > d.Len() {
		return nil, fmt.Errorf("batch size %d for the %d examples of %q: choose 1 to %[2]d", size, d.Len(), d.Name)
	}
	l := &Loader{data: d, size: size, stream: rng.New(seed, "data/shuffle"), order: make([]int, d.Len()), epoch: -1}
	if d.lazy != nil {
		l.ahead = newAhead(d.lazy)
	}
	return l, nil
}

// Augment makes the loader vary its images, in the order of the list. The draws for an example
// depend on the seed, its Index, the epoch and the place in the list, on nothing else. It fails
// where an augmentation does not fit the images, or two of them mix labels.
func (l *Loader) Augment(list []Augmentation, seed uint64) (err error) {
	l.augment, err = newAugmenter(l.data, list, seed)
	return err
}

// StepsPerEpoch returns the number of whole batches in the data.
func (l *Loader) StepsPerEpoch() int { return l.data.Len() / l.size }

// NewBatch returns a batch of the loader's size.
func (l *Loader) NewBatch() *Batch {
	b := l.data.NewBatch(l.size)
	if l.augment.mixes() {
		b.Mix = &Mix{Labels: make([]int32, l.size), Weight: make([]float32, l.size)}
	}
	return b
}

// Batch fills b, which NewBatch made, for a step counted from 0 over all epochs. Steps may come
// in any order; only a change of epoch costs a new shuffle. It allocates nothing where all images
// are in memory. See Err for images that could not be read.
func (l *Loader) Batch(step int, b *Batch) {
	if step < 0 || b.Len() != l.size {
		panic(fmt.Sprintf("data: step %d with a batch of %d, from a loader of batches of %d", step, b.Len(), l.size))
	}
	positions := l.positions(step)
	if l.ahead != nil {
		l.ahead.load(step, func() []uint32 { return l.needs(step) })
		defer func() { l.ahead.begin(step+1, l.needs(step+1)) }()
	}
	epoch := uint32(l.epoch)
	for k, i := range positions {
		l.put(b, k, i)
		if l.augment != nil {
			l.augment.apply(b, k, i, epoch, l.image)
		}
	}
}

// positions are the examples of a step.
func (l *Loader) positions(step int) []int {
	epoch, within := step/l.StepsPerEpoch(), step%l.StepsPerEpoch()
	if epoch != l.epoch {
		l.stream.PermInto(l.order, uint32(epoch))
		l.epoch = epoch
	}
	return l.order[within*l.size : (within+1)*l.size]
}

// needs are the images of a step, by their numbers in the original file: its examples', and those
// that are mixed into them.
func (l *Loader) needs(step int) (numbers []uint32) {
	for _, i := range l.positions(step) {
		numbers = append(numbers, l.data.Index(i))
		if l.augment.mixes() {
			numbers = append(numbers, l.data.Index(l.augment.partner(l.data.Index(i), uint32(l.epoch))))
		}
	}
	return numbers
}

// put writes example i to place k of the batch.
func (l *Loader) put(b *Batch, k, i int) {
	size := l.data.Size()
	l.image(i, b.X[k*size:(k+1)*size])
	b.Labels[k] = l.data.Labels[i]
	b.Index[k] = l.data.Index(i)
}

// image writes the pixels of example i, which may have been decoded ahead, to dst.
func (l *Loader) image(i int, dst []float32) {
	if l.ahead != nil {
		if image := l.ahead.image(l.data.Index(i)); image != nil {
			toUnit(dst, image)
			return
		}
	}
	l.data.Image(i, dst)
}

// Err returns the error of an image that could not be read again, see Dataset.Err.
func (l *Loader) Err() error { return l.data.Err() }
