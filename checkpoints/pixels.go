package checkpoints

import (
	"errors"
	"fmt"
	"image"
	"image/color"

	"golang.org/x/image/draw"

	"rampart/nn"
)

// Pixels converts an image to what a network takes, [H,W,C] in [0,1]: grey (by luma, ITU-R BT.601)
// for one channel, red, green and blue for three. An image of another size is stretched or shrunk
// to the network's (Catmull-Rom); what is transparent becomes black.
func Pixels(img image.Image, to nn.Shape) ([]float32, error) {
	if to.C != 1 && to.C != 3 {
		return nil, fmt.Errorf("the network takes %d channels: an image gives 1 or 3", to.C)
	}
	from := img.Bounds()
	if from.Empty() {
		return nil, errors.New("the image is empty")
	}
	if from.Dx() != to.W || from.Dy() != to.H {
		scaled := image.NewRGBA64(image.Rect(0, 0, to.W, to.H))
		draw.CatmullRom.Scale(scaled, scaled.Bounds(), img, from, draw.Src, nil)
		img, from = scaled, scaled.Bounds()
	}
	pixels := make([]float32, 0, to.Size())
	for y := from.Min.Y; y < from.Max.Y; y++ {
		for x := from.Min.X; x < from.Max.X; x++ {
			at := img.At(x, y)
			if to.C == 1 {
				pixels = append(pixels, unit(uint32(color.Gray16Model.Convert(at).(color.Gray16).Y)))
				continue
			}
			r, g, b, _ := at.RGBA() // multiplied by alpha: on black
			pixels = append(pixels, unit(r), unit(g), unit(b))
		}
	}
	return pixels, nil
}

// unit maps 16 bits to [0,1]. A byte p, which is 257*p in 16 bits, gives p/255 to the last bit.
func unit(v uint32) float32 { return float32(v) / 65535 }
