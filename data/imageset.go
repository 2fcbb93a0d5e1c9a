package data

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"rampart/data/archive"
	"rampart/data/imaging"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// ImageOptions say what image files become.
type ImageOptions struct {
	// Size is the height and width of the images: the shorter side is scaled to Resize (0 is Size
	// itself), then the middle is cut out. With 0 images stay as they are, and must all be of one
	// size.
	Size   int `toml:"size"`
	Resize int `toml:"resize"`
	// Interpolation is "bilinear" or "bicubic", antialiased as in Pillow and torchvision.
	Interpolation string `toml:"interpolation"`
	// Channels is 3 (RGB) or 1 (grey).
	Channels int `toml:"channels"`
	// CacheMB is how many megabytes of decoded images are kept; what is beyond is decoded ahead of
	// each step.
	CacheMB int `toml:"cache_mb"`
}

func defaultImages() ImageOptions {
	return ImageOptions{Interpolation: imaging.Bilinear.String(), Channels: 3, CacheMB: 4096}
}

// DefaultSize implements Sized.
func (o *ImageOptions) DefaultSize(side int) bool {
	if o.Size != 0 || side > maxSide {
		return false
	}
	o.Size = side
	return true
}

// Heeds implements Opener.
func (*ImageOptions) Heeds() (download, onError bool) { return false, true }

func (o *ImageOptions) filter() (imaging.Filter, bool) {
	for _, f := range []imaging.Filter{imaging.Bilinear, imaging.Bicubic} {
		if f.String() == o.Interpolation {
			return f, true
		}
	}
	return imaging.Filter{}, false
}

// Validate judges the options.
func (o *ImageOptions) Validate() error {
	if o.Size < 0 || o.Size > maxSide {
		return registry.Errorf("size", "%d must lie between 0 (images as they are) and %d", o.Size, maxSide)
	}
	if o.Resize != 0 && (o.Resize < o.Size || o.Size == 0 || o.Resize > maxSide) {
		return registry.Errorf("resize", "%d must be 0 or lie between size = %d, which must be set, and %d", o.Resize, o.Size, maxSide)
	}
	if _, ok := o.filter(); !ok {
		return registry.Errorf("interpolation", `%q: use "bilinear" or "bicubic"`, o.Interpolation)
	}
	if o.Channels != 1 && o.Channels != 3 {
		return registry.Errorf("channels", "%d: use 3 (RGB) or 1 (grey)", o.Channels)
	}
	if o.CacheMB < 0 || o.CacheMB > 1<<20 {
		return registry.Errorf("cache_mb", "%d must lie between 0 and %d", o.CacheMB, 1<<20)
	}
	return nil
}

// errShape is an image of another size where size is not set: no image to be passed over, but a
// mistake in the config.
var errShape = errors.New(`set size to make all images of one size`)

// prepare decodes a file and brings it to its size.
func (o *ImageOptions) prepare(content []byte) (*imaging.Image, []imaging.Conversion, error) {
	img, made, err := imaging.Decode(content, o.Channels)
	if err != nil || o.Size == 0 {
		return img, made, err
	}
	filter, _ := o.filter()
	shorter := max(o.Size, o.Resize)
	img, err = img.Cut(o.Size, shorter, filter)
	return img, made, err
}

// entry is a labelled file.
type entry struct {
	file  string // in the tree
	label int32
}

// imageSet loads the parts of a data set of image files.
type imageSet struct {
	ImageOptions
	Options
	name    string
	tree    *archive.Tree
	classes []string
	h, w    int // of all images, known from the first one on
	total   int // files of all parts
	done    int // of them
	lazy    bool
	notes   []string
}

