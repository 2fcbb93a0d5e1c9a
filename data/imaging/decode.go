// Package imaging turns image files into bytes of one shape: it decodes JPEG, PNG, GIF and WebP,
// resizes as Pillow does, and crops.
package imaging

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	_ "image/jpeg" // the formats that Decode reads
	_ "image/png"
	"path/filepath"
	"slices"
	"strings"

	_ "golang.org/x/image/webp"
)

// extensions are the endings of files that are taken for images; those of kinds that cannot be read
// are among them, so that they are not passed over in silence.
var extensions = []string{".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".avif", ".ppm", ".pgm"}

// Named reports whether a file is an image by its name.
func Named(file string) bool {
	return slices.Contains(extensions, strings.ToLower(filepath.Ext(file)))
}

// MaxPixels bounds an image, so that a small file cannot ask for all of the memory.
const MaxPixels = 1 << 26

// Image is an image of 8 bits a channel, [H,W,C].
type Image struct {
	H, W, C int
	Pix     []byte
}

// Conversion is what Decode did to an image that is not as usual.
type Conversion string

// The conversions that Decode makes.
const (
	Grey     Conversion = "grey, made RGB"
	CMYK     Conversion = "CMYK, made RGB"
	Deep     Conversion = "16 bits a channel, made 8"
	Alpha    Conversion = "with transparency, which is dropped"
	Animated Conversion = "animated, its first frame is used"
)

// Decode reads an image file as RGB or, for one channel, as grey: ITU-R 601 luma, as in Pillow.
// What is transparent keeps the colour that it has in the file.
func Decode(content []byte, channels int) (img *Image, made []Conversion, err error) {
	defer func() { // a decoder that fails on a malicious file must not end a run
		if p := recover(); p != nil {
			img, err = nil, fmt.Errorf("the file is damaged (%v)", p)
		}
	}()
	if len(content) == 0 {
		return nil, nil, errors.New("the file is empty")
	}
	animated, err := animation(content)
	if err != nil {
		return nil, nil, err
	}
	config, format, err := image.DecodeConfig(bytes.NewReader(content))
	switch {
	case errors.Is(err, image.ErrFormat):
		return nil, nil, errors.New("it is no JPEG, PNG, GIF or WebP file")
	case err != nil:
		return nil, nil, fmt.Errorf("the file is damaged or cut off (%w)", err)
	case config.Width < 1 || config.Height < 1 || config.Width > MaxPixels/config.Height:
		return nil, nil, fmt.Errorf("%d x %d pixels: between 1 and %d in all can be read", config.Width, config.Height, MaxPixels)
	}
	var decoded image.Image
	if format == "gif" {
		decoded, err = gif.Decode(bytes.NewReader(content)) // the first frame only
	} else {
		decoded, _, err = image.Decode(bytes.NewReader(content))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the file is damaged or cut off (%w)", err)
	}
	if format == "webp" {
		decoded = studio(decoded)
	}
	img, made = convert(decoded, config.Height, config.Width, channels)
	if animated {
		made = append(made, Animated)
	}
	return img, made, nil
}

// animation says whether a file has several frames. An animated WebP file is an error, since no
// frame of it can be read.
func animation(content []byte) (bool, error) {
	switch {
	case bytes.HasPrefix(content, []byte("GIF8")):
		return gifFrames(content) > 1, nil
	case bytes.HasPrefix(content, []byte("\x89PNG")):
		before, _, _ := bytes.Cut(content, []byte("IDAT"))
		return bytes.Contains(before, []byte("acTL")), nil
	case len(content) > 20 && string(content[:4]) == "RIFF" && string(content[8:16]) == "WEBPVP8X" && content[20]&2 != 0:
		return false, errors.New("it is an animated WebP file: save one frame as a file of its own")
	}
	return false, nil
}

// gifFrames counts the frames of a GIF file up to two, by walking over its blocks (GIF89a
// specification, appendix B).
func gifFrames(content []byte) (frames int) {
	colours := func(flags byte) int {
		if flags&0x80 == 0 {
			return 0
		}
		return 3 << (1 + flags&7)
	}
	if len(content) < 13 {
		return 0
	}
	for at := 13 + colours(content[10]); at < len(content) && frames < 2; {
		switch content[at] {
		case 0x21: // an extension: a label, then blocks
			at += 2
		case 0x2c: // a frame: its descriptor, colours, the size of codes, then blocks
			if frames++; at+9 >= len(content) {
				return frames
			}
			at += 10 + colours(content[at+9]) + 1
		default: // the end
			return frames
		}
		for at < len(content) && content[at] != 0 {
			at += 1 + int(content[at])
		}
		at++
	}
	return frames
}
