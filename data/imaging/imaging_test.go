package imaging

import (
	"bytes"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func decode(t testing.TB, name string, channels int) *Image {
	t.Helper()
	img, _, err := Decode(read(t, name), channels)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return img
}

// farthest is the largest difference of two images.
func farthest(a, b *Image) int {
	if a.H != b.H || a.W != b.W || a.C != b.C || len(a.Pix) != len(b.Pix) {
		return 256
	}
	d := 0
	for i, p := range a.Pix {
		d = max(d, int(p)-int(b.Pix[i]), int(b.Pix[i])-int(p))
	}
	return d
}

// TestFormats compares with Pillow (testdata/make.py). Lossless formats must agree exactly; of
// JPEG and lossy WebP the decoders' arithmetic differs, most where the colours have fewer pixels.
func TestFormats(t *testing.T) {
	for name, c := range map[string]struct {
		within int
		made   []Conversion
	}{
		"rgb.png": {0, nil}, "grey.png": {0, []Conversion{Grey}}, "bits.png": {0, []Conversion{Grey}}, "palette.png": {0, nil},
		"alpha.png": {0, []Conversion{Alpha}}, "grey_alpha.png": {0, []Conversion{Alpha}}, "lossless.webp": {0, nil}, "lossy.webp": {12, nil},
		"still.gif": {0, nil}, "animated.gif": {0, []Conversion{Animated}}, "animated.png": {0, []Conversion{Animated}},
		"444.jpg": {2, nil}, "420.jpg": {12, nil}, "progressive.jpg": {2, nil}, "grey.jpg": {1, []Conversion{Grey}}, "cmyk.jpg": {3, []Conversion{CMYK}},
		"deep.png": {0, []Conversion{Deep}}, "deep_grey.png": {0, []Conversion{Grey, Deep}},
	} {
		img, made, err := Decode(read(t, "formats/"+name), 3)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(made, c.made) {
			t.Errorf("%s: conversions %q, want %q", name, made, c.made)
		}
		if d := farthest(img, decode(t, "formats/"+name+".want.png", 3)); d > c.within {
			t.Errorf("%s: %d from Pillow's, bound %d", name, d, c.within)
		}
	}
}

func TestGrey(t *testing.T) {
	for in, want := range map[[3]byte]byte{{255, 255, 255}: 255, {255, 0, 0}: 76, {0, 255, 0}: 150, {0, 0, 255}: 29, {1, 2, 3}: 2} {
		if got := (&Image{1, 1, 3, in[:]}).luma().Pix[0]; got != want {
			t.Errorf("%v becomes %d, Pillow's is %d", in, got, want)
		}
	}
	img, made, err := Decode(read(t, "formats/grey.png"), 1)
	if err != nil || len(made) > 0 || img.C != 1 || len(img.Pix) != img.H*img.W {
		t.Errorf("grey as grey: %v, %v", made, err)
	}
	if rgb := decode(t, "formats/grey.png", 3); rgb.Pix[0] != img.Pix[0] || rgb.Pix[3] != img.Pix[1] {
		t.Error("grey as grey has other values")
	}
}

func TestDecodeErrors(t *testing.T) {
	jpeg, png := read(t, "formats/444.jpg"), read(t, "formats/rgb.png")
	large := slices.Clone(png)
	copy(large[16:], []byte{0, 1, 0, 0, 0, 1, 0, 0}) // 65536 x 65536; the checksum is stale too
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":         {nil, "the file is empty"},
		"text":          {[]byte("no image"), "it is no JPEG, PNG, GIF or WebP file"},
		"cut JPEG":      {jpeg[:len(jpeg)*2/3], "the file is damaged or cut off (unexpected EOF)"},
		"cut PNG":       {png[:len(png)/2], "the file is damaged or cut off"},
		"no picture":    {jpeg[:20], "the file is damaged or cut off"},
		"large":         {large, "the file is damaged or cut off"},
		"animated WebP": {read(t, "formats/animated.webp"), "it is an animated WebP file: save one frame"},
	} {
		if _, _, err := Decode(c.content, 3); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	huge := []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00;")
	if _, _, err := Decode(huge, 3); err == nil || !strings.Contains(err.Error(), "65535 x 65535 pixels") {
		t.Errorf("huge: %v", err)
	}
}

// TestResize holds the interpolation to Pillow's, byte for byte.
func TestResize(t *testing.T) {
	for _, mode := range []string{"RGB", "L"} {
		channels := 3
		if mode == "L" {
			channels = 1
		}
		in := decode(t, "resize/in_"+mode+".png", channels)
		for _, f := range []Filter{Bilinear, Bicubic} {
			files, err := filepath.Glob(fmt.Sprintf("testdata/resize/%s_%s_*.png", mode, f))
			if err != nil || len(files) != 7 {
				t.Fatalf("%v, %v", files, err)
			}
			for _, file := range files {
				want := decode(t, strings.TrimPrefix(file, "testdata/"), channels)
				if d := farthest(in.Resize(want.H, want.W, f), want); d > 0 {
					t.Errorf("%s: %d from Pillow's", file, d)
				}
			}
		}
	}
}

func TestShorterAndCrop(t *testing.T) {
	img := &Image{H: 40, W: 61, C: 1, Pix: make([]byte, 40*61)}
	for i := range img.Pix {
		img.Pix[i] = byte(i % 61)
	}
	if m := img.Shorter(20, Bilinear); m.H != 20 || m.W != 30 {
		t.Errorf("20 on the shorter side gives %dx%d", m.H, m.W)
	}
	tall := &Image{H: 61, W: 40, C: 1, Pix: img.Pix}
	if m := tall.Shorter(20, Bilinear); m.H != 30 || m.W != 20 {
		t.Errorf("20 on the shorter side gives %dx%d", m.H, m.W)
	}
	// (61-32)/2 = 14.5 is rounded to 14, (61-30)/2 = 15.5 to 16, as in Python.
	for w, first := range map[int]byte{32: 14, 30: 16, 61: 0, 31: 15} {
		if m := img.CenterCrop(40, w); m.H != 40 || m.W != w || m.Pix[0] != first || m.Pix[w] != first {
			t.Errorf("a crop of %d begins at %d, want %d", w, m.Pix[0], first)
		}
	}
}

// FuzzDecode: no file crashes the reader, and what it returns has the size that it says.
func FuzzDecode(f *testing.F) {
	files, _ := filepath.Glob("testdata/formats/*")
	for _, file := range files {
		f.Add(read(f, strings.TrimPrefix(file, "testdata/")), true)
	}
	f.Fuzz(func(t *testing.T, content []byte, colour bool) {
		channels := 1
		if colour {
			channels = 3
		}
		if bytes.HasPrefix(content, []byte("GIF8")) && gifFrames(content) > 2 {
			t.Error("more frames were counted than need be")
		}
		if c, _, err := image.DecodeConfig(bytes.NewReader(content)); err == nil && c.Width*c.Height > 1<<16 {
			t.Skip("large ones take long")
		}
		img, _, err := Decode(content, channels)
		if err == nil && (img.C != channels || len(img.Pix) != img.H*img.W*img.C || img.H < 1 || img.W < 1) {
			t.Errorf("%dx%dx%d with %d bytes", img.H, img.W, img.C, len(img.Pix))
		}
	})
}

func BenchmarkResize(b *testing.B) {
	img := &Image{H: 375, W: 500, C: 3, Pix: make([]byte, 375*500*3)}
	for range b.N {
		img.Shorter(256, Bilinear)
	}
}
