package data

import (
	"sync"
	"testing"

	"rampart/nn/registry"
)

// loadMNIST loads it once for all tests.
var loadMNIST = sync.OnceValues(func() (parts [2]*Dataset, err error) {
	source, err := registry.New[Source]("mnist")
	if err != nil {
		return parts, err
	}
	if err := source.Validate(); err != nil {
		return parts, err
	}
	parts[0], parts[1], err = source.Load()
	return parts, err
})

func mnist(t testing.TB) (train, test *Dataset) {
	t.Helper()
	parts, err := loadMNIST()
	if err != nil {
		t.Fatal(err)
	}
	return parts[0], parts[1]
}

func TestMNIST(t *testing.T) {
	train, test := mnist(t)
	if train.Len() != 60000 || test.Len() != 10000 {
		t.Errorf("%d training and %d test examples", train.Len(), test.Len())
	}
	for _, d := range []*Dataset{train, test} {
		if d.H != 28 || d.W != 28 || d.C != 1 || len(d.Classes) != 10 || d.Classes[7] != "7" {
			t.Errorf("%s: shape %dx%dx%d, classes %v", d.Name, d.H, d.W, d.C, d.Classes)
		}
	}
	// The first training image is the well-known 5, the first test image a 7.
	if train.Label(0) != 5 || train.Label(1) != 0 || test.Label(0) != 7 {
		t.Errorf("first labels are %d, %d; %d", train.Label(0), train.Label(1), test.Label(0))
	}
	// The published mean of the training pixels, which PyTorch's examples use, is 0.1307.
	var sum uint64
	for _, p := range train.Pixels {
		sum += uint64(p)
	}
	if mean := float64(sum) / 255 / float64(len(train.Pixels)); mean < 0.13065 || mean > 0.13067 {
		t.Errorf("mean of the training pixels is %v", mean)
	}
	const trainSum = "1effe1d968bdaf3a888b5bd1e0f4cc3178cd93b32f7bbb51d3e4ef308ae64ab6"
	if sum := train.Checksum(); sum != trainSum {
		t.Errorf("checksum %s, expected %s", sum, trainSum)
	}
}

func BenchmarkLoadMNIST(b *testing.B) {
	for range b.N {
		if _, _, err := (&MNIST{}).Load(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChecksum(b *testing.B) {
	train, _ := mnist(b)
	for range b.N {
		train.Checksum()
	}
}

func BenchmarkHoldOut(b *testing.B) {
	train, _ := mnist(b)
	for range b.N {
		HoldOut(train, 1000, 1)
	}
}