// part loads the files of one part.
func (s *imageSet) part(ctx context.Context, name string, entries []entry) (*Dataset, error) {
	title := s.name + " " + name
	if len(entries) == 0 {
		return nil, fmt.Errorf("data set %q holds no examples", title)
	}
	if err := s.shape(entries); err != nil {
		return nil, err
	}
	size := s.h * s.w * s.Channels
	l := &partLoad{imageSet: s, ctx: ctx, entries: entries, size: size, errs: make([]error, len(entries)), made: make([][]imaging.Conversion, len(entries)), failed: len(entries)}
	room := int(int64(s.CacheMB) << 20 * int64(len(entries)) / int64(s.total) / int64(size)) // images
	l.bytes = make([]byte, min(room, len(entries))*size)
	if err := l.run(); err != nil {
		return nil, err
	}
	s.done += len(entries)
	s.note(name, entries, l)
	return l.dataset(title)
}

// shape finds the size of all images where it is not set: that of the first that can be read.
func (s *imageSet) shape(entries []entry) error {
	if s.Size > 0 {
		s.h, s.w = s.Size, s.Size
	}
	for i := 0; s.h == 0 && i < len(entries); i++ {
		content, err := s.tree.Read(entries[i].file)
		if err == nil {
			var img *imaging.Image
			if img, _, err = s.prepare(content); err == nil {
				s.h, s.w = img.H, img.W
			}
		}
		if err != nil && (s.OnError != SkipOnError || i == len(entries)-1) {
			return s.refuse(entries[i], err)
		}
	}
	return nil
}

func (s *imageSet) refuse(e entry, err error) error {
	return fmt.Errorf(`%q: %w (data.on_error = "skip" passes over images that cannot be read)`, s.tree.Full(e.file), err)
}

// into decodes a file to dst.
func (s *imageSet) into(e entry, dst []byte) ([]imaging.Conversion, error) {
	content, err := s.tree.Read(e.file)
	if err != nil {
		return nil, err
	}
	img, made, err := s.prepare(content)
	if err != nil {
		return nil, err
	}
	if img.H != s.h || img.W != s.w {
		return nil, fmt.Errorf("%d x %d pixels, another image has %d x %d: %w", img.W, img.H, s.w, s.h, errShape)
	}
	copy(dst, img.Pix)
	return made, nil
}

// partLoad is the first reading of a part, in which every file is decoded once.
type partLoad struct {
	*imageSet
	ctx     context.Context
	entries []entry
	size    int
	bytes   []byte // of the first images, as many as there is room for
	errs    []error
	made    [][]imaging.Conversion
	mu      sync.Mutex
	failed  int // the first file that ends the loading
	count   int
}

// run decodes in parallel. With on_error = "fail" it stops at the first file in order that cannot
// be read; one of another shape is always an error.
func (l *partLoad) run() error {
	scratch := sync.Pool{New: func() any { b := make([]byte, l.size); return &b }}
	parallel(len(l.entries), func(k int) {
		if l.stop(k) {
			return
		}
		buffer := scratch.Get().(*[]byte)
		defer scratch.Put(buffer)
		dst := *buffer
		if (k+1)*l.size <= len(l.bytes) {
			dst = l.bytes[k*l.size : (k+1)*l.size]
		}
		l.made[k], l.errs[k] = l.into(l.entries[k], dst)
		l.tell(k, l.errs[k])
	})
	if err := l.ctx.Err(); err != nil {
		return fmt.Errorf("interrupted while reading images: %w", err)
	}
	for k, err := range l.errs {
		if errors.Is(err, errShape) {
			return fmt.Errorf("%q: %w", l.tree.Full(l.entries[k].file), err)
		}
		if err != nil && l.OnError != SkipOnError {
			return l.refuse(l.entries[k], err)
		}
	}
	return nil
}

// stop says whether file k need not be read, since one before it has ended the loading.
func (l *partLoad) stop(k int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return k > l.failed || l.ctx.Err() != nil
}

// tell counts a file.
func (l *partLoad) tell(k int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && (l.OnError != SkipOnError || errors.Is(err, errShape)) {
		l.failed = min(l.failed, k)
	}
	if l.count++; l.Progress != nil {
		l.Progress("images", int64(l.done+l.count), int64(l.total))
	}
}

