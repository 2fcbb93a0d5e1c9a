package data

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rampart/nn/registry"
)

func gz(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(content)
	w.Close()
	return b.Bytes()
}

// small returns the files of a data set of three training and two test images of 2x2 pixels.
func small() map[string][]byte {
	return map[string][]byte{
		trainImages + ".gz": gz(idx(imagesMagic, []byte{0, 51, 102, 255, 1, 2, 3, 4, 5, 6, 7, 8}, 3, 2, 2)),
		trainLabels:         idx(labelsMagic, []byte{2, 0, 1}, 3),
		testImages:          idx(imagesMagic, []byte{9, 9, 9, 9, 8, 8, 8, 8}, 2, 2, 2),
		testLabels + ".gz":  idx(labelsMagic, []byte{1, 2}, 2), // unpacked on the way
	}
}

func write(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fashion")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFolder(t *testing.T) {
	source := &IDX{Dir: write(t, small()), Classes: []string{"shirt", "bag", "boot"}}
	if err := source.Validate(); err != nil {
		t.Fatal(err)
	}
	train, test, err := source.Load()
	if err != nil {
		t.Fatal(err)
	}
	if train.Name != "fashion train" || test.Name != "fashion test" || train.Classes[2] != "boot" {
		t.Errorf("names %q, %q, classes %v", train.Name, test.Name, train.Classes)
	}
	if !slices.Equal(train.Labels, []int32{2, 0, 1}) || !slices.Equal(test.Labels, []int32{1, 2}) {
		t.Errorf("labels %v, %v", train.Labels, test.Labels)
	}
	image := make([]float32, 4)
	train.Image(0, image)
	if !slices.Equal(image, []float32{0, 0.2, 0.4, 1}) {
		t.Errorf("first image %v", image)
	}
}

func TestFolderErrors(t *testing.T) {
	for name, c := range map[string]struct {
		file    string // replaced, or removed where content is nil
		content []byte
		want    string
	}{
		"missing":        {trainLabels, nil, `has neither "train-labels-idx1-ubyte" nor "train-labels-idx1-ubyte.gz"`},
		"count mismatch": {trainLabels, idx(labelsMagic, []byte{1, 2}, 2), `3 images in`},
		"label":          {trainLabels, idx(labelsMagic, []byte{1, 2, 3}, 3), `label 2 is 3, expected 0 to 2 (3 classes)`},
		"shapes":         {testImages, idx(imagesMagic, make([]byte, 6), 2, 3, 1), `training images are 2x2, test images 3x1`},
		"cut gzip":       {trainImages + ".gz", small()[trainImages+".gz"][:30], `train-images-idx3-ubyte.gz" is truncated`},
		"cut tail":       {trainImages + ".gz", cutTail(small()[trainImages+".gz"]), `unexpected EOF`},
		"flipped gzip":   {trainImages + ".gz", flipTail(small()[trainImages+".gz"]), `gzip: invalid checksum`},
		"bad gzip":       {trainImages + ".gz", []byte("\x1f\x8bnonsense"), `gzip: invalid header`},
		"swapped":        {testImages, small()[trainLabels], `this is a label file`},
	} {
		files := small()
		if files[c.file] = c.content; c.content == nil {
			delete(files, c.file)
		}
		source := &IDX{Dir: write(t, files), Classes: []string{"a", "b", "c"}}
		_, _, err := source.Load()
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `data set "fashion"`) {
			t.Errorf("%s: got %q, want %q", name, err, c.want)
		}
	}
}

// cutTail removes gzip's trailing length, flipTail damages its checksum.
func cutTail(file []byte) []byte { return file[:len(file)-4] }
func flipTail(file []byte) []byte {
	file = slices.Clone(file)
	file[len(file)-6] ^= 1
	return file
}

// TestMD5: a file that is well-formed but not the published one is refused.
func TestMD5(t *testing.T) {
	sums := map[string]string{testImages: "6369f9e0b0f9dff7a0b5ba6ae0a4a6a8"}
	f := folder{fsys: os.DirFS(write(t, small())), dir: "here", name: "small", classes: digits(), md5: sums}
	_, _, err := f.load()
	if err == nil || !strings.Contains(err.Error(), `"here/t10k-images-idx3-ubyte": MD5 of its unpacked content is `) ||
		!strings.Contains(err.Error(), sums[testImages]) {
		t.Fatalf("got %v", err)
	}
	// With the sum that the message reports, the file passes.
	_, rest, _ := strings.Cut(err.Error(), "content is ")
	sums[testImages] = rest[:32]
	if _, _, err := f.load(); err != nil {
		t.Error(err)
	}
}

func TestIDXValidate(t *testing.T) {
	dir := write(t, small())
	file := filepath.Join(dir, testImages)
	lacking := small()
	delete(lacking, testImages)
	classes := []string{"a", "b"}
	for name, c := range map[string]struct {
		source IDX
		key    string
		want   string
	}{
		"no folder":   {IDX{Classes: classes}, "dir", "no folder is given"},
		"not there":   {IDX{Dir: filepath.Join(dir, "no"), Classes: classes}, "dir", "no such file"},
		"a file":      {IDX{Dir: file, Classes: classes}, "dir", "is a file, expected a folder"},
		"lacks one":   {IDX{Dir: write(t, lacking), Classes: classes}, "dir", `has neither "t10k-images-idx3-ubyte"`},
		"one class":   {IDX{Dir: dir, Classes: classes[:1]}, "classes", "1 class names, expected 2 to 256"},
		"257 classes": {IDX{Dir: dir, Classes: make([]string, 257)}, "classes", "257 class names"},
		"twice":       {IDX{Dir: dir, Classes: []string{"a", "b", "a"}}, "classes", `"a" at position 2`},
		"empty":       {IDX{Dir: dir, Classes: []string{"a", ""}}, "classes", `"" at position 1`},
	} {
		var key *registry.KeyError
		err := c.source.Validate()
		if !errors.As(err, &key) || key.Key != c.key || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q of key %q", name, err, c.want, c.key)
		}
	}
	err := (&IDX{Dir: write(t, lacking), Classes: classes}).Validate()
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gives %v, expected fs.ErrNotExist", err)
	}
}

func TestSources(t *testing.T) {
	names := registry.Names[Source]()
	for _, name := range []string{"idx", "mnist"} {
		if !slices.Contains(names, name) {
			t.Errorf("registered sources are %q, without %q", names, name)
		}
	}
	_, err := registry.New[Source]("minst")
	if want := `unknown data set "minst"`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
