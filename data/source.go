package data

import "rampart/nn/registry"

// Source is a data set that a config can name. It is a pointer to a struct whose fields tagged
// `toml:"..."` are its options. Adding one takes one file, which calls
//
//	func init() { registry.Register[Source]("name", func() Source { return &Name{Option: default} }) }
type Source interface {
	// Validate judges the options, without reading the data. An error that concerns one option is
	// a *registry.KeyError.
	Validate() error
	// Load reads and checks both parts, which must agree in shape and classes. Every call returns
	// the same examples in the same order, since they are numbered by their position; the data
	// sets are the caller's own.
	Load() (train, test *Dataset, err error)
}

func init() { registry.Kind[Source]("data set") }
