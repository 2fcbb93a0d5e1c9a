package data

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// picture is a PNG file of one colour.
func picture(w, h int, c color.Color) []byte {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.Set(i%w, i/w, c)
	}
	var b bytes.Buffer
	png.Encode(&b, img)
	return b.Bytes()
}

// pictures are files of two classes: red is 100 for a cat and 200 for a dog, green the number.
func pictures() map[string][]byte {
	files := map[string][]byte{"README.txt": []byte("about"), "train/notes.txt": []byte("more"), "train/cat/.DS_Store": nil}
	for i := range 12 {
		class, red := "cat", uint8(100)
		if i%2 == 1 {
			class, red = "dog", 200
		}
		for part, n := range map[string]int{"train": 12, "val": 4, "test": 2} {
			if i < n {
				files[fmt.Sprintf("%s/%s/%02d.png", part, class, i)] = picture(4, 4, color.RGBA{red, uint8(i), 7, 255})
			}
		}
	}
	return files
}

func without(files map[string][]byte, prefix string) map[string][]byte {
	for name := range files {
		if strings.HasPrefix(name, prefix) {
			delete(files, name)
		}
	}
	return files
}

// tree writes files into folders.
func tree(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pets")
	for name, content := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func folderSource(path string) *ImageFolder {
	return &ImageFolder{Path: path, Train: "train", Test: "test", Split: Split{SplitSeed: 1}, ImageOptions: defaultImages()}
}

func open(t *testing.T, s Opener, o Options) *Parts {
	t.Helper()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := s.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// colours checks that each image of a data set is of its class and returns their greens, sorted.
func colours(t *testing.T, d *Dataset) (greens []int) {
	t.Helper()
	image := make([]float32, d.Size())
	for i := range d.Len() {
		d.Image(i, image)
		if want := float32(100+100*d.Label(i)) / 255; image[0] != want || image[len(image)-3] != want {
			t.Errorf("%s: image %d of class %d begins with %v", d.Name, i, d.Label(i), image[0])
		}
		greens = append(greens, int(image[1]*255+0.5))
	}
	slices.Sort(greens)
	return greens
}

func zipped(files map[string][]byte) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range sortedNames(files) {
		f, _ := w.Create(name)
		f.Write(files[name])
	}
	w.Close()
	return b.Bytes()
}

// TestImageFolder: a folder, a zip and a tar.gz give the same data set, whether or not the decoded
// images fit into the cache.
func TestImageFolder(t *testing.T) {
	dir := tree(t, pictures())
	place := map[string]string{"folder": dir}
	for name, content := range map[string][]byte{"pets.zip": zipped(pictures()), "pets.tar.gz": tarGz(pictures(), ".")} {
		place[name] = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(place[name], content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var sum string
	for name, path := range place {
		for _, cache := range []int{100, 0} {
			s := folderSource(path)
			s.Validation, s.CacheMB = "val", cache
			p := open(t, s, Options{})
			if got := fmt.Sprint(colours(t, p.Train), colours(t, p.Validation), colours(t, p.Test)); got != "[0 1 2 3 4 5 6 7 8 9 10 11] [0 1 2 3] [0 1]" {
				t.Errorf("%s: images %v", name, got)
			}
			if p.Train.Name != "pets train" || !slices.Equal(p.Train.Classes, []string{"cat", "dog"}) || p.Train.H != 4 || p.Train.C != 3 {
				t.Errorf("%s: %+v", name, p.Train)
			}
			if (p.Train.Pixels == nil) != (cache == 0) || p.Train.Err() != nil {
				t.Errorf("%s, cache %d: %d pixels, %v", name, cache, len(p.Train.Pixels), p.Train.Err())
			}
			if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "1 file in") {
				t.Errorf("%s: notes %q", name, p.Notes)
			}
			if sum == "" {
				sum = p.Train.Checksum()
			}
			if p.Train.Checksum() != sum || p.Train.Subset([]int{3, 1}).Slice(1, 2).Checksum() != p.Train.Slice(1, 2).Checksum() {
				t.Errorf("%s, cache %d: other checksums", name, cache)
			}
			b := p.Train.NewBatch(5)
			last := make([]float32, 48)
			p.Train.Image(11, last)
			if n := p.Train.Fill(b, 9); n != 3 || !slices.Equal(b.Index[:3], []uint32{9, 10, 11}) || !slices.Equal(b.X[2*48:3*48], last) {
				t.Errorf("%s, cache %d: filled %d: %v", name, cache, n, b.Index)
			}
		}
	}
}

// TestOrder: classes are mixed, so that the first examples are of all of them.
func TestOrder(t *testing.T) {
	entries := make([]entry, 1000)
	for i := range entries {
		entries[i].label = int32(i / 100)
	}
	counts := map[int32]int{}
	for _, e := range shuffled(entries)[:200] {
		counts[e.label]++
	}
	for label := range int32(10) {
		if n := counts[label]; n < 8 || n > 38 {
			t.Errorf("class %d has %d of the first 200 examples, want about 20", label, n)
		}
	}
}

// TestSplitShare: without a test folder a share of each class is set aside, by the seed.
func TestSplitShare(t *testing.T) {
	files := map[string][]byte{}
	for name, content := range pictures() {
		if class, ok := strings.CutPrefix(name, "train/"); ok {
			files[class] = content
		}
	}
	source := func(seed uint64, share float64) *ImageFolder {
		s := folderSource(tree(t, files))
		s.Train, s.Test, s.Split = "", "", Split{share, seed}
		return s
	}
	p := open(t, source(1, 0.34), Options{})
	train, test := colours(t, p.Train), colours(t, p.Test)
	both := slices.Sorted(slices.Values(append(slices.Clone(train), test...)))
	if len(test) != 4 || len(both) != 12 || both[0] != 0 || len(slices.Compact(both)) != 12 {
		t.Errorf("train %v, test %v", train, test)
	}
	if dogs := slices.Sorted(slices.Values(p.Test.Labels)); !slices.Equal(dogs, []int32{0, 0, 1, 1}) {
		t.Errorf("labels of the test images %v, want two of each class", p.Test.Labels)
	}
	again, other := open(t, source(1, 0.34), Options{}), open(t, source(2, 0.34), Options{})
	if again.Test.Checksum() != p.Test.Checksum() || other.Test.Checksum() == p.Test.Checksum() {
		t.Error("the split does not depend on the seed alone")
	}
	for share, want := range map[float64]int{0.001: 2, 0.999: 10} {
		if n := open(t, source(1, share), Options{}).Test.Len(); n != want {
			t.Errorf("share %v: %d test images, want %d", share, n, want)
		}
	}
}

// TestOnError: what cannot be read ends the loading with the same name each time, or is passed
// over and counted.
func TestOnError(t *testing.T) {
	files := pictures()
	files["train/cat/03.png"] = nil
	files["train/cat/05.bmp"] = []byte("BM bitmap")
	files["train/dog/03.png"] = files["train/dog/03.png"][:40]
	files["train/dog/04.jpg"] = []byte("text")
	grey := image.NewGray16(image.Rect(0, 0, 4, 4))
	for i := range 16 {
		grey.Set(i%4, i/4, color.Gray16{100 << 8})
	}
	var b bytes.Buffer
	png.Encode(&b, grey)
	files["test/cat/deep.png"] = b.Bytes()
	for _, cache := range []int{100, 0} {
		s := folderSource(tree(t, files))
		s.CacheMB = cache
		var first error
		for range 20 {
			_, err := s.Open(t.Context(), Options{})
			if err == nil || !strings.Contains(err.Error(), `/train/`) || !strings.Contains(err.Error(), `data.on_error = "skip"`) {
				t.Errorf("fail: got %v", err)
			}
			if first == nil {
				first = err
			}
			if fmt.Sprint(err) != fmt.Sprint(first) {
				t.Errorf("first %v, then %v", first, err)
			}
		}
		p := open(t, s, Options{OnError: SkipOnError})
		if got := fmt.Sprint(colours(t, p.Train)); got != "[0 1 2 4 5 6 7 8 9 10 11]" {
			t.Errorf("cache %d: images %v", cache, got)
		}
		notes := strings.Join(p.Notes, "\n")
		for _, want := range []string{"train: 4 of 15 images were passed over: train/cat/03.png (the file is empty), train/cat/05.bmp (it is no JPEG, PNG, GIF or WebP file), train/dog/03.png (the file is damaged or cut off (", "), ...",
			"test: 1 of 3 images is grey, made RGB: test/cat/deep.png", "test: 1 of 3 images is 16 bits a channel, made 8: test/cat/deep.png"} {
			if !strings.Contains(notes, want) {
				t.Errorf("notes %q lack %q", notes, want)
			}
		}
	}
	for name := range files {
		if strings.HasPrefix(name, "test/") {
			files[name] = nil
		}
	}
	_, err := folderSource(tree(t, files)).Open(t.Context(), Options{OnError: SkipOnError})
	if err == nil || !strings.Contains(err.Error(), `"pets test" holds no examples`) {
		t.Errorf("nothing left: %v", err)
	}
}

func TestImageFolderErrors(t *testing.T) {
	with := func(name string, content []byte) map[string][]byte {
		files := pictures()
		files[name] = content
		return files
	}
	for name, c := range map[string]struct {
		files map[string][]byte
		edit  func(s *ImageFolder)
		want  string
	}{
		"other size": {with("train/cat/04.png", picture(4, 5, color.Black)), nil, `train/cat/04.png": 4 x 5 pixels, another image has 4 x 4: set size to make all images of one size`},
		"no class":   {with("train/00.png", picture(4, 4, color.Black)), nil, `train/00.png" lies in no folder of a class`},
		"new class":  {with("test/cow/00.png", picture(4, 4, color.Black)), nil, `test/cow/00.png": the training images have no class "cow" (cat, dog)`},
		"no folder":  {pictures(), func(s *ImageFolder) { s.Train = "training" }, `has no images in folders of classes (at the top are the folders test, train, val; set train and test`},
		"packed with its folder": {map[string][]byte{"pets/train/cat/0.png": nil, "pets/test/cat/0.png": nil}, nil,
			`all lies in "pets", with the folders test, train; set train and test to the right ones with "pets" before them, such as "pets/test", or`},
		"one class": {without(pictures(), "train/dog"), nil, `has 1 folder with images (cat), expected one for each of at least two classes`},
		"no images": {map[string][]byte{"a.txt": nil}, nil, `there are no folders at the top`},
		"not there": {pictures(), func(s *ImageFolder) { s.Path += "/nowhere" }, `path: "`},
		"long and thin": {with("train/cat/04.png", picture(4000, 1, color.Black)), func(s *ImageFolder) { s.Size = 224 },
			`train/cat/04.png": 4000 x 1 pixels become too many with 224 on the shorter side`},
	} {
		s := folderSource(tree(t, c.files))
		if c.edit != nil {
			c.edit(s)
		}
		if _, err := s.Open(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	for want, edit := range map[string]func(s *ImageFolder){
		`"path": no folder`:                          func(s *ImageFolder) { s.Path = "" },
		`"test_share": test = "test" gives`:          func(s *ImageFolder) { s.TestShare = 0.1 },
		`"test_share": 0: without test images`:       func(s *ImageFolder) { s.Test = "" },
		`"train": "" is all of the images`:           func(s *ImageFolder) { s.Train = "" },
		`"test": train, validation and test must be`: func(s *ImageFolder) { s.Validation = "test" },
		`"size": -1 must lie`:                        func(s *ImageFolder) { s.Size = -1 },
		`"resize": 8 must be 0 or lie between`:       func(s *ImageFolder) { s.Size, s.Resize = 16, 8 },
		`"interpolation": "nearest": use`:            func(s *ImageFolder) { s.Interpolation = "nearest" },
		`"channels": 4: use`:                         func(s *ImageFolder) { s.Channels = 4 },
		`"cache_mb": -1 must`:                        func(s *ImageFolder) { s.CacheMB = -1 },
	} {
		s := folderSource("x")
		edit(s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for _, cache := range []int{0, 1} {
		bad := pictures()
		bad["test/cat/00.png"], bad["test/dog/01.png"] = nil, nil
		s := folderSource(tree(t, bad))
		s.Size, s.CacheMB = 4, cache
		if _, err := s.Open(t.Context(), Options{OnError: SkipOnError}); err == nil || !strings.Contains(err.Error(), `"pets test" holds no examples that can be read, such as "`) {
			t.Errorf("nothing left, cache %d: %v", cache, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := folderSource(tree(t, pictures())).Open(ctx, Options{}); err == nil || !strings.Contains(err.Error(), "interrupted while reading images") {
		t.Errorf("interrupted: %v", err)
	}
}

// TestImageSize: images are scaled and cut to one size, and made grey.
func TestImageSize(t *testing.T) {
	files := pictures()
	files["train/cat/04.png"] = picture(9, 30, color.RGBA{100, 4, 7, 255})
	s := folderSource(tree(t, files))
	s.Size, s.Resize, s.Interpolation = 6, 8, "bicubic"
	var last, total int64
	p := open(t, s, Options{Progress: func(what string, done, n int64) { last, total = done, n }})
	if p.Train.H != 6 || p.Train.W != 6 || len(p.Train.Pixels) != 12*6*6*3 || last != 14 || total != 14 {
		t.Errorf("shape %dx%d, %d pixels, progress %d of %d", p.Train.H, p.Train.W, len(p.Train.Pixels), last, total)
	}
	colours(t, p.Train)
	s.Channels = 1
	rgb := p.Train.Pixels
	want := byte((19595*uint32(rgb[0]) + 38470*uint32(rgb[1]) + 7471*uint32(rgb[2]) + 1<<15) >> 16)
	if p = open(t, s, Options{}); p.Train.C != 1 || p.Train.Pixels[0] != want {
		t.Errorf("%d channels, grey %d", p.Train.C, p.Train.Pixels[0])
	}
}

// TestLazyLoader: images that are decoded ahead arrive as those in memory do, in any order of
// steps, and one that has gone is an error that names it.
func TestLazyLoader(t *testing.T) {
	dir := tree(t, pictures())
	loader := func(cache int) *Loader {
		s := folderSource(dir)
		s.CacheMB = cache
		d := open(t, s, Options{}).Train.Slice(1, 12)
		l, err := NewLoader(d, 3, 5)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Augment([]Augmentation{&Flip{0.5}, &Mixup{mixing{1, 0.5}}}, 9); err != nil {
			t.Fatal(err)
		}
		return l
	}
	memory, lazy := loader(100), loader(0)
	for _, step := range []int{0, 1, 2, 3, 4, 4, 9, 2, 3, 4} {
		a, b := memory.NewBatch(), lazy.NewBatch()
		memory.Batch(step, a)
		lazy.Batch(step, b)
		if !slices.Equal(a.X, b.X) || !slices.Equal(a.Labels, b.Labels) || !slices.Equal(a.Index, b.Index) || !slices.Equal(a.Mix.Weight, b.Mix.Weight) {
			t.Errorf("step %d differs", step)
		}
	}
	if err := lazy.Err(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "train/dog")); err != nil {
		t.Fatal(err)
	}
	for step := range 6 {
		lazy.Batch(step, lazy.NewBatch())
	}
	if err := lazy.Err(); err == nil || !strings.Contains(err.Error(), "could be read before, but no longer: no such file") || !strings.Contains(err.Error(), "train/dog/") {
		t.Errorf("missing images: %v", err)
	}
}
