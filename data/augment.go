package data

import (
	"fmt"
	"slices"

	"rampart/nn/registry"
	"rampart/nn/rng"
)

// Augmentation varies training images. It is a pointer to a struct whose fields tagged `toml:"..."`
// are its options. Adding one takes one file, which calls
//
//	func init() { registry.Register[Augmentation]("name", func() Augmentation { return &Name{Option: default} }) }
type Augmentation interface {
	// Validate judges the options. An error that concerns one option is a *registry.KeyError.
	Validate() error
	// Fits reports why images of a shape cannot be varied in this way.
	Fits(h, w, c int) error
	// Apply varies v.X in place, within [0,1]. All that is random comes from v, and nothing is kept
	// from one call to the next.
	Apply(v *View)
}

// Mixer is an Augmentation that mixes another example, with its label, into one. Apply takes it
// from v.Partner, and sets v.Weight where it mixes.
type Mixer interface {
	Augmentation
	Mixes()
}

func init() { registry.Kind[Augmentation]("augmentation") }

// View is an image to be varied.
type View struct {
	H, W, C int
	X       []float32 // [H,W,C] in [0,1]
	// Partner, for a Mixer, is another example, varied by the augmentations before this one.
	Partner []float32
	// Weight, for a Mixer, is the share of the example's own label; 1 at first.
	Weight float32
	// Draw gives the random numbers of this example, epoch and augmentation.
	Draw rng.Sequence
	// Scratch has the length of X.
	Scratch []float32
}

// Uniform draws from [lo,hi).
func (v *View) Uniform(lo, hi float64) float64 { return lo + (hi-lo)*v.Draw.Float64() }

// Chance is true with probability p. It always draws.
func (v *View) Chance(p float64) bool { return v.Draw.Float64() < p }

// Rectangle calls f for the first value and the number of values of each row of a rectangle.
func (v *View) Rectangle(top, left, h, w int, f func(at, n int)) {
	for y := top; y < top+h; y++ {
		f((y*v.W+left)*v.C, w*v.C)
	}
}

// Mix says what was mixed into the examples of a batch. The loss of example k is
//
//	Weight[k] * loss(logits, Batch.Labels[k]) + (1-Weight[k]) * loss(logits, Mix.Labels[k]).
//
// A loader puts the label of greater weight into Batch.Labels, so that it is the example's class as far as
// it has one.
type Mix struct {
	Labels []int32   // [N], the other labels
	Weight []float32 // [N], from a loader in [1/2,1]
}

// MixTaker is what can be trained with mixed examples: its loss heeds Batch.Mix.
type MixTaker interface{ TakesMix() }

// Mixes says whether a list of augmentations fills Batch.Mix.
func Mixes(list []Augmentation) bool {
	for _, a := range list {
		if _, ok := a.(Mixer); ok {
			return true
		}
	}
	return false
}

// augmenter applies a list of augmentations.
type augmenter struct {
	data             *Dataset
	list             []Augmentation
	mixer            int // place in the list; -1 for none
	stream, partners rng.Stream
	view             View
	partnerX         []float32
}

// CheckAugmentations reports an augmentation that does not fit the images of a data set, and a
// second one that mixes labels.
func CheckAugmentations(d *Dataset, list []Augmentation) error {
	mixer := -1
	for i, aug := range list {
		if err := aug.Fits(d.H, d.W, d.C); err != nil {
			return fmt.Errorf("augmentation %d for the %dx%dx%d images of %q: %w", i+1, d.H, d.W, d.C, d.Name, err)
		}
		if !Mixes(list[i : i+1]) {
			continue
		}
		if mixer >= 0 {
			return fmt.Errorf("augmentations %d and %d both mix labels: keep one of them", mixer+1, i+1)
		}
		mixer = i
	}
	return nil
}

// newAugmenter returns nil for an empty list.
func newAugmenter(d *Dataset, list []Augmentation, seed uint64) (*augmenter, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if err := CheckAugmentations(d, list); err != nil {
		return nil, err
	}
	a := &augmenter{data: d, list: list, stream: rng.New(seed, "data/augment"), partners: rng.New(seed, "data/augment/partner"),
		view: View{H: d.H, W: d.W, C: d.C, Scratch: make([]float32, d.Size())}}
	if a.mixer = slices.IndexFunc(list, func(a Augmentation) bool { return Mixes([]Augmentation{a}) }); a.mixer >= 0 {
		a.partnerX = make([]float32, d.Size())
	}
	return a, nil
}

func (a *augmenter) mixes() bool { return a != nil && a.mixer >= 0 }

// partner is the position of what may be mixed into an example in an epoch: any example, each as
// likely.
func (a *augmenter) partner(index, epoch uint32) int {
	q := a.partners.Sequence(index, epoch, 0)
	return int(q.Uint32n(uint32(a.data.Len())))
}

// apply varies example i in place k of a batch; image reads the pixels of an example.
func (a *augmenter) apply(b *Batch, k, i int, epoch uint32, image func(i int, dst []float32)) {
	size, index := a.data.Size(), a.data.Index(i)
	x := b.X[k*size : (k+1)*size]
	if a.mixer < 0 {
		a.run(x, index, epoch, len(a.list))
		return
	}
	j := a.partner(index, epoch)
	image(j, a.partnerX)
	a.run(a.partnerX, a.data.Index(j), epoch, a.mixer)
	a.view.Partner, a.view.Weight = a.partnerX, 1
	a.run(x, index, epoch, len(a.list))
	other, weight := a.data.Label(j), a.view.Weight
	if weight < 0.5 {
		b.Labels[k], other, weight = other, b.Labels[k], 1-weight
	}
	b.Mix.Labels[k], b.Mix.Weight[k] = other, weight
}

// run applies the first n augmentations.
func (a *augmenter) run(x []float32, index, epoch uint32, n int) {
	a.view.X = x
	for p := range n {
		a.view.Draw = a.stream.Sequence(index, epoch, uint32(p))
		a.list[p].Apply(&a.view)
	}
}
