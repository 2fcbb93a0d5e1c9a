package pth

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"rampart/nn/dtype"
)

// openZip reads NAME/data.pkl; load then reads NAME/data/KEY for each storage that is used.
// torch.save compresses nothing, so archives that do are refused, and no file is larger inside than
// outside.
func (f *file) openZip() (root any, load func() error, err error) {
	archive, err := zip.NewReader(f.r, f.size)
	if err != nil {
		return nil, nil, fmt.Errorf("the zip archive is cut off or damaged (%w)", err)
	}
	entries, folder := map[string]*zip.File{}, ""
	for _, e := range archive.File {
		if entries[e.Name] != nil {
			return nil, nil, fmt.Errorf("the zip archive holds %q twice: the file is damaged", e.Name)
		}
		entries[e.Name] = e
		if name, ok := strings.CutSuffix(e.Name, "data.pkl"); ok && (name == "" || strings.HasSuffix(name, "/")) && folder == "" {
			folder = name
		}
	}
	pickle := entries[folder+"data.pkl"]
	if pickle == nil {
		return nil, nil, errors.New("the zip archive holds no data.pkl: it is no file by torch.save")
	}
	if entries[folder+"constants.pkl"] != nil {
		return nil, nil, &ForeignError{"a TorchScript program"}
	}
	if order := entries[folder+"byteorder"]; order != nil {
		text, err := f.entry(order, 6)
		if err != nil {
			return nil, nil, err
		}
		if word, err := io.ReadAll(text); err != nil || string(word) != "little" {
			return nil, nil, fmt.Errorf("its numbers are in the order %.10q, and only \"little\" (endian) is read", word)
		}
	}
	r, err := f.entry(pickle, f.size)
	if err != nil {
		return nil, nil, err
	}
	if root, _, err = unpickle(r, int64(pickle.UncompressedSize64), global, f.persistent); err != nil {
		return nil, nil, err
	}
	if _, err := r.ReadByte(); err != io.EOF {
		return nil, nil, fmt.Errorf("%q in the zip archive is damaged, or goes on after its end", pickle.Name)
	}
	return root, func() error { return f.loadZip(folder, entries) }, nil
}

// entry opens a file of the archive of at most some size.
func (f *file) entry(e *zip.File, most int64) (*bufio.Reader, error) {
	if e.Method != zip.Store || e.UncompressedSize64 != e.CompressedSize64 {
		return nil, fmt.Errorf("%q in the zip archive is compressed, which torch.save does not do: unpack it and save it anew", e.Name)
	}
	if e.UncompressedSize64 > uint64(most) {
		return nil, fmt.Errorf("%q in the zip archive takes %d bytes, more than the %d that it can: the file is damaged", e.Name, e.UncompressedSize64, most)
	}
	from, err := e.DataOffset()
	var r io.Reader = io.NewSectionReader(f.r, from, int64(e.UncompressedSize64))
	if e.CRC32 != 0 && err == nil { // PyTorch can be told to leave the sums out
		r, err = e.Open() // which checks the sum, at the end
	}
	if err != nil {
		return nil, fmt.Errorf("%q in the zip archive: the file is cut off or damaged (%w)", e.Name, err)
	}
	return bufio.NewReaderSize(r, int(min(1<<16, e.UncompressedSize64))), nil
}

func (f *file) loadZip(folder string, entries map[string]*zip.File) error {
	room := f.size // entries may overlap in a hostile archive
	for _, key := range sortedKeys(f.storages) {
		s := f.storages[key]
		if !s.used {
			continue
		}
		kind, name := dtype.Types[s.kind], folder+"data/"+key
		e := entries[name]
		if e == nil {
			return fmt.Errorf("the zip archive holds no %q: the file is damaged", name)
		}
		if want := s.count * int64(kind.Size); e.UncompressedSize64 != uint64(want) || room < want {
			return fmt.Errorf("%q in the zip archive takes %d bytes, want %d: the file is damaged", name, e.UncompressedSize64, want)
		}
		room -= s.count * int64(kind.Size)
		r, err := f.entry(e, f.size)
		if err != nil {
			return err
		}
		s.data = make([]float32, s.count)
		if err = dtype.Read(r, s.data, kind); err == nil {
			_, err = r.ReadByte()
		}
		if err != io.EOF {
			return fmt.Errorf("%q in the zip archive: the file is cut off or damaged (%w)", name, err)
		}
	}
	return nil
}
