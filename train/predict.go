package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/urfave/cli/v3"

	"rampart/checkpoints"
	"rampart/data/imaging"
	"rampart/nn"
	"rampart/train/job"
)

// maxImage bounds an image's file.
const maxImage = 1 << 28

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
	top := int(c.Int("top"))
	if top < 1 {
		return usagef("-top %d: at least one class is named", top)
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
	files, err := imageFiles(c.Args().Slice())
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(opt.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "file\tclass\tconfidence")
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("interrupted: %w", err)
		}
		pixels, made, err := readImage(file, network.Model.Input())
		if err != nil {
			return fmt.Errorf("cannot read the image %q: %w", file, err)
		}
		for _, what := range made {
			if what != imaging.Grey { // no other answer is to be expected
				fmt.Fprintf(opt.Stderr, "note: %q is %s\n", file, what)
			}
		}
		p, err := network.PredictPixels(pixels)
		if err != nil {
			return fmt.Errorf("image %q: %w", file, err)
		}
		for _, class := range p.Best(top) {
			fmt.Fprintf(table, "%s\t%s\t%.4f\n", file, network.Meta.Model.Classes[class], p.Probabilities[class])
		}
	}
	return table.Flush()
}

// imageFiles lists the files that are named, and those of the folders that are, by their extension.
func imageFiles(paths []string) (files []string, err error) {
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			files = append(files, path) // reading it reports what is wrong
			continue
		}
		before := len(files)
		err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() && imaging.Named(file) {
				files = append(files, file)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("cannot read the folder %q: %w", path, err)
		}
		if len(files) == before {
			return nil, fmt.Errorf("the folder %q holds no image: their names end with .jpg, .png, .gif or .webp", path)
		}
	}
	return files, nil
}

// readImage reads a JPEG, PNG, GIF or WebP file (of an animation, the first frame) for a network, as a
// data set of images does.
func readImage(path string, to nn.Shape) (pixels []float32, made []imaging.Conversion, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, reason(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, reason(err)
	case !info.Mode().IsRegular():
		return nil, nil, errors.New("a device or a pipe, not a file")
	case info.Size() > maxImage:
		return nil, nil, fmt.Errorf("%d bytes: at most %d can be read", info.Size(), maxImage)
	}
	content, err := io.ReadAll(f)
	if err != nil {
		return nil, nil, reason(err)
	}
	img, made, err := imaging.Decode(content, to.C)
	if err != nil {
		return nil, nil, err
	}
	pixels, err = checkpoints.Fit(img, to)
	return pixels, made, err
}

// reason leaves the path out, which the message names already.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
