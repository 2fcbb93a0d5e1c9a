package configs

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"rampart/nn/registry"
)

// Validator is implemented by structs that judge their options once they are decoded. An error
// made by registry.Errorf says which option is wrong, so that its line is shown.
type Validator interface{ Validate() error }

// validate calls Validate on every struct in v, inner ones first. n is the table that v was read
// from, nil if there is none, and at the place to name then.
func validate(v reflect.Value, n *node, at, path string) error {
	if n != nil {
		at = n.at
	}
	if c, ok := asChoice(v); ok {
		_, value := c.chosen()
		if value == nil {
			return nil
		}
		return validate(reflect.ValueOf(value), n, at, path)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return validate(v.Elem(), n, at, path)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			var item *node
			if n != nil && i < len(n.items) {
				item = n.items[i]
			}
			if err := validate(v.Index(i), item, at, join(path, fmt.Sprint(i))); err != nil {
				return err
			}
		}
	case reflect.Map:
		for _, key := range sortedKeys(v) {
			if err := validate(v.MapIndex(key), n.key(key.String()), at, join(path, key.String())); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for _, o := range options(v.Type()) {
			if err := validate(v.FieldByIndex(o.index), n.key(o.key), at, join(path, o.key)); err != nil {
				return err
			}
		}
		return callValidate(v, n, at, path)
	}
	return nil
}

func callValidate(v reflect.Value, n *node, at, path string) error {
	if !v.CanAddr() { // an element of a map, or a struct in an interface
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		v = p.Elem()
	}
	validator, ok := v.Addr().Interface().(Validator)
	if !ok {
		return nil
	}
	err := validator.Validate()
	if wrong, ok := errors.AsType[*registry.KeyError](err); ok {
		for key := range strings.SplitSeq(wrong.Key, ".") {
			if n = n.key(key); n != nil {
				at = n.at
			}
		}
		return fmt.Errorf("%s: %q: %w", at, join(path, wrong.Key), wrong.Err)
	}
	switch {
	case err == nil:
		return nil
	case path == "":
		return fmt.Errorf("%s: %w", at, err)
	}
	return fmt.Errorf("%s: [%s]: %w", at, path, err)
}

// key returns the node of a key in a table, nil if there is none.
func (n *node) key(name string) *node {
	if n == nil {
		return nil
	}
	return n.keys[name]
}
