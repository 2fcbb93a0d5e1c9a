package data

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSVHN reads files that SciPy wrote (testdata/svhn.py), plain and compressed.
func TestSVHN(t *testing.T) {
	train, test, err := (&SVHN{Published{Path: "testdata/svhn"}}).Load()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(train.Labels, []int32{1, 0, 9}) || !slices.Equal(test.Labels, []int32{5, 0}) || len(train.Classes) != 10 {
		t.Errorf("labels %v and %v", train.Labels, test.Labels)
	}
	if train.H != 3 || train.W != 4 || train.C != 3 {
		t.Errorf("shape %dx%dx%d", train.H, train.W, train.C)
	}
	for i := range 3 { // the script's pixel is 50*image + 12*row + 3*column + channel
		for j := range 36 {
			if got, want := train.Pixels[36*i+j], byte(50*i+j); got != want {
				t.Fatalf("image %d, value %d is %d, want %d", i, j, got, want)
			}
		}
	}
}

func TestSVHNErrors(t *testing.T) {
	good, err := os.ReadFile("testdata/svhn/train_32x32.mat")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/svhn/bad_*.mat")
	if err != nil || len(files) != 6 {
		t.Fatalf("%v, %v", files, err)
	}
	want := map[string]string{
		"bad_shape.mat":  `array "X" of [3 4 1 3], expected images of [height, width, 3, number]`,
		"bad_double.mat": `array "X" is not stored as unsigned bytes`,
		"bad_label.mat":  `label 1 is 11, expected a whole number from 1 to 10`,
		"bad_half.mat":   `label 0 is 1.5, expected a whole number`,
		"bad_count.mat":  `72 bytes of pixels for 3 labels`,
		"bad_names.mat":  `it lacks the array "X" (images) or "y" (labels)`,
	}
	for _, file := range files {
		bad, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dir := write(t, map[string][]byte{"train_32x32.mat": good, "test_32x32.mat": bad})
		_, _, err = (&SVHN{Published{Path: dir}}).Load()
		if w := want[filepath.Base(file)]; w == "" || err == nil || !strings.Contains(err.Error(), w) || !strings.Contains(err.Error(), "test_32x32.mat") {
			t.Errorf("%s: got %v, want %q", file, err, w)
		}
	}
	dir := write(t, map[string][]byte{"train_32x32.mat": good, "test_32x32.mat": good[:len(good)-100]})
	if _, _, err := (&SVHN{Published{Path: dir}}).Load(); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("cut off: got %v", err)
	}
}
