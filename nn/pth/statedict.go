package pth

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"rampart/nn/dtype"
)

// named is a tensor of a state dict.
type named struct {
	name  string
	array *array
}

func (n named) float() bool { return dtype.Types[n.array.storage.kind].Float }

// holders are the keys under which programs save the state dict beside other things.
var holders = []string{"state_dict", "model", "net", "model_state_dict"}

// wrappers are what DataParallel and torch.compile put before every name.
var wrappers = []string{"module.", "_orig_mod."}

// stateDict finds the tensors by name.
func stateDict(root any) (found []named, notes []string, err error) {
	d, ok := root.(*dict)
	if !ok {
		if _, single := root.(*array); single {
			return nil, nil, errors.New("it holds a single tensor without a name: save a dictionary, such as a network's state_dict()")
		}
		return nil, nil, fmt.Errorf("it holds no dictionary of tensors but a %s: save a network's state_dict()", describe(root))
	}
	found, err = tensors(d)
	for _, key := range holders {
		if inner, ok := d.get(key).(*dict); ok && len(found) == 0 && err == nil {
			if found, err = tensors(inner); len(found) > 0 {
				notes = append(notes, fmt.Sprintf("the tensors are those under %q", key))
			}
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if len(found) == 0 {
		return nil, nil, fmt.Errorf("it holds no tensors by name, neither at its top nor under %q; its keys are %s", holders, d.keys())
	}
	for changed := true; changed; {
		changed = false
		for _, prefix := range wrappers {
			if unwrap(found, prefix) {
				notes = append(notes, fmt.Sprintf("the prefix %q was taken off all names", prefix))
				changed = true
			}
		}
	}
	return found, notes, nil
}

// unwrap takes a prefix off the names where all of them have it.
func unwrap(list []named, prefix string) bool {
	for _, t := range list {
		if !strings.HasPrefix(t.name, prefix) || t.name == prefix {
			return false
		}
	}
	for i := range list {
		list[i].name = list[i].name[len(prefix):]
	}
	return true
}

// tensors lists those of a dictionary.
func tensors(d *dict) (found []named, err error) {
	seen := map[string]bool{}
	for _, e := range d.entries {
		a, ok := e.value.(*array)
		if !ok {
			continue
		}
		name, ok := e.key.(string)
		if !ok || name == "" || !utf8.ValidString(name) {
			return nil, errors.New("a tensor's name is no text: the file is damaged, or no state dict")
		}
		if seen[name] {
			return nil, fmt.Errorf("it names %q twice: the file is damaged", name)
		}
		seen[name] = true
		found = append(found, named{name, a})
	}
	return found, nil
}

func (d *dict) get(key string) any {
	for _, e := range d.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// keys lists the first few for a person.
func (d *dict) keys() string {
	var list []string
	for i, e := range d.entries {
		if i == 8 {
			list = append(list, "…")
			break
		}
		name, ok := e.key.(string)
		if !ok {
			name = describe(e.key)
		} else {
			name = fmt.Sprintf("%.40q", name)
		}
		list = append(list, name)
	}
	if list == nil {
		return "none"
	}
	return strings.Join(list, ", ")
}

func describe(v any) string {
	switch v.(type) {
	case nil:
		return "None"
	case tuple:
		return "tuple"
	case *list:
		return "list"
	case *dict:
		return "dictionary"
	case *array:
		return "tensor"
	case string:
		return "text"
	}
	return "value"
}
