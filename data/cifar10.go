package data

import (
	"context"

	"rampart/data/fetch"
	"rampart/nn/registry"
)

func init() { registry.Register[Source]("cifar10", func() Source { return &CIFAR10{} }) }

// CIFAR10 is the binary version of CIFAR-10 (Krizhevsky 2009): 50000 training and 10000 test
// photographs in ten classes, [32,32,3]. Path is the tar.gz as published, or the folder with it or
// with its extracted files.
type CIFAR10 struct{ Published }

// Load implements Source.
func (s *CIFAR10) Load() (train, test *Dataset, err error) { return load(s) }

// Open implements Opener.
func (s *CIFAR10) Open(ctx context.Context, o Options) (*Parts, error) {
	c := cifar{
		name: "cifar10",
		archive: fetch.File{Name: "cifar-10-binary.tar.gz", Size: 170052171, MD5: "c32a1d4ab5d03f1284b67883e8d87530",
			URLs: []string{"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz"}},
		train: []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
		test:  "test_batch.bin",
		names: "batches.meta.txt", classes: 10, labels: 1,
	}
	return c.open(ctx, &s.Published, o)
}
