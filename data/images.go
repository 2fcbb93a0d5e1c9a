package data

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"rampart/data/archive"
	"rampart/data/imaging"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

func init() {
	registry.Register[Source]("images", func() Source {
		return &ImageFolder{Train: "train", Test: "test", Split: Split{SplitSeed: 1}, ImageOptions: defaultImages()}
	})
}

// ImageFolder is a folder, zip, tar or tar.gz file with images in a folder for each class:
// train/cat/1.jpg. Classes are numbered in the order of their names, as in torchvision; folders
// within one belong to it. Examples come in a shuffled order, the same each time.
type ImageFolder struct {
	// Path is the folder or archive.
	Path string `toml:"path"`
	// Train, Validation and Test are folders in it, given by their paths. Train may be "", which is
	// the top, where Test is "", and TestShare says which part of the images is set aside.
	Train      string `toml:"train"`
	Validation string `toml:"validation"`
	Test       string `toml:"test"`
	Split
	ImageOptions
}

// Split sets test images aside where there are none.
type Split struct {
	// TestShare of each class, drawn with SplitSeed and depending on the list of files alone.
	TestShare float64 `toml:"test_share"`
	SplitSeed uint64  `toml:"split_seed"`
}

// check judges the share beside what gives test images otherwise.
func (s *Split) check(test string) error {
	switch {
	case test != "" && s.TestShare != 0:
		return registry.Errorf("test_share", `test = %q gives the test images already: set test = "" or remove the share`, test)
	case test == "" && !(s.TestShare > 0 && s.TestShare < 1):
		return registry.Errorf("test_share", `%v: without test images of their own (test = "") it must lie between 0 and 1, such as 0.2`, s.TestShare)
	}
	return nil
}

// split draws the test images: of a class of two or more at least one, and never all.
func (s *Split) split(all []entry, classes int) (train, test []entry) {
	positions := make([][]int, classes)
	for i, e := range all {
		positions[e.label] = append(positions[e.label], i)
	}
	out := make([]bool, len(all))
	for class, list := range positions {
		n := int(float64(len(list))*s.TestShare + 0.5)
		n = min(max(n, 1), len(list)-1)
		for _, k := range rng.New(s.SplitSeed, "data/split").Perm(len(list), uint32(class))[:max(n, 0)] {
			out[list[k]] = true
		}
	}
	for i, e := range all {
		if out[i] {
			test = append(test, e)
		} else {
			train = append(train, e)
		}
	}
	return train, test
}

// Validate implements Source.
func (s *ImageFolder) Validate() error {
	if s.Path == "" {
		return registry.Errorf("path", "no folder or archive is given")
	}
	if err := s.check(s.Test); err != nil {
		return err
	}
	if s.Train == "" && (s.Validation != "" || s.Test != "") {
		return registry.Errorf("train", `"" is all of the images, validation and test among them: name its folder`)
	}
	if s.Validation != "" && s.Validation == s.Train || s.Test != "" && (s.Test == s.Train || s.Test == s.Validation) {
		return registry.Errorf("test", "train, validation and test must be different folders")
	}
	return s.ImageOptions.Validate()
}

// Load implements Source.
func (s *ImageFolder) Load() (train, test *Dataset, err error) { return load(s) }

// Open implements Opener.
func (s *ImageFolder) Open(ctx context.Context, o Options) (p *Parts, err error) {
	tree, err := archive.Open(s.Path)
	if err != nil {
		return nil, fmt.Errorf("path: %w", registry.Quoted(err))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tree.Close())
		}
	}()
	set := &imageSet{ImageOptions: s.ImageOptions, Options: o, tree: tree, name: baseName(s.Path)}
	train, err := s.folder(set, s.Train, nil)
	if err != nil {
		return nil, err
	}
	if n := len(set.classes); n < 2 {
		return nil, fmt.Errorf("%q has %d folder with images (%s), expected one for each of at least two classes", tree.Full(s.Train), n, strings.Join(set.classes, ", "))
	}
	var validation, test []entry
	if s.Validation != "" {
		if validation, err = s.folder(set, s.Validation, set.classes); err != nil {
			return nil, err
		}
	}
	if s.Test != "" {
		test, err = s.folder(set, s.Test, set.classes)
	} else {
		train, test = s.split(train, len(set.classes))
	}
	if err != nil {
		return nil, err
	}
	return set.load(ctx, train, validation, test)
}

