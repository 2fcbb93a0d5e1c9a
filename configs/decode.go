package configs

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"rampart/nn/registry"
)

// Defaulter is implemented by the pointer to a struct whose defaults are not the zero value. It is
// called when a config makes a new one: behind a pointer that was nil, in a slice, in a map.
type Defaulter interface{ Defaults() }

// Decode reads a config into the struct that into points to, which holds the defaults, and then
// calls Validate on every struct in it, inner ones first. set holds overrides, "key=value": the
// value is TOML, or else a bare string. Options are the exported fields with a `toml:"key"` tag;
// structs without a tag that are embedded lend their options. Slices in the config replace the
// default, tables and maps are laid over it.
//
// The config must not have a key that is no option. The first error that is found is returned;
// into may be partly changed then.
func Decode(f *File, set []string, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("configs: Decode into %T, want a pointer to a struct", into))
	}
	root, err := parse(f, set)
	if err != nil {
		return err
	}
	if err := decodeStruct(v.Elem(), root, "", nil); err != nil {
		return err
	}
	return validate(v.Elem(), root, root.at, "")
}

// option is a field of a struct that a config can set.
type option struct {
	key       string
	index     []int
	omitempty bool
}

// options lists the options of a struct in the order of its fields.
func options(t reflect.Type) []option {
	var list []option
	for _, f := range reflect.VisibleFields(t) {
		key, flags, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if f.IsExported() && key != "" && key != "-" && !insideOption(t, f.Index) {
			list = append(list, option{key, f.Index, flags == "omitempty"})
		}
	}
	return list
}

// insideOption says whether a field is promoted from an embedded struct that is itself an option.
func insideOption(t reflect.Type, index []int) bool {
	for depth := 1; depth < len(index); depth++ {
		if t.FieldByIndex(index[:depth]).Tag.Get("toml") != "" {
			return true
		}
	}
	return false
}

func optionKeys(t reflect.Type) []string {
	var keys []string
	for _, o := range options(t) {
		keys = append(keys, o.key)
	}
	return keys
}

// decodeStruct lays a table over a struct. Keys in handled were read by the caller.
func decodeStruct(v reflect.Value, n *node, path string, handled []string) error {
	if n.keys == nil {
		return n.wrongType(path, "a table")
	}
	list := options(v.Type())
	for _, key := range n.sorted() {
		inner := join(path, key)
		i := slices.IndexFunc(list, func(o option) bool { return o.key == key })
		switch {
		case slices.Contains(handled, key):
		case i < 0:
			return unknownKey(n.keys[key], inner, key, append(handled, optionKeys(v.Type())...))
		default:
			if err := decodeValue(v.FieldByIndex(list[i].index), n.keys[key], inner); err != nil {
				return err
			}
		}
	}
	return nil
}

// decodeValue reads a node into a Go value of any type that an option may have.
func decodeValue(v reflect.Value, n *node, path string) error {
	switch target := v.Addr().Interface().(type) {
	case choice:
		return target.decode(n, path)
	case encoding.TextUnmarshaler:
		if n.array && v.Kind() == reflect.Slice { // a list whose only element may stand without brackets
			break
		}
		s, ok := n.scalar.(string)
		if !ok {
			return n.wrongType(path, "a string")
		}
		if err := target.UnmarshalText([]byte(s)); err != nil {
			return n.errorf("%q: %w", path, err)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		fresh := newValue(v.Type().Elem())
		if !v.IsNil() {
			fresh.Set(v.Elem())
		}
		v.Set(fresh.Addr())
		return decodeValue(fresh, n, path)
	case reflect.Struct:
		return decodeStruct(v, n, path, nil)
	case reflect.Map:
		return decodeMap(v, n, path)
	case reflect.Slice, reflect.Array:
		return decodeList(v, n, path)
	}
	return decodeScalar(v, n, path)
}

func decodeList(v reflect.Value, n *node, path string) error {
	if !n.array {
		return n.wrongType(path, "an array")
	}
	if v.Kind() == reflect.Slice {
		if v.IsNil() && len(n.items) == 0 {
			return nil // stays nil, so that a nil slice survives Encode and Decode
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	} else if v.Len() != len(n.items) {
		return n.errorf("%q: expected %d values, found %d", path, v.Len(), len(n.items))
	}
	for i, item := range n.items {
		element := newValue(v.Type().Elem())
		if err := decodeValue(element, item, join(path, fmt.Sprint(i))); err != nil {
			return err
		}
		v.Index(i).Set(element)
	}
	return nil
}

func decodeMap(v reflect.Value, n *node, path string) error {
	if n.keys == nil {
		return n.wrongType(path, "a table")
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, key := range n.sorted() {
		k := reflect.ValueOf(key).Convert(v.Type().Key())
		element := newValue(v.Type().Elem())
		if old := v.MapIndex(k); old.IsValid() {
			element.Set(old)
		}
		if err := decodeValue(element, n.keys[key], join(path, key)); err != nil {
			return err
		}
		v.SetMapIndex(k, element)
	}
	return nil
}

func decodeScalar(v reflect.Value, n *node, path string) error {
	switch v.Kind() {
	case reflect.String:
		s, ok := n.scalar.(string)
		if !ok {
			return n.wrongType(path, "a string")
		}
		v.SetString(s)
	case reflect.Bool:
		b, ok := n.scalar.(bool)
		if !ok {
			return n.wrongType(path, "a boolean")
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, ok := n.scalar.(int64)
		if !ok {
			return n.wrongType(path, "an integer")
		}
		if v.OverflowInt(i) {
			return n.errorf("%q: %d does not fit in %d bits", path, i, v.Type().Bits())
		}
		v.SetInt(i)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		i, ok := n.scalar.(int64)
		if !ok || i < 0 {
			return n.wrongType(path, "an integer from 0")
		}
		if v.OverflowUint(uint64(i)) {
			return n.errorf("%q: %d does not fit in %d bits", path, i, v.Type().Bits())
		}
		v.SetUint(uint64(i))
	case reflect.Float32, reflect.Float64:
		return decodeFloat(v, n, path)
	default:
		panic(fmt.Sprintf("configs: option %q has the type %s, which no config can hold", path, v.Type()))
	}
	return nil
}

func decodeFloat(v reflect.Value, n *node, path string) error {
	var x float64
	switch s := n.scalar.(type) {
	case float64:
		x = s
	case int64:
		x = float64(s)
	case string:
		number, err := ParseNumber(s)
		if err != nil {
			return n.errorf("%q: %w", path, err)
		}
		x = float64(number)
	default:
		return n.wrongType(path, "a number")
	}
	if math.IsNaN(x) || math.IsInf(x, 0) || v.OverflowFloat(x) {
		return n.wrongType(path, "a finite number")
	}
	v.SetFloat(x)
	return nil
}

// newValue returns an addressable value of type t with its defaults.
func newValue(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	if d, ok := p.Interface().(Defaulter); ok {
		d.Defaults()
	}
	return p.Elem()
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (n *node) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", n.at, fmt.Errorf(format, args...))
}

func (n *node) wrongType(path, want string) error {
	return n.errorf("%q: expected %s, found %s", path, want, n.describe())
}

func unknownKey(n *node, path, key string, known []string) error {
	if near, ok := registry.Nearest(key, known); ok {
		return n.errorf("unknown key %q: did you mean %q?", path, near)
	}
	if len(known) == 0 {
		return n.errorf("unknown key %q: this table has no options", path)
	}
	return n.errorf("unknown key %q: the keys here are %s", path, strings.Join(known, ", "))
}