// dataset drops what could not be read, and makes the rest a data set.
func (l *partLoad) dataset(title string) (*Dataset, error) {
	var files []entry
	var labels []int32
	var kept [][]byte
	whole := len(l.bytes) == len(l.entries)*l.size
	for k, e := range l.entries {
		if l.errs[k] != nil {
			continue
		}
		var image []byte
		if (k+1)*l.size <= len(l.bytes) {
			image = l.bytes[k*l.size : (k+1)*l.size]
		}
		if whole { // close the gaps
			image = l.bytes[len(files)*l.size:][:copy(l.bytes[len(files)*l.size:], image)]
		}
		files, labels, kept = append(files, e), append(labels, e.label), append(kept, image)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("data set %q holds no examples that can be read, such as %q: %w", title, l.tree.Full(l.entries[0].file), l.errs[0])
	}
	if whole {
		return NewDataset(title, l.h, l.w, l.Channels, l.classes, l.bytes[:len(files)*l.size], labels)
	}
	l.lazy = true
	set := l.imageSet
	decode := func(i uint32, dst []byte) error {
		if _, err := set.into(files[i], dst); err != nil {
			return fmt.Errorf("%q could be read before, but no longer: %w", set.tree.Full(files[i].file), err)
		}
		return nil
	}
	return &Dataset{Name: title, H: l.h, W: l.w, C: l.Channels, Classes: l.classes, Labels: labels, lazy: newLazy(l.size, kept, decode)}, nil
}

// named is how many files a note names.
const named = 3

// note says what was done to which files of a part.
func (s *imageSet) note(part string, entries []entry, l *partLoad) {
	var kinds []imaging.Conversion
	files := map[imaging.Conversion][]string{}
	var skipped []string
	for k, e := range entries {
		if l.errs[k] != nil {
			skipped = append(skipped, fmt.Sprintf("%s (%v)", e.file, l.errs[k]))
		}
		for _, c := range l.made[k] {
			if files[c] == nil {
				kinds = append(kinds, c)
			}
			files[c] = append(files[c], e.file)
		}
	}
	for _, c := range kinds {
		s.notes = append(s.notes, fmt.Sprintf("%s: %d of %d images %s %s: %s", part, len(files[c]), len(entries), number(len(files[c]), "is", "are"), c, some(files[c])))
	}
	if len(skipped) > 0 {
		s.notes = append(s.notes, fmt.Sprintf("%s: %d of %d images %s passed over: %s", part, len(skipped), len(entries), number(len(skipped), "was", "were"), some(skipped)))
	}
}

// number picks the word for one, or for more.
func number(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// some lists the first few by name.
func some(list []string) string {
	list = slices.Sorted(slices.Values(list))
	if len(list) <= named {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:named], ", ") + ", ..."
}

// shuffled puts files, which often come class by class, into an order in which any stretch has all
// classes: data.limit, the probe and the curves take the first examples. It depends on their number
// alone.
func shuffled(entries []entry) []entry {
	order := make([]entry, len(entries))
	for i, k := range rng.New(0, "data/order").Perm(len(entries), 0) {
		order[i] = entries[k]
	}
	return order
}

// load loads all parts and gives the tree back unless it is still needed.
func (s *imageSet) load(ctx context.Context, train, validation, test []entry) (p *Parts, err error) {
	s.total = len(train) + len(validation) + len(test)
	p = &Parts{}
	for _, part := range []struct {
		name    string
		entries []entry
		to      **Dataset
	}{{"train", train, &p.Train}, {"validation", validation, &p.Validation}, {"test", test, &p.Test}} {
		if part.name == "validation" && part.entries == nil {
			continue
		}
		if *part.to, err = s.part(ctx, part.name, shuffled(part.entries)); err != nil {
			return nil, err
		}
	}
	p.Notes = s.notes
	if !s.lazy {
		err = s.tree.Close()
	}
	return p, err
}
