package configs

import (
	"bytes"
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Encode writes a config as TOML, in the order of its fields: of each table first the plain keys,
// then the inner tables. Decoded again over the same defaults it gives an equal value. Nil
// pointers and maps, Choices that are not set, and empty fields tagged omitempty are left out.
func Encode(v any) ([]byte, error) {
	e := &encoder{}
	if err := e.table(reflect.ValueOf(v), nil, ""); err != nil {
		return nil, fmt.Errorf("cannot write the config: %w", err)
	}
	return bytes.TrimLeft(e.Bytes(), "\n"), nil
}

type encoder struct{ bytes.Buffer }

// entry is one key of a table.
type entry struct {
	key   string
	value reflect.Value
}

// table writes a table under its header, which is empty for the root.
func (e *encoder) table(v reflect.Value, path toml.Key, header string) error {
	var plain, inner []entry
	for _, field := range entries(v) {
		if isTable(field.value) || isTables(field.value) {
			inner = append(inner, field)
		} else {
			plain = append(plain, field)
		}
	}
	// A header may be left out where those of the inner tables imply it.
	if header != "" && (len(plain) > 0 || len(inner) == 0 || strings.HasPrefix(header, "[[")) {
		fmt.Fprintf(e, "\n%s\n", header)
	}
	for _, field := range plain {
		text, err := inline(field.value)
		if err != nil {
			return fmt.Errorf("%q: %w", append(slices.Clone(path), field.key).String(), err)
		}
		fmt.Fprintf(e, "%s = %s\n", toml.Key{field.key}, text)
	}
	for _, field := range inner {
		key := append(slices.Clone(path), field.key)
		if isTable(field.value) {
			if err := e.table(field.value, key, "["+key.String()+"]"); err != nil {
				return err
			}
			continue
		}
		for i := range field.value.Len() {
			if absent(field.value.Index(i)) {
				return fmt.Errorf("%q: element %d is not set", key.String(), i)
			}
			if err := e.table(field.value.Index(i), key, "[["+key.String()+"]]"); err != nil {
				return err
			}
		}
	}
	return nil
}

// entries lists what a table holds.
func entries(v reflect.Value) []entry {
	var list []entry
	if c, ok := asChoice(v); ok {
		name, value := c.chosen()
		if name != "" {
			list = append(list, entry{"name", reflect.ValueOf(name)})
		}
		return append(list, entries(reflect.ValueOf(value))...)
	}
	switch v.Kind() {
	case reflect.Pointer:
		return entries(v.Elem())
	case reflect.Map:
		for _, key := range sortedKeys(v) {
			list = append(list, entry{key.String(), v.MapIndex(key)})
		}
	case reflect.Struct:
		for _, o := range options(v.Type()) {
			field := v.FieldByIndex(o.index)
			if absent(field) || o.omitempty && field.IsZero() {
				continue
			}
			list = append(list, entry{o.key, field})
		}
	}
	return list
}

func absent(v reflect.Value) bool {
	if c, ok := asChoice(v); ok {
		_, value := c.chosen()
		return value == nil
	}
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Map) && v.IsNil()
}

// asChoice returns v as a Choice. It may work on a copy, since v need not be addressable.
func asChoice(v reflect.Value) (choice, bool) {
	if v.Kind() != reflect.Struct {
		return nil, false
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	c, ok := p.Interface().(choice)
	return c, ok
}

var textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()

func isTableType(t reflect.Type) bool {
	if t.Implements(textMarshaler) || reflect.PointerTo(t).Implements(textMarshaler) {
		return false
	}
	if t.Kind() == reflect.Pointer {
		return isTableType(t.Elem())
	}
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Map
}

func isTable(v reflect.Value) bool { return isTableType(v.Type()) }

// isTables says whether v is written as [[key]] tables; an empty slice cannot be.
func isTables(v reflect.Value) bool {
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Array) && v.Len() > 0 && isTableType(v.Type().Elem())
}

// inline writes a value that is no table.
func inline(v reflect.Value) (string, error) {
	if v.Type().Implements(textMarshaler) {
		return marshalText(v)
	}
	if p := reflect.New(v.Type()); p.Type().Implements(textMarshaler) {
		p.Elem().Set(v)
		return marshalText(p)
	}
	switch v.Kind() {
	case reflect.Pointer:
		return inline(v.Elem())
	case reflect.String:
		return quote(v.String()), nil
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v.Uint() > math.MaxInt64 {
			return "", fmt.Errorf("%d is larger than TOML's largest integer, %d", v.Uint(), math.MaxInt64)
		}
		return strconv.FormatUint(v.Uint(), 10), nil
	case reflect.Float32, reflect.Float64:
		if x := v.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
			return "", fmt.Errorf("%v is no finite number", x)
		}
		return formatFloat(v.Float(), v.Type().Bits()), nil
	case reflect.Slice, reflect.Array:
		parts := make([]string, v.Len())
		for i := range parts {
			var err error
			if parts[i], err = inline(v.Index(i)); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(parts, ", ") + "]", nil
	}
	return "", fmt.Errorf("a %s cannot stand in an array", v.Type())
}

func marshalText(v reflect.Value) (string, error) {
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	return quote(string(text)), err
}

// quote writes a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}
