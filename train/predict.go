package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // the formats that predict reads
	_ "image/jpeg"
	_ "image/png"
	"io"
	"os"
	"text/tabwriter"

	"github.com/urfave/cli/v3"

	"rampart/nn"
	"rampart/train/job"
)

// maxPixels bounds an image, so that a small file cannot ask for all of the memory.
const maxPixels = 1 << 26

// predict classifies images. Nothing is printed before all of them have been read.
func predict(ctx context.Context, c *cli.Command) error {
	opt, err := options(c)
	if err != nil {
		return err
	}
	path, err := network(c)
	if err != nil {
		return err
	}
	if !c.Args().Present() {
		return usagef("which images? For example: %s -checkpoint %s digit.png", c.FullName(), path)
	}
	dev, err := job.OpenDevice(opt)
	if err != nil {
		return err
	}
	f, err := job.ReadNetwork(path, nn.Shape{}, opt)
	if err != nil {
		return err
	}
	network, err := f.Network(dev, 1)
	if err != nil {
		return fmt.Errorf("cannot use the network: %q: %w", path, err)
	}
	table := tabwriter.NewWriter(opt.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "file\tclass\tconfidence")
	for _, file := range c.Args().Slice() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("interrupted: %w", err)
		}
		img, err := readImage(file)
		if err != nil {
			return err
		}
		p, err := network.Predict(img)
		if err != nil {
			return fmt.Errorf("image %q: %w", file, err)
		}
		fmt.Fprintf(table, "%s\t%s\t%.4f\n", file, p.Name, p.Confidence)
	}
	return table.Flush()
}

// readImage reads a PNG, JPEG or GIF file (of an animation, the first frame).
func readImage(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the image: %w", err)
	}
	defer f.Close()
	img, err := decodeImage(f)
	if err != nil {
		return nil, fmt.Errorf("cannot read the image %q: %w", path, err)
	}
	return img, nil
}

func decodeImage(f io.ReadSeeker) (image.Image, error) {
	switch size, _, err := image.DecodeConfig(bufio.NewReader(f)); {
	case errors.Is(err, image.ErrFormat):
		return nil, errors.New("it is no PNG, JPEG or GIF file")
	case err != nil:
		return nil, fmt.Errorf("the file is damaged or cut off (%w)", err)
	case size.Width < 1 || size.Height < 1 || size.Width > maxPixels/size.Height:
		return nil, fmt.Errorf("%d x %d pixels: between 1 and %d in all can be read", size.Width, size.Height, maxPixels)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	img, _, err := image.Decode(bufio.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("the file is damaged or cut off (%w)", err)
	}
	return img, nil
}
