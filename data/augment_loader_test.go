package data

import (
	"fmt"
	"slices"
	"testing"

	"rampart/nn/registry"
)

// TestAugmentedLoader: a view depends on seed, example, epoch and place in the list alone: not on
// the batch size, the order of access or a resume; the data themselves stay as they are.
func TestAugmentedLoader(t *testing.T) {
	pixels, labels := make([]byte, 60*8*8*3), make([]int32, 60)
	for i := range pixels {
		pixels[i] = byte(i * 7)
	}
	for i := range labels {
		labels[i] = int32(i % 3)
	}
	d, err := NewDataset("views", 8, 8, 3, []string{"a", "b", "c"}, pixels, labels)
	if err != nil {
		t.Fatal(err)
	}
	sum := d.Checksum()
	type view struct {
		x      string
		label  int32
		weight float32
	}
	// views returns the views of an epoch by example.
	views := func(d *Dataset, size int, seed uint64, epochs ...int) map[uint32]view {
		l, err := NewLoader(d, size, 1)
		if err != nil {
			t.Fatal(err)
		}
		list := []Augmentation{&Crop{2, "reflect", 0}, &Flip{0.5}, &CutMix{mixing{1, 1}}, &Erase{P: 0.5, Scale: []float64{0.1, 0.2}, Ratio: []float64{1, 1}}}
		if err := l.Augment(list, seed); err != nil {
			t.Fatal(err)
		}
		b, all := l.NewBatch(), map[uint32]view{}
		for _, epoch := range epochs {
			for step := range l.StepsPerEpoch() {
				l.Batch(epoch*l.StepsPerEpoch()+step, b)
				for k, i := range b.Index {
					all[i] = view{fmt.Sprint(b.X[k*d.Size() : (k+1)*d.Size()]), b.Mix.Labels[k], b.Mix.Weight[k]}
				}
			}
		}
		if len(all) != d.Len() {
			t.Fatalf("%d of %d examples", len(all), d.Len())
		}
		return all
	}
	want := views(d, 10, 1, 0, 1)
	same := func(a, b map[uint32]view) (n int) {
		for i := range a {
			if a[i] == b[i] {
				n++
			}
		}
		return n
	}
	if n := same(want, views(d, 20, 1, 1)); n != 60 {
		t.Errorf("%d of 60 views are the same with another batch size and after a resume", n)
	}
	if n := same(want, views(d, 10, 2, 1)); n > 5 {
		t.Errorf("%d of 60 views are the same with another seed", n)
	}
	if n := same(want, views(d, 10, 1, 0)); n > 5 {
		t.Errorf("%d of 60 views are the same in another epoch", n)
	}
	if d.Checksum() != sum {
		t.Error("the data were changed")
	}
	// Without mixing, a view does not depend on what else is in the data either.
	plain := func(d *Dataset) string {
		l, _ := NewLoader(d, d.Len(), 1)
		if err := l.Augment([]Augmentation{&Crop{2, "edge", 0}, &Flip{0.5}}, 1); err != nil {
			t.Fatal(err)
		}
		b := l.NewBatch()
		if b.Mix != nil {
			t.Error("a place for partners where nothing mixes")
		}
		l.Batch(0, b)
		k := slices.Index(b.Index, 17)
		return fmt.Sprint(b.X[k*d.Size() : (k+1)*d.Size()])
	}
	if plain(d) != plain(d.Slice(10, 30)) {
		t.Error("a view depends on the other examples")
	}
}

// TestMixedLabels: a batch names the label of greater weight first, and both are those of the example and
// of what was mixed into it.
func TestMixedLabels(t *testing.T) {
	const n = 60
	labels, pixels := make([]int32, n), make([]byte, n)
	for i := range labels {
		labels[i], pixels[i] = int32(i%3), byte(i%3*100) // an image is its label
	}
	d, err := NewDataset("labels", 1, 1, 1, []string{"a", "b", "c"}, pixels, labels)
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewLoader(d, n, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Augment([]Augmentation{&Mixup{mixing{1, 1}}}, 1); err != nil {
		t.Fatal(err)
	}
	b, swapped := l.NewBatch(), 0
	l.Batch(0, b)
	for k, y := range b.Labels {
		w := b.Mix.Weight[k]
		want := (w*float32(y) + (1-w)*float32(b.Mix.Labels[k])) * 100 / 255
		if diff := b.X[k] - want; w < 0.5 || w > 1 || diff > 1e-5 || diff < -1e-5 {
			t.Errorf("label %d with weight %v and %d: the image is %v, want %v", y, w, b.Mix.Labels[k], b.X[k], want)
		}
		if y != int32(b.Index[k]%3) {
			swapped++
		}
	}
	if swapped == 0 {
		t.Error("no partner has the greater weight: the test shows little")
	}
}

func TestAugmentedLoaderAllocation(t *testing.T) {
	train, _ := mnist(t)
	l, err := NewLoader(train.Slice(0, 300), 20, 1)
	if err != nil {
		t.Fatal(err)
	}
	list := []Augmentation{&Crop{4, "constant", 0}, &Flip{0.5}, &Mixup{mixing{1, 1}}, &Cutout{1, 8, 0}, &ColorJitter{Brightness: 0.2, Contrast: 0.2}}
	if err := l.Augment(list, 1); err != nil {
		t.Fatal(err)
	}
	b, step := l.NewBatch(), 0
	if n := testing.AllocsPerRun(50, func() { l.Batch(step, b); step++ }); n != 0 {
		t.Errorf("a step allocates %v times", n)
	}
}

func BenchmarkAugment(b *testing.B) {
	d, err := NewDataset("bench", 32, 32, 3, []string{"a"}, make([]byte, 512*3072), make([]int32, 512))
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range registry.Names[Augmentation]() {
		b.Run(name, func(b *testing.B) {
			l, _ := NewLoader(d, 128, 1)
			a, _ := registry.New[Augmentation](name)
			if j, ok := a.(*ColorJitter); ok {
				*j = ColorJitter{0.4, 0.4, 0.4, 0.1}
			}
			if err := l.Augment([]Augmentation{a}, 1); err != nil {
				b.Fatal(err)
			}
			batch := l.NewBatch()
			for step := range b.N {
				l.Batch(step, batch)
			}
		})
	}
}
