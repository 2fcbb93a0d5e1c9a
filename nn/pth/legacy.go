package pth

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"

	"rampart/nn/dtype"
)

// legacyMagic begins a file of the format before zip.
const legacyMagic = "1950a86a20f9469cfc6c"

// legacyProtocol is the version that follows it.
const legacyProtocol = 1001

// openLegacy reads a row of pickles: the magic number, the version, the system, the objects, and the
// keys of the storages; load then reads these in that order, each a count of 8 bytes before its
// numbers, which are little-endian on every system.
func (f *file) openLegacy() (root any, load func() error, err error) {
	r, left := f.section(0, f.size), f.size
	next := func() (any, error) {
		v, n, err := unpickle(r, left, global, f.persistent)
		left -= n
		return v, err
	}
	magic, err := next()
	if err != nil {
		return nil, nil, err
	}
	if n, ok := magic.(*big.Int); !ok || n.Text(16) != legacyMagic {
		return nil, nil, errors.New("it is a pickle, but not by torch.save, or by one before PyTorch 0.4: load it there and save its state_dict() anew")
	}
	version, err := next()
	if err != nil {
		return nil, nil, err
	}
	if version != any(int64(legacyProtocol)) {
		return nil, nil, fmt.Errorf("its format is of another version than %d: save it anew with a PyTorch of today", legacyProtocol)
	}
	if _, err := next(); err != nil { // the system
		return nil, nil, err
	}
	if root, err = next(); err != nil {
		return nil, nil, err
	}
	keys, err := next()
	if err != nil {
		return nil, nil, err
	}
	names, ok := keys.(*list)
	if !ok {
		return nil, nil, errors.New("the keys of its storages are no list: the file is damaged")
	}
	return root, func() error { return f.loadLegacy(r, left, names.items) }, nil
}

func (f *file) loadLegacy(r *bufio.Reader, left int64, keys []any) error {
	for _, k := range keys {
		key, _ := k.(string)
		s := f.storages[key]
		if s == nil || s.data != nil {
			return fmt.Errorf("its list of storages names %.40q, which the tensors do not, or twice: the file is damaged", key)
		}
		kind := dtype.Types[s.kind]
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return errors.New("the file is cut off")
		}
		if n := binary.LittleEndian.Uint64(head[:]); n != uint64(s.count) {
			return fmt.Errorf("storage %.40q has %d numbers, want %d: the file is damaged", key, n, s.count)
		}
		size := s.count * int64(kind.Size)
		if left -= 8 + size; left < 0 {
			return errors.New("the file is cut off")
		}
		if !s.used {
			if _, err := io.CopyN(io.Discard, r, size); err != nil {
				return errors.New("the file is cut off")
			}
			s.data = []float32{}
			continue
		}
		s.data = make([]float32, s.count)
		if err := dtype.Read(r, s.data, kind); err != nil {
			return fmt.Errorf("the file is cut off (%w)", err)
		}
	}
	for key, s := range f.storages {
		if s.used && s.data == nil {
			return fmt.Errorf("storage %.40q is missing: the file is damaged", key)
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
