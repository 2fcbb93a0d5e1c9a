package configs

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// node is a value of a config with the place it comes from: a table (keys is not nil), an array,
// or a scalar, which is a string, int64, float64, bool or time.Time.
type node struct {
	at     string // "madry.toml:14", or "-set train.epochs=3"
	line   int    // 0 for -set
	set    bool   // it, or something inside it, comes from -set
	was    string // for a name that -set changed: the one in the file
	keys   map[string]*node
	array  bool
	items  []*node
	scalar any
}

// parse reads the text of a file and lays the overrides over it.
func parse(f *File, set []string) (*node, error) {
	var values map[string]any
	if _, err := toml.Decode(string(f.Data), &values); err != nil {
		if pe, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, fmt.Errorf("%s:%d: not valid TOML: %s", f.Path, pe.Position.Line, pe.Message)
		}
		return nil, fmt.Errorf("%s: not valid TOML: %w", f.Path, err)
	}
	root := build(values, locate(string(f.Data)), node{at: f.Path}, f.Path)
	for _, s := range set {
		if err := root.override(s); err != nil {
			return nil, fmt.Errorf("-set %s: %w", s, err)
		}
	}
	return root, nil
}

// build joins values and places into nodes. A value whose line is unknown takes its parent's
// place. With an empty path, all nodes have the place of the parent (it is a -set).
func build(value any, s *spot, parent node, path string) *node {
	n := &node{at: parent.at, line: parent.line, set: parent.set}
	if path != "" && s != nil && s.line > 0 {
		n.at, n.line = fmt.Sprintf("%s:%d", path, s.line), s.line
	}
	if s == nil {
		s = &spot{}
	}
	switch v := value.(type) {
	case map[string]any:
		n.keys = make(map[string]*node, len(v))
		for key, inner := range v {
			n.keys[key] = build(inner, s.keys[key], *n, path)
		}
	case []map[string]any:
		for i, inner := range v {
			n.items = append(n.items, build(inner, at(s.items, i), *n, path))
		}
		n.array = true
	case []any:
		for i, inner := range v {
			n.items = append(n.items, build(inner, at(s.items, i), *n, path))
		}
		n.array = true
	default:
		n.scalar = v
	}
	return n
}

func at(items []*spot, i int) *spot {
	if i < len(items) {
		return items[i]
	}
	return nil
}

// override applies one "key=value". It makes tables that are missing; a number in the key picks
// an element of an array.
func (n *node) override(s string) error {
	key, text, ok := strings.Cut(s, "=")
	if !ok || strings.TrimSpace(key) == "" {
		return fmt.Errorf("expected key=value, such as train.epochs=3")
	}
	value := build(overrideValue(strings.TrimSpace(text)), nil, node{at: "-set " + s, set: true}, "")
	path := strings.Split(key, ".")
	for i := range path {
		if path[i] = strings.TrimSpace(path[i]); path[i] == "" {
			return fmt.Errorf("the key %q has an empty part", key)
		}
	}
	return n.put(path, value)
}

// element is the position in an array that a part of a path names, if there is one.
func (n *node) element(name string) (i int, ok bool) {
	i, err := strconv.Atoi(name)
	return i, err == nil && i >= 0 && i < len(n.items)
}

// put sets the value at a path below n, and makes the tables that are missing on the way.
func (n *node) put(path []string, value *node) error {
	name, rest := path[0], path[1:]
	n.set = true
	if n.array {
		i, ok := n.element(name)
		if !ok {
			return fmt.Errorf("there is no element %q in an array of %d (the first is 0)", name, len(n.items))
		}
		if len(rest) > 0 {
			return n.items[i].put(rest, value)
		}
		n.items[i] = value
		return nil
	}
	if n.keys == nil {
		return fmt.Errorf("there is no key %q in %s", name, n.describe())
	}
	old := n.keys[name]
	if len(rest) > 0 {
		if old == nil {
			old = &node{at: value.at, keys: map[string]*node{}}
			n.keys[name] = old
		}
		return old.put(rest, value)
	}
	if name == "name" && old != nil {
		inFile, _ := old.scalar.(string)
		value.was = cmp.Or(old.was, inFile)
	}
	n.keys[name] = value
	return nil
}

// overrideValue reads a TOML value, or else takes the text as a string.
func overrideValue(text string) any {
	var values map[string]any
	if _, err := toml.Decode("v = "+text, &values); err == nil && len(values) == 1 {
		return values["v"]
	}
	return text
}

// sorted returns the keys of a table in the order of their lines.
func (n *node) sorted() []string {
	return slices.SortedFunc(maps.Keys(n.keys), func(a, b string) int {
		return cmp.Or(cmp.Compare(n.keys[a].line, n.keys[b].line), cmp.Compare(a, b))
	})
}

// describe says what a value is, for a message.
func (n *node) describe() string {
	switch v := n.scalar.(type) {
	case string:
		return "the string " + quoteShort(v)
	case int64:
		return fmt.Sprintf("the integer %d", v)
	case float64:
		return "the float " + formatFloat(v, 64)
	case bool:
		return fmt.Sprintf("the boolean %t", v)
	case time.Time:
		return "a date"
	}
	if n.array {
		return "an array"
	}
	return "a table"
}

func quoteShort(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "..."
	}
	return strconv.Quote(s)
}

func formatFloat(x float64, bits int) string {
	s := strconv.FormatFloat(x, 'g', -1, bits)
	if !strings.ContainsAny(s, ".eIN") {
		s += ".0" // TOML would read an integer
	}
	return s
}
