package data

import (
	"bufio"
	"compress/gzip"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"
)

// The files of MNIST, Fashion-MNIST and their like, each with or without ".gz" at its end.
const (
	trainImages = "train-images-idx3-ubyte"
	trainLabels = "train-labels-idx1-ubyte"
	testImages  = "t10k-images-idx3-ubyte"
	testLabels  = "t10k-labels-idx1-ubyte"
)

var idxFiles = []string{trainImages, trainLabels, testImages, testLabels}

// folder is a place with the four files.
type folder struct {
	fsys    fs.FS
	dir     string // what errors call it
	name    string // of the data set
	classes []string
	md5     map[string]string // of unpacked content, where it is known
}

// load reads the four files at the same time.
func (f *folder) load() (train, test *Dataset, err error) {
	var images [2]*Images
	var labels [2][]int32
	var errs [4]error
	var wait sync.WaitGroup
	for i, file := range idxFiles {
		wait.Go(func() {
			errs[i] = f.read(file, func(r io.Reader, name string) (err error) {
				if i%2 == 0 {
					images[i/2], err = ReadImages(r, name)
				} else {
					labels[i/2], err = ReadLabels(r, name, len(f.classes))
				}
				return err
			})
		})
	}
	wait.Wait()
	for _, err := range errs { // the first of them, in the order of the files
		if err != nil {
			return nil, nil, fmt.Errorf("data set %q: %w", f.name, err)
		}
	}
	if a, b := images[0], images[1]; a.H != b.H || a.W != b.W {
		return nil, nil, fmt.Errorf("data set %q: training images are %dx%d, test images %dx%d, expected the same", f.name, a.H, a.W, b.H, b.W)
	}
	if train, err = f.join("train", images[0], labels[0], idxFiles[:2]); err != nil {
		return nil, nil, err
	}
	test, err = f.join("test", images[1], labels[1], idxFiles[2:])
	return train, test, err
}

// join puts images and labels together.
func (f *folder) join(part string, images *Images, labels []int32, files []string) (*Dataset, error) {
	if images.N != len(labels) {
		return nil, fmt.Errorf("data set %q: %d images in %q but %d labels in %q, expected as many",
			f.name, images.N, path.Join(f.dir, files[0]), len(labels), path.Join(f.dir, files[1]))
	}
	return NewDataset(f.name+" "+part, images.H, images.W, 1, f.classes, images.Pixels, labels)
}

// open opens a file by its name, or else its name with ".gz".
func (f *folder) open(file string) (fs.File, string, error) {
	for _, name := range []string{file, file + ".gz"} {
		opened, err := f.fsys.Open(name)
		if err == nil {
			return opened, path.Join(f.dir, name), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, "", fmt.Errorf("%q: %w", path.Join(f.dir, name), err)
		}
	}
	return nil, "", fmt.Errorf("%q has neither %q nor %q: %w", f.dir, file, file+".gz", fs.ErrNotExist)
}

// read hands the unpacked content of a file to parse, and checks its MD5 sum if it is known.
// Whether the file is packed is judged by its content, since some downloads unpack on the way.
func (f *folder) read(file string, parse func(r io.Reader, name string) error) error {
	opened, name, err := f.open(file)
	if err != nil {
		return err
	}
	defer opened.Close()
	buffered := bufio.NewReaderSize(opened, 1<<16)
	var content io.Reader = buffered
	if start, _ := buffered.Peek(2); string(start) == "\x1f\x8b" {
		if content, err = gzip.NewReader(buffered); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	want, known := f.md5[file]
	if !known {
		return parse(content, name)
	}
	sum := md5.New()
	if err := parse(io.TeeReader(content, sum), name); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("%q: MD5 of its unpacked content is %s, expected %s: the file is not the published one", name, got, want)
	}
	return nil
}
