// Package data holds data sets of labelled images: where they come from (Source), how they are
// split (HoldOut, Every), how they are served in batches (Loader) and varied for training
// (Augmentation). Pixels stay bytes in memory, or are decoded ahead of the step where they do not
// fit, and become float32 in [0,1], channels last, when a batch is filled.
package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Dataset is a list of labelled images of one shape. It is read-only once made, and may be shared
// among goroutines. A new one that does not come out of this package's readers is made by
// NewDataset, which checks it.
type Dataset struct {
	Name    string // for a person: "mnist train"
	H, W, C int
	Classes []string // names; the label is the position
	Pixels  []byte   // [N,H,W,C]; nil where images are decoded as they are needed
	Labels  []int32  // [N]

	index []uint32 // position of each example in the original file; nil where it is its own
	lazy  *lazy    // images by position in the original file, where Pixels is nil
}

// NewDataset returns a data set of all images of a file, in the file's order, after checking that
// sizes agree and that every label names a class.
func NewDataset(name string, h, w, c int, classes []string, pixels []byte, labels []int32) (*Dataset, error) {
	if h < 1 || w < 1 || c < 1 {
		return nil, fmt.Errorf("data set %q: shape %dx%dx%d (height, width, channels): each must be positive", name, h, w, c)
	}
	if len(labels) == 0 {
		return nil, fmt.Errorf("data set %q holds no examples", name)
	}
	if size := h * w * c; len(pixels)%size != 0 || len(pixels)/size != len(labels) {
		return nil, fmt.Errorf("data set %q: %d bytes of pixels for %d labels, expected %d (%d for each image of %dx%dx%d)",
			name, len(pixels), len(labels), len(labels)*size, size, h, w, c)
	}
	if i, ok := badLabel(labels, len(classes)); ok {
		return nil, fmt.Errorf("data set %q: label %d is %d, expected 0 to %d (%d classes)", name, i, labels[i], len(classes)-1, len(classes))
	}
	return &Dataset{Name: name, H: h, W: w, C: c, Classes: classes, Pixels: pixels, Labels: labels}, nil
}

// badLabel returns the position of the first label that is not in [0,classes).
func badLabel(labels []int32, classes int) (int, bool) {
	for i, l := range labels {
		if l < 0 || int(l) >= classes {
			return i, true
		}
	}
	return 0, false
}

// Len returns the number of examples.
func (d *Dataset) Len() int { return len(d.Labels) }

// Size returns the number of values of one image, H*W*C.
func (d *Dataset) Size() int { return d.H * d.W * d.C }

// Label returns the label of example i.
func (d *Dataset) Label(i int) int32 { return d.Labels[i] }

// Index returns the position that example i has in the original file, whatever subset it is
// reached through. Random numbers for an example are counted by it.
func (d *Dataset) Index(i int) uint32 {
	if d.index == nil {
		return uint32(i)
	}
	return d.index[i]
}

// Image writes the pixels of example i, [H,W,C] in [0,1], to dst, of length at least Size.
func (d *Dataset) Image(i int, dst []float32) {
	if d.lazy == nil {
		size := d.Size()
		toUnit(dst, d.Pixels[i*size:(i+1)*size])
		return
	}
	buffer := d.lazy.buffers.Get().(*[]byte)
	toUnit(dst, d.lazy.image(d.Index(i), *buffer))
	d.lazy.buffers.Put(buffer)
}

// Err returns the first error of an image that was read when the data set was loaded, but could
// not be read again when it was needed; its pixels were 0 then. Data sets with Pixels have none.
func (d *Dataset) Err() error {
	if d.lazy == nil {
		return nil
	}
	return d.lazy.failed()
}

// toUnit turns bytes into pixels in [0,1].
func toUnit(dst []float32, src []byte) {
	dst = dst[:len(src)]
	for j, p := range src {
		dst[j] = unit[p]
	}
}

// unit holds p/255 for every byte p.
var unit = func() (u [256]float32) {
	for p := range u {
		u[p] = float32(p) / 255
	}
	return u
}()

// Subset returns the examples at the given positions, in that order: a copy where d has Pixels. Positions that do
// not exist are a programming mistake, and panic.
func (d *Dataset) Subset(positions []int) *Dataset {
	size := d.Size()
	s := *d
	if d.lazy == nil {
		s.Pixels = make([]byte, len(positions)*size)
	}
	s.Labels = make([]int32, len(positions))
	s.index = make([]uint32, len(positions))
	for k, i := range positions {
		if d.lazy == nil {
			copy(s.Pixels[k*size:(k+1)*size], d.Pixels[i*size:(i+1)*size])
		}
		s.Labels[k] = d.Labels[i]
		s.index[k] = d.Index(i)
	}
	return &s
}

// Slice returns the examples from position lo up to but without hi. It shares memory with d.
func (d *Dataset) Slice(lo, hi int) *Dataset {
	size := d.Size()
	s := *d
	if d.lazy == nil {
		s.Pixels = d.Pixels[lo*size : hi*size : hi*size]
	}
	s.Labels = d.Labels[lo:hi:hi]
	s.index = make([]uint32, hi-lo)
	for k := range s.index {
		s.index[k] = d.Index(lo + k)
	}
	return &s
}

// Checksum returns the SHA-256, in hexadecimal, of shape, pixels and labels: where a figure was
// measured. Names and positions in the original file do not count.
func (d *Dataset) Checksum() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %d %d %d\n", d.Len(), d.H, d.W, d.C, len(d.Classes))
	if d.lazy == nil {
		h.Write(d.Pixels)
	} else {
		d.lazy.each(d.Len(), d.Index, func(image []byte) { h.Write(image) })
	}
	labels := make([]byte, 4*len(d.Labels))
	for i, l := range d.Labels {
		binary.LittleEndian.PutUint32(labels[4*i:], uint32(l))
	}
	h.Write(labels)
	return hex.EncodeToString(h.Sum(nil))
}
