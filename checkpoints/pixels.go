package checkpoints

import (
	"errors"
	"fmt"
	"image"

	"rampart/data/imaging"
	"rampart/nn"
)

// Pixels converts an image to what a network takes, [H,W,C] in [0,1], as a data set of image files
// does by default: 8 bits a channel, grey (by luma, ITU-R BT.601) for one channel, red, green and blue
// for three, and colours kept where they are transparent. See Fit for images of another size.
func Pixels(img image.Image, to nn.Shape) ([]float32, error) {
	if img.Bounds().Empty() {
		return nil, errors.New("the image is empty")
	}
	return Fit(imaging.From(img, to.C), to)
}

// Fit gives an image a network's size: its shorter side is scaled (antialiased and bilinear, as in
// Pillow), and the middle is cut out. For a network of images that are not square it is stretched.
func Fit(img *imaging.Image, to nn.Shape) ([]float32, error) {
	if to.C != 1 && to.C != 3 || img.C != to.C {
		return nil, fmt.Errorf("the network takes %d channels: an image gives 1 or 3", to.C)
	}
	switch {
	case img.H == to.H && img.W == to.W:
	case to.H != to.W:
		img = img.Resize(to.H, to.W, imaging.Bilinear)
	default:
		var err error
		if img, err = img.Cut(to.H, to.H, imaging.Bilinear); err != nil {
			return nil, err
		}
	}
	pixels := make([]float32, len(img.Pix))
	for i, v := range img.Pix {
		pixels[i] = float32(v) / 255
	}
	return pixels, nil
}
