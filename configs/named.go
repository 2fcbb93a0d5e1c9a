package configs

import (
	"slices"
	"strings"
)

// Named tells what a config that Decode has read says itself: the function reports whether the table at a
// path, such as "eval.attack.0", or one within it names any of the keys.
func Named(f *File, set []string) func(path string, keys ...string) bool {
	root, err := parse(f, set)
	return func(path string, keys ...string) bool {
		n := root
		for key := range strings.SplitSeq(path, ".") {
			if n == nil || err != nil {
				return false
			}
			n = n.inner(key)
		}
		return n.names(keys)
	}
}

// inner is the value of a key, or the element of an array, nil if there is none.
func (n *node) inner(key string) *node {
	if !n.array {
		return n.keys[key]
	}
	if i, ok := n.element(key); ok {
		return n.items[i]
	}
	return nil
}

func (n *node) names(keys []string) bool {
	if n == nil {
		return false
	}
	for key, value := range n.keys {
		if slices.Contains(keys, key) || value.names(keys) {
			return true
		}
	}
	return slices.ContainsFunc(n.items, func(item *node) bool { return item.names(keys) })
}
