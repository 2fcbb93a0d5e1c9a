package data

import (
	"slices"
	"strings"
	"testing"
)

// numbered returns a data set of n images of 1x2 pixels in two channels; the first two bytes are
// the position, the label is the position modulo 3.
func numbered(t testing.TB, n int) *Dataset {
	t.Helper()
	pixels, labels := make([]byte, 4*n), make([]int32, n)
	for i := range n {
		pixels[4*i], pixels[4*i+1], pixels[4*i+2] = byte(i>>8), byte(i), 255
		labels[i] = int32(i % 3)
	}
	d, err := NewDataset("numbered", 1, 2, 2, []string{"a", "b", "c"}, pixels, labels)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// check reports whether every example of d is the one of numbered that its Index says.
func check(t *testing.T, d *Dataset) {
	t.Helper()
	for i := range d.Len() {
		k := d.Index(i)
		if p := d.Pixels[4*i:]; uint32(p[0])<<8|uint32(p[1]) != k || d.Label(i) != int32(k%3) {
			t.Fatalf("example %d is not number %d", i, k)
		}
	}
}

func TestNewDatasetErrors(t *testing.T) {
	for name, c := range map[string]struct {
		h, w, c, pixels int
		labels          []int32
		want            string
	}{
		"shape":           {0, 2, 1, 4, []int32{0, 1}, "shape 0x2x1"},
		"empty":           {1, 2, 1, 0, nil, "no examples"},
		"fewer pixels":    {1, 2, 1, 2, []int32{0, 1}, "2 bytes of pixels for 2 labels, expected 4 (2 for each image of 1x2x1)"},
		"broken image":    {1, 2, 1, 5, []int32{0, 1}, "5 bytes of pixels"},
		"label too large": {1, 2, 1, 4, []int32{0, 2}, "label 1 is 2, expected 0 to 1 (2 classes)"},
		"label negative":  {1, 2, 1, 4, []int32{-1, 1}, "label 0 is -1"},
	} {
		_, err := NewDataset("x", c.h, c.w, c.c, []string{"a", "b"}, make([]byte, c.pixels), c.labels)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `data set "x"`) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestImage: every byte becomes its 255th part, to the last bit, and nothing more is written.
func TestImage(t *testing.T) {
	pixels := make([]byte, 2*256)
	for p := range 256 {
		pixels[256+p] = byte(p)
	}
	d, err := NewDataset("bytes", 16, 16, 1, []string{"a"}, pixels, []int32{0, 0})
	if err != nil {
		t.Fatal(err)
	}
	image := make([]float32, 257)
	image[256] = 42
	d.Image(1, image)
	for p, x := range image[:256] {
		if x != float32(p)/255 {
			t.Errorf("byte %d becomes %v", p, x)
		}
	}
	if image[256] != 42 {
		t.Error("wrote past the image")
	}
}

func TestSubsetAndSlice(t *testing.T) {
	d := numbered(t, 300)
	part := d.Slice(100, 290)
	sub := part.Subset([]int{7, 3, 189, 3})
	check(t, d)
	check(t, part)
	check(t, sub)
	check(t, sub.Slice(1, 3))
	var got []uint32
	for i := range sub.Len() {
		got = append(got, sub.Index(i))
	}
	if !slices.Equal(got, []uint32{107, 103, 289, 103}) {
		t.Errorf("indices %v", got)
	}
	if len(part.Pixels) != 4*part.Len() || part.Len() != 190 || d.Len() != 300 {
		t.Errorf("%d pixels of %d examples", len(part.Pixels), part.Len())
	}
}

func TestChecksum(t *testing.T) {
	d := numbered(t, 300)
	sum := d.Checksum()
	if same := d.Slice(0, 300).Checksum(); same != sum || len(sum) != 64 {
		t.Errorf("checksums of the same data are %q and %q", sum, same)
	}
	shape, label, pixel, order := *d, *numbered(t, 300), *numbered(t, 300), *d.Subset([]int{1, 0})
	shape.H, shape.W = 2, 1
	label.Labels[5]++
	pixel.Pixels[len(pixel.Pixels)-1] ^= 1
	sums := []string{sum, shape.Checksum(), label.Checksum(), pixel.Checksum(), order.Checksum(), d.Slice(0, 2).Checksum()}
	slices.Sort(sums)
	if n := len(slices.Compact(sums)); n != 6 {
		t.Errorf("%d different checksums of 6 different data sets", n)
	}
}

func TestHoldOut(t *testing.T) {
	d := numbered(t, 300)
	rest, held, err := HoldOut(d, 40, 1)
	if err != nil {
		t.Fatal(err)
	}
	check(t, rest)
	check(t, held)
	if rest.Len() != 260 || held.Len() != 40 {
		t.Errorf("%d and %d examples", rest.Len(), held.Len())
	}
	seen := map[uint32]bool{}
	for _, part := range []*Dataset{rest, held} {
		for i := range part.Len() {
			seen[part.Index(i)] = true
		}
	}
	if len(seen) != 300 {
		t.Errorf("the parts together hold %d different examples of 300", len(seen))
	}
	_, again, _ := HoldOut(d, 40, 1)
	_, other, _ := HoldOut(d, 40, 2)
	_, fewer, _ := HoldOut(d, 10, 1)
	if again.Checksum() != held.Checksum() || other.Checksum() == held.Checksum() {
		t.Error("the split does not depend on the seed alone")
	}
	for i := range fewer.Len() {
		if !slices.Contains(held.index, fewer.Index(i)) {
			t.Errorf("example %d of the smaller split is not in the larger one", fewer.Index(i))
		}
	}
}

func TestHoldOutSizes(t *testing.T) {
	d := numbered(t, 5)
	for n, ok := range map[int]bool{-1: false, 0: true, 1: true, 4: true, 5: false, 6: false} {
		rest, held, err := HoldOut(d, n, 1)
		if (err == nil) != ok {
			t.Errorf("n = %d: error %v", n, err)
		}
		if err == nil && (rest.Len() != 5-n || held.Len() != n) {
			t.Errorf("n = %d: %d and %d examples", n, rest.Len(), held.Len())
		}
	}
	_, _, err := HoldOut(d, 5, 1)
	if want := `cannot hold out 5 of the 5 examples of "numbered": choose 0 to 4`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestSample(t *testing.T) {
	d := numbered(t, 300)
	for _, n := range []int{1, 40, 300} {
		drawn, err := Sample(d, n, 1)
		if err != nil || drawn.Len() != n {
			t.Fatalf("%d: %v", n, err)
		}
		check(t, drawn)
		if _, held, _ := HoldOut(d, 40, 1); n == 40 && drawn.Checksum() != held.Checksum() {
			t.Error("another draw than HoldOut's")
		}
	}
	for _, n := range []int{0, 301} {
		if _, err := Sample(d, n, 1); err == nil || !strings.Contains(err.Error(), "choose 1 to 300") {
			t.Errorf("n = %d: got %v", n, err)
		}
	}
}

func TestEvery(t *testing.T) {
	d := numbered(t, 300)
	for n, want := range map[int][]uint32{3: {0, 100, 200}, 1: {0}, 7: {0, 42, 85, 128, 171, 214, 257}} {
		got, err := Every(d, n)
		if err != nil {
			t.Fatal(err)
		}
		check(t, got)
		if !slices.Equal(got.index, want) {
			t.Errorf("%d of 300: %v, want %v", n, got.index, want)
		}
	}
	for _, n := range []int{0, 300} {
		if got, err := Every(d, n); err != nil || got.Checksum() != d.Checksum() {
			t.Errorf("n = %d: not everything (%v)", n, err)
		}
	}
	for _, n := range []int{-1, 301} {
		if _, err := Every(d, n); err == nil || !strings.Contains(err.Error(), "choose 1 to 300, or 0 for all") {
			t.Errorf("n = %d: got %v", n, err)
		}
	}
}
