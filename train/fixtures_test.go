package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"sync"

	"rampart/data"
)

// mnist is read once for all scripts.
var mnist = sync.OnceValues(func() (sets [2]*data.Dataset, err error) {
	sets[0], sets[1], err = (&data.MNIST{}).Load()
	return sets, err
})

// writeFixtures puts a small part of MNIST into dir/digits, as IDX files; a config for it into
// dir/tiny.toml; images into dir/images, one of them damaged; files by torch.save into dir/torch; and
// networks of others into dir/foreign.
func writeFixtures(dir string) error {
	sets, err := mnist()
	if err != nil {
		return err
	}
	config, err := os.ReadFile(filepath.Join("testdata", "tiny.toml"))
	if err != nil {
		return err
	}
	train, test := sets[0].Slice(0, 400), sets[1].Slice(0, 80)
	digit := &image.Gray{Pix: test.Pixels[:28*28], Stride: 28, Rect: image.Rect(0, 0, 28, 28)}
	photo := image.NewNRGBA(image.Rect(0, 0, 50, 70))
	for i := range 50 * 70 {
		photo.Set(i%50, i/50, color.NRGBA{uint8(5 * (i % 50)), uint8(3 * (i / 50)), 90, uint8(i)})
	}
	deep, greys := image.NewGray16(digit.Rect), make(color.Palette, 256)
	for i, v := range digit.Pix {
		deep.Set(i%28, i/28, color.Gray{v})
	}
	for i := range greys {
		greys[i] = color.Gray{uint8(i)}
	}
	frame := &image.Paletted{Pix: digit.Pix, Stride: 28, Rect: digit.Rect, Palette: greys}
	black := image.NewPaletted(digit.Rect, greys)
	var asPNG, asJPEG, asGIF, asDeep, asMoving bytes.Buffer
	for _, err := range []error{png.Encode(&asDeep, deep), gif.EncodeAll(&asMoving, &gif.GIF{Image: []*image.Paletted{frame, black}, Delay: []int{1, 1}}), png.Encode(&asPNG, digit), jpeg.Encode(&asJPEG, photo, nil), gif.Encode(&asGIF, photo, nil)} {
		if err != nil {
			return err
		}
	}
	huge := bytes.Clone(asPNG.Bytes()) // by its header only
	binary.BigEndian.PutUint64(huge[16:], 65535<<32|65535)
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
	files := map[string][]byte{
		"tiny.toml":                      config,
		"digits/train-images-idx3-ubyte": idx(train.Pixels, train.Len(), 28, 28),
		"digits/train-labels-idx1-ubyte": idx(labels(train), train.Len()),
		"digits/t10k-images-idx3-ubyte":  idx(test.Pixels, test.Len(), 28, 28),
		"digits/t10k-labels-idx1-ubyte":  idx(labels(test), test.Len()),
		"images/digit.png":               asPNG.Bytes(),
		"images/kinds/grey.png":          asPNG.Bytes(),
		"images/kinds/deep.png":          asDeep.Bytes(),
		"images/kinds/moving.gif":        asMoving.Bytes(),
		"images/photo.jpg":               asJPEG.Bytes(),
		"images/photo.gif":               asGIF.Bytes(),
		"images/cut.png":                 asPNG.Bytes()[:asPNG.Len()/2],
		"images/huge.png":                huge,
		"images/text.png":                []byte("this is no image\n"),
		"images/empty.png":               nil,
	}
	for folder, pattern := range map[string]string{
		"torch": filepath.Join("..", "nn", "pth", "testdata", "*.pth"), "foreign": filepath.Join("testdata", "foreign", "*.onnx"),
	} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			return fmt.Errorf("no files %s (%w)", pattern, err)
		}
		for _, path := range paths {
			if files[folder+"/"+filepath.Base(path)], err = os.ReadFile(path); err != nil {
				return err
			}
		}
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// idx is an IDX file of bytes: its magic number, its sizes, its values.
func idx(values []byte, sizes ...int) []byte {
	file := []byte{0, 0, 8, byte(len(sizes))}
	for _, n := range sizes {
		file = binary.BigEndian.AppendUint32(file, uint32(n))
	}
	return append(file, values...)
}

func labels(d *data.Dataset) []byte {
	list := make([]byte, d.Len())
	for i := range list {
		list[i] = byte(d.Label(i))
	}
	return list
}