// baseName is a name for a data set at a path: without folders and endings.
func baseName(name string) string {
	if full, err := filepath.Abs(name); err == nil { // so that "." has a name
		name = full
	}
	name = filepath.Base(name)
	if cut := strings.IndexByte(name, '.'); cut > 0 {
		name = name[:cut]
	}
	return name
}

// folder lists the images of one part. Without classes, set.classes become those found.
func (s *ImageFolder) folder(set *imageSet, folder string, classes []string) (entries []entry, err error) {
	files, others := s.files(set.tree, folder)
	if len(files) == 0 {
		return nil, fmt.Errorf("%q has no images in folders of classes (%s)", set.tree.Full(folder), s.hint(set.tree))
	}
	if others > 0 {
		set.notes = append(set.notes, fmt.Sprintf(number(others, "%d file in %q is no image by its name, and was ignored", "%d files in %q are no images by their names, and were ignored"), others, set.tree.Full(folder)))
	}
	prefix := len(clean(folder))
	var names []string
	for _, f := range files {
		class, _, inside := strings.Cut(f[prefix:], "/")
		if !inside {
			return nil, fmt.Errorf("%q lies in no folder of a class", set.tree.Full(f))
		}
		names = append(names, class)
	}
	if classes == nil {
		classes = slices.Compact(slices.Sorted(slices.Values(names)))
		set.classes = classes
	}
	for i, f := range files {
		label, ok := slices.BinarySearch(classes, names[i])
		if !ok {
			return nil, fmt.Errorf("%q: the training images have no class %q (%s)", set.tree.Full(f), names[i], some(classes))
		}
		entries = append(entries, entry{f, int32(label)})
	}
	return entries, nil
}

// clean is a folder as a prefix of paths: "" or "a/b/".
func clean(folder string) string {
	folder = strings.Trim(path.Clean("/"+filepath.ToSlash(folder)), "/")
	if folder == "" {
		return ""
	}
	return folder + "/"
}

// files lists the images below a folder, and counts the other files.
func (s *ImageFolder) files(tree *archive.Tree, folder string) (images []string, others int) {
	prefix := clean(folder)
	for _, f := range tree.Files {
		switch {
		case !strings.HasPrefix(f, prefix):
		case imaging.Named(f):
			images = append(images, f)
		default:
			others++
		}
	}
	return images, others
}

// hint says what is at the top, for who looks for another folder.
func (s *ImageFolder) hint(tree *archive.Tree) string {
	top := folders(tree.Files, "")
	if len(top) == 0 {
		return "there are no folders at the top"
	}
	if len(top) == 1 { // an archive often holds the folder that was packed, and all else in it
		if inner := folders(tree.Files, top[0]+"/"); len(inner) > 1 {
			return fmt.Sprintf(`all lies in %q, with the folders %s; set train and test to the right ones with %[1]q before them, such as %[3]q, or, if they are the classes, train = %[1]q, test = "" and test_share`, top[0], some(inner), path.Join(top[0], inner[0]))
		}
	}
	return fmt.Sprintf(`at the top are the folders %s; set train and test to the right ones or, if they are the classes, train = "", test = "" and test_share`, some(top))
}

// folders lists the folders right below a prefix of paths, in the order of the files.
func folders(files []string, prefix string) (list []string) {
	for _, f := range files {
		inside, below := strings.CutPrefix(f, prefix)
		first, _, folder := strings.Cut(inside, "/")
		if below && folder && !slices.Contains(list, first) {
			list = append(list, first)
		}
	}
	return list
}
