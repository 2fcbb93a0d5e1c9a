// Package registry keeps the things that a config can choose by name: attacks, defences, models,
// data sets, losses. A kind of thing is a Go interface type T; each thing registers a function
// that returns a pointer to a struct with its defaults set. The exported fields that carry a
// `toml:"..."` tag are its options, and its Validate method judges them once they are read.
//
//	func init() { registry.Register[Attack]("pgd", func() Attack { return &PGD{Steps: 40} }) }
package registry

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// kind holds what is registered for one interface type.
type kind struct {
	word     string         // what messages call it
	defaults map[string]any // name -> func() T
}

var (
	mu    sync.RWMutex
	kinds = map[reflect.Type]*kind{}
)

// kindOf returns the entry of T, made on first use. The caller holds mu for writing.
func kindOf[T any]() *kind {
	t := reflect.TypeFor[T]()
	if kinds[t] == nil {
		kinds[t] = &kind{word: strings.ToLower(t.Name()), defaults: map[string]any{}}
	}
	return kinds[t]
}

// Kind sets the word for T in messages, such as "data set". Without it, it is T's own name.
func Kind[T any](word string) {
	mu.Lock()
	defer mu.Unlock()
	kindOf[T]().word = word
}

// Word returns the word for T in messages.
func Word[T any]() string {
	mu.Lock()
	defer mu.Unlock()
	return kindOf[T]().word
}

// Register makes a thing known under a name. defaults is called for every use, so that no two
// uses share a value. A name that is empty or taken is a programming mistake, and panics.
func Register[T any](name string, defaults func() T) {
	mu.Lock()
	defer mu.Unlock()
	k := kindOf[T]()
	if name == "" {
		panic(fmt.Sprintf("registry: %s without a name", k.word))
	}
	if _, taken := k.defaults[name]; taken {
		panic(fmt.Sprintf("registry: %s %q is registered twice", k.word, name))
	}
	k.defaults[name] = defaults
}

// New returns a fresh value with the defaults of the thing called name. The error for an
// unknown name lists the known ones, and the nearest.
func New[T any](name string) (T, error) {
	mu.RLock()
	var fresh func() T
	if k := kinds[reflect.TypeFor[T]()]; k != nil {
		fresh, _ = k.defaults[name].(func() T)
	}
	mu.RUnlock()
	if fresh == nil {
		var none T
		return none, Unknown(Word[T](), name, Names[T]())
	}
	return fresh(), nil
}

// Names returns the registered names of T, sorted.
func Names[T any]() []string {
	mu.RLock()
	defer mu.RUnlock()
	k := kinds[reflect.TypeFor[T]()]
	if k == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(k.defaults))
}
