package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"rampart/nn/registry"
)

// Choice is a table whose key "name" picks one of the things registered for the interface T
// (see package registry); the rest of the table sets that thing's options, over its defaults:
//
//	[attack]
//	name = "pgd"
//	eps = 0.3
//
// Where the name is missing, or is that of the default Choice, the options are laid over the
// default's value instead.
type Choice[T any] struct {
	Name  string
	Value T
}

// Choose returns the Choice of a name, with the defaults of the thing registered under it.
func Choose[T any](name string) (Choice[T], error) {
	value, err := registry.New[T](name)
	if err != nil {
		return Choice[T]{}, err
	}
	return Choice[T]{Name: name, Value: value}, nil
}

// Set says whether something is chosen.
func (c Choice[T]) Set() bool { return any(c.Value) != nil }

// choice is a pointer to any Choice.
type choice interface {
	decode(n *node, path string) error
	chosen() (name string, value any)
}

func (c *Choice[T]) chosen() (string, any) { return c.Name, c.Value }

func (c *Choice[T]) decode(n *node, path string) error {
	if n.keys == nil {
		return n.wrongType(path, `a table with a key "name"`)
	}
	name, where := c.Name, n
	if key := n.keys["name"]; key != nil {
		s, ok := key.scalar.(string)
		if !ok {
			return key.wrongType(join(path, "name"), "a string")
		}
		if s != "" {
			name, where = s, key
		}
	}
	if name == "" && !c.Set() {
		return n.errorf("%q: missing key \"name\", which picks the %s (known: %s)", path, registry.Word[T](), strings.Join(registry.Names[T](), ", "))
	}
	before := c.Name
	if name != c.Name || !c.Set() {
		chosen, err := Choose[T](name)
		if err != nil {
			return where.errorf("%q: %w", join(path, "name"), err)
		}
		*c = chosen
	}
	c.forget(n, before)
	return c.decodeOptions(n, path)
}

// forget drops what the file says for the thing that it named, where -set has named another one:
// options that only the first has. What -set itself says stays, and so do options of both.
func (c *Choice[T]) forget(n *node, before string) {
	name := n.keys["name"]
	if name == nil || !name.set {
		return
	}
	if name.was != "" {
		before = name.was
	}
	old, err := registry.New[T](before)
	if err != nil || before == c.Name {
		return
	}
	oldKeys, keys := optionKeys(structOf(old)), optionKeys(structOf(c.Value))
	for key, value := range n.keys {
		if !value.set && slices.Contains(oldKeys, key) && !slices.Contains(keys, key) {
			delete(n.keys, key)
		}
	}
}

func (c *Choice[T]) decodeOptions(n *node, path string) error {
	v := reflect.ValueOf(c.Value)
	if v.Kind() == reflect.Pointer {
		return decodeStruct(v.Elem(), n, path, []string{"name"})
	}
	options := reflect.New(structOf(c.Value)).Elem() // a struct in an interface cannot be set in place
	options.Set(v)
	err := decodeStruct(options, n, path, []string{"name"})
	c.Value = options.Interface().(T)
	return err
}

// structOf returns the struct type that holds the options of a registered thing.
func structOf(thing any) reflect.Type {
	t := reflect.TypeOf(thing)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("configs: a %T is registered, want a struct or a pointer to one", thing))
	}
	return t
}
