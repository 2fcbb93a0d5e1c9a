package data

import (
	"context"

	"rampart/data/fetch"
	"rampart/nn/registry"
)

func init() {
	registry.Register[Source]("cifar100", func() Source { return &CIFAR100{Labels: "fine"} })
}

// CIFAR100 is the binary version of CIFAR-100 (Krizhevsky 2009): 50000 training and 10000 test
// photographs, [32,32,3]. Path is the tar.gz as published, or the folder with it or with its
// extracted files.
type CIFAR100 struct {
	Published
	// Labels is "fine", 100 classes, or "coarse", their 20 superclasses.
	Labels string `toml:"labels"`
}

// Validate implements Source.
func (s *CIFAR100) Validate() error {
	if s.Labels != "fine" && s.Labels != "coarse" {
		return registry.Errorf("labels", `%q: use "fine" (100 classes) or "coarse" (20)`, s.Labels)
	}
	return s.Published.Validate()
}

// Load implements Source.
func (s *CIFAR100) Load() (train, test *Dataset, err error) { return load(s) }

// Open implements Opener.
func (s *CIFAR100) Open(ctx context.Context, o Options) (*Parts, error) {
	c := cifar{
		name: "cifar100",
		archive: fetch.File{Name: "cifar-100-binary.tar.gz", Size: 168513733, MD5: "03b5dce01913d631647c71ecec9e9cb8",
			URLs: []string{"https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", "https://cave.cs.toronto.edu/kriz/cifar-100-binary.tar.gz"}},
		train: []string{"train.bin"},
		test:  "test.bin",
		names: "fine_label_names.txt", classes: 100, labels: 2, label: 1, // the coarse label comes first
	}
	if s.Labels == "coarse" {
		c.names, c.classes, c.label = "coarse_label_names.txt", 20, 0
	}
	return c.open(ctx, &s.Published, o)
}
