package imaging

import (
	"image"
	"image/color"
)

// From is an image in memory as Decode gives one in a file; it must not be empty.
func From(src image.Image, channels int) *Image {
	m, _ := convert(src, src.Bounds().Dy(), src.Bounds().Dx(), channels)
	return m
}

// convert copies a decoded image onto a canvas of h x w, which only a GIF's first frame may fail
// to fill, and says what it is.
func convert(src image.Image, h, w, channels int) (*Image, []Conversion) {
	rgb := &Image{H: h, W: w, C: 3, Pix: make([]byte, h*w*3)}
	at := pixels(src)
	b := src.Bounds()
	left, top := 0, 0
	if b.Dx() != w || b.Dy() != h {
		left, top = b.Min.X, b.Min.Y
	}
	for y := range min(b.Dy(), h-top) {
		row := rgb.Pix[((top+y)*w+left)*3:]
		for x := range min(b.Dx(), w-left) {
			row[3*x], row[3*x+1], row[3*x+2] = at(b.Min.X+x, b.Min.Y+y)
		}
	}
	made := conversions(src)
	if channels != 1 {
		return rgb, made
	}
	if len(made) > 0 && made[0] == Grey {
		made = made[1:] // nothing had to be done
	}
	return rgb.luma(), made
}

// luma returns the image in grey: 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point, rounded.
func (m *Image) luma() *Image {
	grey := &Image{H: m.H, W: m.W, C: 1, Pix: make([]byte, m.H*m.W)}
	for i := range grey.Pix {
		r, g, b := uint32(m.Pix[3*i]), uint32(m.Pix[3*i+1]), uint32(m.Pix[3*i+2])
		grey.Pix[i] = byte((19595*r + 38470*g + 7471*b + 1<<15) >> 16)
	}
	return grey
}

// pixels returns a function for the colours of an image, not multiplied by their opacity.
func pixels(src image.Image) func(x, y int) (r, g, b byte) {
	switch m := src.(type) {
	case *image.YCbCr:
		return func(x, y int) (r, g, b byte) {
			i, j := m.YOffset(x, y), m.COffset(x, y)
			return color.YCbCrToRGB(m.Y[i], m.Cb[j], m.Cr[j])
		}
	case *image.NYCbCrA:
		return pixels(&m.YCbCr)
	case studioImage:
		return func(x, y int) (r, g, b byte) {
			i, j := m.YOffset(x, y), m.COffset(x, y)
			return studioRGB(m.Y[i], m.Cb[j], m.Cr[j])
		}
	case *image.Gray:
		return func(x, y int) (r, g, b byte) {
			v := m.Pix[m.PixOffset(x, y)]
			return v, v, v
		}
	case *image.NRGBA:
		return func(x, y int) (r, g, b byte) {
			p := m.Pix[m.PixOffset(x, y):]
			return p[0], p[1], p[2]
		}
	case *image.RGBA: // opaque, where a decoder makes it
		return func(x, y int) (r, g, b byte) {
			p := m.Pix[m.PixOffset(x, y):]
			return p[0], p[1], p[2]
		}
	case *image.NRGBA64: // [R, R, G, G, B, B, A, A], high bytes first
		return func(x, y int) (r, g, b byte) {
			p := m.Pix[m.PixOffset(x, y):]
			return p[0], p[2], p[4]
		}
	case *image.Paletted:
		palette := make([]color.NRGBA, len(m.Palette))
		for i, c := range m.Palette {
			palette[i] = color.NRGBAModel.Convert(c).(color.NRGBA)
		}
		return func(x, y int) (r, g, b byte) {
			c := palette[m.ColorIndexAt(x, y)]
			return c.R, c.G, c.B
		}
	}
	return func(x, y int) (r, g, b byte) { // CMYK, 16 bits of grey or colour
		c := color.NRGBAModel.Convert(src.At(x, y)).(color.NRGBA)
		return c.R, c.G, c.B
	}
}

// conversions lists what is unusual about an image, Grey first.
func conversions(src image.Image) (made []Conversion) {
	switch m := src.(type) {
	case *image.Gray:
		made = append(made, Grey)
	case *image.Gray16:
		made = append(made, Grey, Deep)
	case *image.CMYK:
		made = append(made, CMYK)
	case studioImage:
		if m.alpha != nil && !m.alpha.Opaque() {
			made = append(made, Alpha)
		}
		return made
	case *image.RGBA64, *image.NRGBA64:
		made = append(made, Deep)
	case *image.Paletted:
		if greyPalette(m.Palette) {
			made = append(made, Grey)
		}
	}
	if o, ok := src.(interface{ Opaque() bool }); ok && !o.Opaque() {
		made = append(made, Alpha)
	}
	return made
}

func greyPalette(p color.Palette) bool {
	for _, c := range p {
		if r, g, b, _ := c.RGBA(); r != g || g != b {
			return false
		}
	}
	return true
}

// studioImage is an image whose luma lies in 16 to 235 and chroma in 16 to 240, as in VP8, while
// JPEG uses all of 0 to 255, which is what color.YCbCr means.
type studioImage struct {
	*image.YCbCr
	alpha *image.NYCbCrA // where there is opacity
}

// studio marks what the WebP decoder returns for lossy files, which does not say so.
func studio(src image.Image) image.Image {
	switch m := src.(type) {
	case *image.YCbCr:
		return studioImage{m, nil}
	case *image.NYCbCrA:
		return studioImage{&m.YCbCr, m}
	}
	return src
}

// studioRGB is the conversion of ITU-R BT.601.
func studioRGB(luma, cb, cr byte) (r, g, b byte) {
	y, u, v := 255/219.*(float64(luma)-16), 255/224.*(float64(cb)-128), 255/224.*(float64(cr)-128)
	clip := func(x float64) byte { return byte(min(max(x+0.5, 0), 255)) }
	return clip(y + 1.402*v), clip(y - 0.344136*u - 0.714136*v), clip(y + 1.772*u)
}
