package data

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"rampart/data/fetch"
	"rampart/nn/registry"
)

// cifar describes the binary version of CIFAR-10 or CIFAR-100 (Krizhevsky 2009,
// https://www.cs.toronto.edu/~kriz/cifar.html): files of records, which are one or two label bytes
// and the planes of red, green and blue, 32 rows of 32.
type cifar struct {
	name    string
	archive fetch.File
	train   []string
	test    string
	names   string // the file with the names of the classes, a line each
	classes int
	labels  int // bytes of labels in a record
	label   int // which of them counts
}

const cifarSide, cifarPixels = 32, 32 * 32

// open finds the archive or the folder with its files, and reads it.
func (c *cifar) open(ctx context.Context, p *Published, o Options) (*Parts, error) {
	place, err := p.dir(c.name)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(place); err != nil || info.IsDir() {
		if place, err = c.locate(ctx, p, o, place); err != nil {
			return nil, err
		}
	}
	r := cifarReader{cifar: c, place: place, pixels: map[string][]byte{}, labels: map[string][]int32{}}
	if err := r.read(); err != nil {
		return nil, err
	}
	return r.parts()
}

// locate returns the extracted folder in or at dir, else the archive in it, which may be fetched.
func (c *cifar) locate(ctx context.Context, p *Published, o Options, dir string) (string, error) {
	for _, sub := range []string{"", "cifar-10-batches-bin", "cifar-100-binary"} {
		if d := filepath.Join(dir, sub); inFolder(d)(c.test) {
			return d, nil
		}
	}
	err := p.get(ctx, o, dir, []fetch.File{c.archive}, inFolder(dir))
	return filepath.Join(dir, c.archive.Name), err
}

// cifarReader collects the files of a data set, in whatever order they come.
type cifarReader struct {
	*cifar
	place  string // folder or archive
	names  []string
	pixels map[string][]byte
	labels map[string][]int32
}

func (r *cifarReader) read() error {
	file, err := os.Open(r.place)
	if err != nil {
		return registry.Quoted(err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.IsDir() {
		return errors.Join(err, r.tarGz(file))
	}
	for _, name := range slices.Concat([]string{r.cifar.names, r.test}, r.train) {
		f, err := os.Open(filepath.Join(r.place, name))
		if err == nil {
			err = errors.Join(r.file(name, f), f.Close())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *cifarReader) tarGz(file io.Reader) error {
	unpacked, err := gzip.NewReader(bufio.NewReaderSize(file, 1<<16))
	if err != nil {
		return fmt.Errorf("%q is no tar.gz file: %w", r.place, err)
	}
	for members := tar.NewReader(unpacked); ; {
		head, err := members.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%q: the archive is damaged or cut off: %w", r.place, err)
		}
		if head.Typeflag != tar.TypeReg {
			continue
		}
		if err := r.file(path.Base(head.Name), members); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, unpacked); err != nil { // to the checksum at the end
		return fmt.Errorf("%q: %w", r.place, err)
	}
	return nil
}

// file takes a file that belongs to the data set; others are passed over.
func (r *cifarReader) file(name string, content io.Reader) (err error) {
	full := path.Join(filepath.ToSlash(r.place), name)
	switch {
	case name == r.cifar.names:
		r.names, err = readLines(content)
		if err == nil && len(r.names) != r.classes {
			err = fmt.Errorf("%d class names, expected %d", len(r.names), r.classes)
		}
		if err != nil {
			err = fmt.Errorf("%q: %w", full, err)
		}
	case name == r.test || slices.Contains(r.train, name):
		r.pixels[name], r.labels[name], err = readCIFAR(content, full, r.cifar.labels, r.label, r.classes)
	}
	return err
}

// parts joins the files.
func (r *cifarReader) parts() (*Parts, error) {
	if r.names == nil {
		return nil, fmt.Errorf("%q has no file %q: %w", r.place, r.cifar.names, fs.ErrNotExist)
	}
	join := func(part string, files ...string) (*Dataset, error) {
		size := 0
		for _, f := range files {
			if r.labels[f] == nil {
				return nil, fmt.Errorf("%q has no file %q: %w", r.place, f, fs.ErrNotExist)
			}
			size += len(r.pixels[f])
		}
		pixels := make([]byte, 0, size)
		var labels []int32
		for _, f := range files {
			pixels = append(pixels, r.pixels[f]...)
			labels = append(labels, r.labels[f]...)
			delete(r.pixels, f) // so that both copies of all of it never exist
		}
		return NewDataset(r.name+" "+part, cifarSide, cifarSide, 3, r.names, pixels, labels)
	}
	train, err := join("train", r.train...)
	if err != nil {
		return nil, err
	}
	test, err := join("test", r.test)
	if err != nil {
		return nil, err
	}
	return &Parts{Train: train, Test: test}, nil
}

// readLines reads the lines of a short text that are not empty.
func readLines(r io.Reader) (lines []string, err error) {
	scanner := bufio.NewScanner(io.LimitReader(r, 1<<16))
	for scanner.Scan() {
		if line := strings.TrimSpace(scanner.Text()); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, scanner.Err()
}

// readCIFAR reads records to the end; name is what errors call the file. Pixels come out as
// [N,32,32,3]. Memory grows with what arrives.
func readCIFAR(r io.Reader, name string, labelBytes, label, classes int) (pixels []byte, labels []int32, err error) {
	record := make([]byte, labelBytes+3*cifarPixels)
	for {
		n, err := io.ReadFull(r, record)
		if err == io.EOF && len(labels) > 0 {
			return pixels, labels, nil
		}
		if err != nil {
			return nil, nil, readError(err, name, fmt.Sprintf("records of %d bytes, number %d as well", len(record), len(labels)), n)
		}
		if y := int(record[label]); y >= classes {
			return nil, nil, fmt.Errorf("%q: label %d is %d, expected 0 to %d (%d classes)", name, len(labels), y, classes-1, classes)
		}
		if len(labels) == maxBytes/(3*cifarPixels) {
			return nil, nil, fmt.Errorf("%q holds more than %d images", name, len(labels))
		}
		labels = append(labels, int32(record[label]))
		planes := record[labelBytes:]
		for i := range cifarPixels {
			pixels = append(pixels, planes[i], planes[cifarPixels+i], planes[2*cifarPixels+i])
		}
	}
}
