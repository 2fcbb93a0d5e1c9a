package checkpoints

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"rampart/nn/dtype"
	"rampart/nn/registry"
)

// maxHeader is the largest header that the safetensors library reads, in bytes.
const maxHeader = 100_000_000

// container is a safetensors file as it was read.
type container struct {
	metadata map[string]string
	tensors  []Tensor
	types    map[string]string // number formats
	// sum is the checksum of what was read; it means something for files of ours only.
	sum string
}

// open opens a regular file; its errors name the path.
func open(path string) (f *os.File, size int64, err error) {
	if f, err = os.Open(path); err != nil {
		return nil, 0, registry.Quoted(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is a folder or a device, not a file", path)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func openContainer(path string) (*container, error) {
	f, size, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := readContainer(bufio.NewReaderSize(f, 1<<16), size)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	return c, nil
}

// readContainer reads a file of the given size. What it allocates stays within a small multiple
// of that, whatever the header claims.
func readContainer(r io.Reader, size int64) (*container, error) {
	head, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	c := &container{}
	entries, err := c.parseHeader(head[8:])
	if err != nil {
		return nil, fmt.Errorf("%w: the file is damaged, or no safetensors file", err)
	}
	if err := c.layOut(entries, size-int64(len(head))); err != nil {
		return nil, err
	}
	sum := sha256.New()
	if at := bytes.Index(head, sumKey) + len(sumKey); at >= len(sumKey) && at+len(noSum) <= len(head) {
		copy(head[at:], noSum)
	}
	sum.Write(head)
	r = io.TeeReader(r, sum)
	for i := range c.tensors {
		t := &c.tensors[i]
		n, _ := elements(t.Shape) // layOut has checked it
		t.Data = make([]float32, n)
		if err := dtype.Read(r, t.Data, dtype.Types[entries[t.Name].Type]); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
	}
	c.sum = hex.EncodeToString(sum.Sum(nil))
	return c, nil
}

// readHeader returns the header with the 8 bytes of its length before it.
func readHeader(r io.Reader, size int64) ([]byte, error) {
	if size == 0 {
		return nil, errors.New("the file is empty")
	}
	start := make([]byte, min(8, size))
	if _, err := io.ReadFull(r, start); err != nil {
		return nil, err
	}
	if size < 8 {
		return nil, fmt.Errorf("%d bytes are no safetensors file, or one that is cut off", size)
	}
	length := binary.LittleEndian.Uint64(start)
	if length > maxHeader || int64(length) > size-8 {
		return nil, notSafetensors(start, length, size)
	}
	head := append(start, make([]byte, length)...)
	if _, err := io.ReadFull(r, head[8:]); err != nil {
		return nil, err
	}
	return head, nil
}

// notSafetensors says what a file without a sensible length of the header may be instead.
func notSafetensors(start []byte, length uint64, size int64) error {
	switch {
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), start[0] == 0x80 && start[1] >= 2 && start[1] <= 5:
		return errors.New("a zip archive or a pickle, perhaps by torch.save: train info shows what it holds, and init = \"FILE\" in a config starts from it")
	case start[0] == '{' || start[0] == '[':
		return errors.New("no safetensors file: it looks like JSON")
	}
	return fmt.Errorf("the header would be %d bytes long, in a file of %d: it is no safetensors file, or cut off", length, size)
}

// parseHeader reads the JSON object; the json package alone would let names occur twice.
func (c *container) parseHeader(text []byte) (map[string]entry, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the header is no JSON object")
	}
	entries := map[string]entry{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("the header is not valid JSON (%w)", err)
		}
		name, _ := token.(string) // a key always is
		if _, twice := entries[name]; twice || name == metadataKey && c.metadata != nil {
			return nil, fmt.Errorf("the header names %q twice", name)
		}
		if name == metadataKey {
			err = d.Decode(&c.metadata)
		} else {
			var e entry
			if err = d.Decode(&e); err == nil && e.Shape == nil {
				err = errors.New("it has no shape")
			}
			entries[name] = e
		}
		if err != nil {
			return nil, fmt.Errorf("the header is wrong about %q (%w)", name, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("the header is not valid JSON (%w)", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("the header goes on after its JSON")
	}
	return entries, nil
}

// layOut sorts the tensors by offset, and checks that they fill the data without hole or overlap.
func (c *container) layOut(entries map[string]entry, size int64) error {
	c.types = map[string]string{}
	for name, e := range entries {
		d, ok := dtype.Types[e.Type]
		if !ok {
			return fmt.Errorf("tensor %q has the type %q: only F32, F64, F16, BF16 and whole numbers are read; convert it to float32", name, e.Type)
		}
		n, err := elements(e.Shape)
		if err != nil {
			return fmt.Errorf("tensor %q: %w: the file is damaged", name, err)
		}
		from, to := e.Offsets[0], e.Offsets[1]
		if from < 0 || to < from || to-from != n*int64(d.Size) {
			return fmt.Errorf("tensor %q of shape %v takes the bytes %d to %d, want %d bytes: the file is damaged", name, e.Shape, from, to, n*int64(d.Size))
		}
		c.tensors, c.types[name] = append(c.tensors, Tensor{Name: name, Shape: e.Shape}), e.Type
	}
	slices.SortFunc(c.tensors, func(a, b Tensor) int {
		x, y := entries[a.Name].Offsets, entries[b.Name].Offsets
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]), cmp.Compare(a.Name, b.Name))
	})
	end := int64(0)
	for _, t := range c.tensors {
		at := entries[t.Name].Offsets
		if at[0] != end {
			return fmt.Errorf("tensor %q starts at byte %d, want %d: tensors overlap or leave a hole; the file is damaged", t.Name, at[0], end)
		}
		end = at[1]
	}
	switch {
	case end > size:
		return fmt.Errorf("%d bytes of values are missing at the end: the file is cut off; copy it again, or use another checkpoint", end-size)
	case end < size:
		return fmt.Errorf("%d bytes follow the last tensor: the file is damaged", size-end)
	}
	return nil
}

// verify checks that the file is ours, of the wanted kind, and undamaged.
func (c *container) verify(kind string) error {
	found, ours := c.metadata["rampart"]
	switch {
	case !ours:
		return errForeign
	case c.metadata["sha256"] != c.sum:
		return errors.New("the checksum does not match: the file is damaged, or another program has changed it; copy it again, or use another checkpoint")
	case found != kind:
		return fmt.Errorf("the file is a %s, not a %s", found, kind)
	}
	return nil
}
