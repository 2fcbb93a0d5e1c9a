package pth

import (
	"errors"
	"fmt"
	"strings"

	"rampart/nn/dtype"
)

// storage is an array of numbers that tensors are views of.
type storage struct {
	kind  string // in dtype.Types
	count int64
	used  bool // by a tensor that is wanted
	data  []float32
}

// view is a part of a storage.
type view struct {
	storage  *storage
	from, to int64
}

// array is a tensor before its storage has been read.
type array struct {
	view
	offset        int64
	shape, stride []int64
}

// storageClass is one of PyTorch's classes of storages, by the type of its numbers.
type storageClass string

var storageClasses = map[string]storageClass{
	"torch.FloatStorage": "F32", "torch.DoubleStorage": "F64", "torch.HalfStorage": "F16", "torch.BFloat16Storage": "BF16",
	"torch.LongStorage": "I64", "torch.IntStorage": "I32", "torch.ShortStorage": "I16", "torch.CharStorage": "I8",
	"torch.ByteStorage": "U8", "torch.BoolStorage": "BOOL",
}

// functions are all that a file may call: containers, and what puts tensors together.
var functions = map[string]function{
	"collections.OrderedDict":         orderedDict,
	"torch.Size":                      size,
	"torch._utils._rebuild_tensor":    rebuild(4, 4),
	"torch._utils._rebuild_tensor_v2": rebuild(6, 7),
	"torch._utils._rebuild_parameter": parameter,
}

// ForeignError says that a file holds something other than tensors and containers. Nothing of it
// was executed.
type ForeignError struct{ Class string }

func (e *ForeignError) Error() string {
	return fmt.Sprintf("it holds %q, which is neither a tensor nor a container: such files can execute code, so this one is refused, and nothing of it was executed; in PyTorch, torch.save(model.state_dict(), \"NAME.pth\") saves the weights alone", e.Class)
}

// global resolves what torch.save writes for tensors, and refuses everything else.
func global(name string) (any, error) {
	if f := functions[name]; f != nil {
		return f, nil
	}
	if c, ok := storageClasses[strings.Replace(name, "torch.cuda.", "torch.", 1)]; ok {
		return c, nil
	}
	return nil, &ForeignError{name}
}

// orderedDict is called without arguments, or by Python 2 with a list of pairs.
func orderedDict(args tuple) (any, error) {
	d := &dict{}
	if len(args) == 0 {
		return d, nil
	}
	pairs, ok := args[0].(*list)
	if !ok || len(args) > 1 {
		return nil, errors.New("an OrderedDict of something else than pairs: the file is damaged")
	}
	for _, p := range pairs.items {
		l, ok := p.(*list)
		if !ok || len(l.items) != 2 {
			return nil, errors.New("an OrderedDict of something else than pairs: the file is damaged")
		}
		if err := d.add(l.items); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func size(args tuple) (any, error) {
	if len(args) == 1 {
		if t, ok := args[0].(tuple); ok {
			return t, nil
		}
	}
	return nil, errors.New("a torch.Size that is no tuple: the file is damaged")
}

// parameter is a tensor that an optimiser may change: (tensor, requires_grad, hooks).
func parameter(args tuple) (any, error) {
	if len(args) > 0 {
		if a, ok := args[0].(*array); ok {
			return a, nil
		}
	}
	return nil, errors.New("a parameter that is no tensor: the file is damaged")
}

// rebuild makes a tensor of (storage, offset, shape, stride, …).
func rebuild(least, most int) function {
	return func(args tuple) (any, error) {
		if len(args) < least || len(args) > most {
			return nil, fmt.Errorf("a tensor of %d arguments: the file is damaged", len(args))
		}
		v, ok := args[0].(view)
		offset, isNumber := args[1].(int64)
		shape, err := integers(args[2])
		if err != nil {
			return nil, err
		}
		stride, err := integers(args[3])
		if err != nil {
			return nil, err
		}
		if !ok || !isNumber {
			return nil, errors.New("a tensor without storage or offset: the file is damaged")
		}
		a := &array{view: v, offset: offset, shape: shape, stride: stride}
		return a, a.check()
	}
}

func integers(v any) ([]int64, error) {
	t, ok := v.(tuple)
	if !ok {
		return nil, errors.New("the shape or stride of a tensor is no tuple: the file is damaged")
	}
	list := make([]int64, len(t))
	for i, x := range t {
		if list[i], ok = x.(int64); !ok || list[i] < 0 {
			return nil, errors.New("the shape or stride of a tensor is no list of numbers from 0: the file is damaged")
		}
	}
	return list, nil
}

// persistent makes a storage known: ("storage", class, key, location, count[, view]).
func (f *file) persistent(id tuple) (any, error) {
	damaged := errors.New("a storage that is not described as torch.save does: the file is damaged")
	if len(id) > 1 && id[0] == "module" { // legacy, of a network saved as a whole
		return nil, &ForeignError{"a network with its code"}
	}
	if len(id) < 5 || id[0] != "storage" {
		return nil, damaged
	}
	class, ok1 := id[1].(storageClass)
	key, ok2 := id[2].(string)
	count, ok3 := id[4].(int64)
	if !ok1 || !ok2 || !ok3 || count < 0 {
		return nil, damaged
	}
	s := f.storages[key]
	if s == nil {
		if count > f.size/int64(dtype.Types[string(class)].Size) {
			return nil, fmt.Errorf("a storage of %d numbers in a file of %d bytes: the file is cut off or damaged", count, f.size)
		}
		s = &storage{kind: string(class), count: count}
		f.storages[key] = s
	}
	if s.kind != string(class) || s.count != count {
		return nil, damaged
	}
	v := view{s, 0, count}
	if len(id) > 5 && id[5] != nil { // legacy: (key, offset, count)
		part, ok := id[5].(tuple)
		if !ok || len(part) != 3 {
			return nil, damaged
		}
		from, ok1 := part[1].(int64)
		n, ok2 := part[2].(int64)
		if !ok1 || !ok2 || from < 0 || n < 0 || from > count || n > count-from {
			return nil, damaged
		}
		v.from, v.to = from, from+n
	}
	return v, nil
}
