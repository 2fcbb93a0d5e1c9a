package data

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"rampart/data/fetch"
	"rampart/data/matfile"
	"rampart/nn/registry"
)

func init() { registry.Register[Source]("svhn", func() Source { return &SVHN{} }) }

// SVHN is Street View House Numbers, format 2 (Netzer et al. 2011): 73257 training and 26032 test
// photographs of digits, [32,32,3]. Path is the folder with its two .mat files. The 531131 easier
// extra images are not used.
type SVHN struct{ Published }

var svhnFiles = []fetch.File{
	{Name: "train_32x32.mat", Size: 182040794, MD5: "e26dedcc434d2e4c54c9b2d4a06d8373", URLs: []string{"http://ufldl.stanford.edu/housenumbers/train_32x32.mat"}},
	{Name: "test_32x32.mat", Size: 64275384, MD5: "eb5a983be6a315427106f1b164d9cef3", URLs: []string{"http://ufldl.stanford.edu/housenumbers/test_32x32.mat"}},
}

// Load implements Source.
func (s *SVHN) Load() (train, test *Dataset, err error) { return load(s) }

// Open implements Opener.
func (s *SVHN) Open(ctx context.Context, o Options) (*Parts, error) {
	dir, err := s.dir("svhn")
	if err != nil {
		return nil, err
	}
	if err := s.get(ctx, o, dir, svhnFiles, inFolder(dir)); err != nil {
		return nil, err
	}
	p := &Parts{}
	if p.Train, err = readSVHN(filepath.Join(dir, svhnFiles[0].Name), "svhn train"); err != nil {
		return nil, err
	}
	if p.Test, err = readSVHN(filepath.Join(dir, svhnFiles[1].Name), "svhn test"); err != nil {
		return nil, err
	}
	if a, b := p.Train, p.Test; a.H != b.H || a.W != b.W {
		return nil, fmt.Errorf("training images are %dx%d, test images %dx%d, expected the same", a.H, a.W, b.H, b.W)
	}
	return p, nil
}

// readSVHN reads one part: X, bytes of [height, width, 3, N], and y, N digits with 10 for 0.
func readSVHN(path, name string) (*Dataset, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, registry.Quoted(err)
	}
	defer file.Close()
	var dims []int
	var pixels []byte
	var labels []int32
	err = matfile.Read(file, func(a *matfile.Array) (err error) {
		switch a.Name {
		case "X":
			dims = a.Dims
			pixels, err = svhnImages(a)
		case "y":
			labels, err = svhnLabels(a)
		}
		return err
	})
	if err == nil && (dims == nil || labels == nil) {
		err = errors.New(`it lacks the array "X" (images) or "y" (labels)`)
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	d, err := NewDataset(name, dims[0], dims[1], 3, digits(), pixels, labels)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	return d, nil
}

// svhnImages turns images whose rows run fastest, then columns, then channels, into [N,H,W,C].
func svhnImages(a *matfile.Array) ([]byte, error) {
	if d := a.Dims; len(d) != 4 || d[2] != 3 || slices.Contains(d, 0) || d[0] > maxSide || d[1] > maxSide {
		return nil, fmt.Errorf(`array "X" of %v, expected images of [height, width, 3, number]`, d)
	}
	r, err := a.Bytes()
	if err != nil {
		return nil, err
	}
	r = bufio.NewReaderSize(r, 1<<16)
	h, w := a.Dims[0], a.Dims[1]
	image := make([]byte, h*w*3)
	var pixels []byte
	for i := range a.Dims[3] {
		if n, err := io.ReadFull(r, image); err != nil {
			return nil, fmt.Errorf("image %d is cut off after %d of %d bytes: %w", i, n, len(image), err)
		}
		for y := range h {
			for x := range w {
				pixels = append(pixels, image[y+h*x], image[y+h*(x+w)], image[y+h*(x+2*w)])
			}
		}
	}
	return pixels, nil
}

func svhnLabels(a *matfile.Array) ([]int32, error) {
	if a.Len() > maxBytes/8 {
		return nil, fmt.Errorf(`array "y" of %v, expected a label for each image`, a.Dims)
	}
	values, err := a.Values()
	if err != nil {
		return nil, err
	}
	labels := make([]int32, len(values))
	for i, v := range values {
		if v != float64(int32(v)) || v < 0 || v > 10 {
			return nil, fmt.Errorf("label %d is %v, expected a whole number from 1 to 10 (the digit 0)", i, v)
		}
		labels[i] = int32(v) % 10
	}
	return labels, nil
}
