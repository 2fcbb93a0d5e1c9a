package data

import (
	"reflect"
	"strings"
	"testing"
)

func TestLoaderEpochs(t *testing.T) {
	rest, _, err := HoldOut(numbered(t, 320), 17, 1)
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewLoader(rest, 20, 3)
	if err != nil {
		t.Fatal(err)
	}
	if n := l.StepsPerEpoch(); n != 15 {
		t.Fatalf("%d steps for 303 examples in batches of 20, want 15", n)
	}
	here := map[uint32]bool{}
	for i := range rest.Len() {
		here[rest.Index(i)] = true
	}
	b := l.NewBatch()
	var first []uint32
	for epoch := range 3 {
		seen := map[uint32]bool{}
		for step := range 15 {
			l.Batch(15*epoch+step, b)
			for k, i := range b.Index {
				if seen[i] || !here[i] {
					t.Errorf("epoch %d: example %d twice, or not of this part", epoch, i)
				}
				seen[i] = true
				want := [4]float32{float32(i>>8) / 255, float32(i&255) / 255, 1, 0}
				if [4]float32(b.X[4*k:]) != want || b.Labels[k] != int32(i%3) {
					t.Errorf("example %d is %v with label %d", i, b.X[4*k:4*k+4], b.Labels[k])
				}
			}
			if step == 0 {
				first = append(first, b.Index...)
			}
		}
		if len(seen) != 300 {
			t.Errorf("epoch %d visits %d examples", epoch, len(seen))
		}
	}
	if reflect.DeepEqual(first[:20], first[20:40]) || reflect.DeepEqual(first[20:40], first[40:]) {
		t.Error("epochs share an order")
	}
}

// TestLoaderRandomAccess: a batch depends on the seed and the step, in any order of access.
func TestLoaderRandomAccess(t *testing.T) {
	d := numbered(t, 300)
	loader := func(seed uint64) *Loader {
		l, err := NewLoader(d, 32, seed)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	batch := func(l *Loader, step int) *Batch {
		b := l.NewBatch()
		l.Batch(step, b)
		return b
	}
	forward, mixed, other := loader(5), loader(5), loader(6)
	batches := make([]*Batch, 40)
	for step := range batches {
		batches[step] = batch(forward, step)
	}
	for i := range batches {
		step := i * 27 % len(batches) // 27 and 40 share no divisor
		if !reflect.DeepEqual(batch(mixed, step), batches[step]) {
			t.Errorf("step %d depends on the order of access", step)
		}
		if reflect.DeepEqual(batch(other, step), batches[step]) {
			t.Errorf("step %d does not depend on the seed", step)
		}
		if !reflect.DeepEqual(batch(loader(5), step), batches[step]) {
			t.Errorf("step %d is another one after a resume", step)
		}
	}
}

// TestLoaderFrozen holds one order (computed by an independent program), on which the promise rests that saved runs resume.
func TestLoaderFrozen(t *testing.T) {
	l, err := NewLoader(numbered(t, 50), 6, 1)
	if err != nil {
		t.Fatal(err)
	}
	b := l.NewBatch()
	l.Batch(l.StepsPerEpoch()+2, b)
	if want := []uint32{40, 3, 23, 9, 13, 46}; !reflect.DeepEqual(b.Index, want) {
		t.Errorf("third batch of the second epoch is %v, want %v", b.Index, want)
	}
}

func TestLoaderErrors(t *testing.T) {
	d := numbered(t, 30)
	for size, ok := range map[int]bool{-1: false, 0: false, 1: true, 30: true, 31: false} {
		_, err := NewLoader(d, size, 1)
		if (err == nil) != ok {
			t.Errorf("size %d: error %v", size, err)
		}
		if err != nil && !strings.Contains(err.Error(), `for the 30 examples of "numbered": choose 1 to 30`) {
			t.Errorf("size %d: error %v", size, err)
		}
	}
	l, _ := NewLoader(d, 10, 1)
	for name, f := range map[string]func(){
		"negative step": func() { l.Batch(-1, l.NewBatch()) },
		"other size":    func() { l.Batch(0, d.NewBatch(9)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestLoaderAllocation(t *testing.T) {
	l, err := NewLoader(numbered(t, 300), 20, 1)
	if err != nil {
		t.Fatal(err)
	}
	b, step := l.NewBatch(), 0
	if n := testing.AllocsPerRun(50, func() { l.Batch(step, b); step++ }); n != 0 {
		t.Errorf("a step allocates %v times", n)
	}
}

func TestFill(t *testing.T) {
	part := numbered(t, 300).Slice(200, 250)
	b := part.NewBatch(20)
	for start, want := range map[int]int{0: 20, 30: 20, 40: 10, 50: 0, 60: 0} {
		if n := part.Fill(b, start); n != want {
			t.Errorf("from %d: filled %d, want %d", start, n, want)
		}
		for k := range want {
			i := uint32(200 + start + k)
			if b.Index[k] != i || b.Labels[k] != int32(i%3) || b.X[4*k+1] != float32(i)/255 {
				t.Errorf("from %d: place %d holds example %d", start, k, b.Index[k])
			}
		}
	}
}

func BenchmarkLoader(b *testing.B) {
	train, _ := mnist(b)
	l, err := NewLoader(train, 50, 1)
	if err != nil {
		b.Fatal(err)
	}
	batch := l.NewBatch()
	b.ReportAllocs()
	b.ResetTimer()
	for step := range b.N {
		l.Batch(step, batch)
	}
}
