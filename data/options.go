package data

import (
	"context"

	"rampart/nn/registry"
)

// Options are what a config sets beside the data set's own options.
type Options struct {
	// Download allows published files that are missing to be fetched.
	Download bool
	// OnError is FailOnError or SkipOnError ("" is the first): what an image does that cannot be read.
	OnError string
	// Progress, where not nil, is told how far a long part of the work is, such as a download.
	Progress func(what string, done, total int64)
}

// Values of Options.OnError.
const (
	FailOnError = "fail"
	SkipOnError = "skip"
)

// Parts are the splits of a data set.
type Parts struct {
	Train, Test *Dataset
	// Validation is nil where the data set has no such split of its own.
	Validation *Dataset
	// Notes say what was done to images that are not as usual: converted, passed over.
	Notes []string
}

// Opener is a Source that heeds Options.
type Opener interface {
	Source
	Open(ctx context.Context, o Options) (*Parts, error)
	// Heeds says which options mean something to it.
	Heeds() (download, onError bool)
}

// Sized is a Source whose images can be brought to a size.
type Sized interface {
	// DefaultSize sets it where the options leave it open, and says whether they do.
	DefaultSize(side int) bool
}

// Open loads a data set.
func Open(ctx context.Context, s Source, o Options) (*Parts, error) {
	if opener, ok := s.(Opener); ok {
		return opener.Open(ctx, o)
	}
	train, test, err := s.Load()
	if err != nil {
		return nil, err
	}
	return &Parts{Train: train, Test: test}, nil
}

// load implements Source.Load by Open.
func load(s Opener) (train, test *Dataset, err error) {
	p, err := s.Open(context.Background(), Options{})
	if err != nil {
		return nil, nil, err
	}
	return p.Train, p.Test, nil
}

// Check reports options that a data set does not heed, as a *registry.KeyError.
func (o Options) Check(s Source) error {
	var download, onError bool
	if opener, ok := s.(Opener); ok {
		download, onError = opener.Heeds()
	}
	switch {
	case o.OnError != "" && o.OnError != FailOnError && o.OnError != SkipOnError:
		return registry.Errorf("on_error", "%q: use %q or %q", o.OnError, FailOnError, SkipOnError)
	case o.OnError == SkipOnError && !onError:
		return registry.Errorf("on_error", "%q is for data sets of image files, which this one is not", o.OnError)
	case o.Download && !download:
		return registry.Errorf("download", "this data set has no published files to fetch: remove the key")
	}
	return nil
}
