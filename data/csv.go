package data

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"rampart/data/archive"
	"rampart/nn/registry"
)

func init() {
	registry.Register[Source]("csv", func() Source {
		return &CSV{Split: Split{SplitSeed: 1}, ImageOptions: defaultImages()}
	})
}

// CSV is a data set of image files that are listed, with their labels, in files of lines
// "path,label". A first line that says just that is passed over. Examples come in a shuffled order,
// the same each time.
type CSV struct {
	// Train, Validation and Test are the lists. Where Test is "", TestShare says which part of the
	// training images is set aside.
	Train      string `toml:"train"`
	Validation string `toml:"validation"`
	Test       string `toml:"test"`
	// Root is the folder or archive that the paths begin in; "" is the folder of Train.
	Root string `toml:"root"`
	// Classes are the labels in the order of their numbers. Without them it is the order of the
	// labels in Train: of numbers if all are, else of the alphabet.
	Classes []string `toml:"classes,omitempty"`
	Split
	ImageOptions
}

// Validate implements Source.
func (s *CSV) Validate() error {
	if s.Train == "" {
		return registry.Errorf("train", "no file is given: set it to one with lines of path,label")
	}
	if err := s.check(s.Test); err != nil {
		return err
	}
	if len(s.Classes) == 1 || len(slices.Compact(slices.Sorted(slices.Values(s.Classes)))) < len(s.Classes) || slices.Contains(s.Classes, "") {
		return registry.Errorf("classes", "%q: give at least two names, each once and none empty", s.Classes)
	}
	return s.ImageOptions.Validate()
}

// Load implements Source.
func (s *CSV) Load() (train, test *Dataset, err error) { return load(s) }

// Open implements Opener.
func (s *CSV) Open(ctx context.Context, o Options) (p *Parts, err error) {
	var lists [3][]listed // train, validation, test
	for i, file := range []string{s.Train, s.Validation, s.Test} {
		if file == "" {
			continue
		}
		if lists[i], err = readList(file); err != nil {
			return nil, err
		}
	}
	if err := apart(lists[0], lists[1], lists[2]); err != nil {
		return nil, err
	}
	root := s.Root
	if root == "" {
		root = filepath.Dir(s.Train)
	}
	tree, err := archive.Open(root)
	if err != nil {
		return nil, fmt.Errorf("root: %w", registry.Quoted(err))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tree.Close())
		}
	}()
	set := &imageSet{ImageOptions: s.ImageOptions, Options: o, tree: tree, name: baseName(s.Train), classes: s.Classes}
	if set.classes == nil {
		if set.classes = classesOf(lists[0]); len(set.classes) < 2 {
			return nil, fmt.Errorf("%q: all images have the label %q, expected at least two classes", s.Train, set.classes[0])
		}
	}
	var parts [3][]entry
	for i, list := range lists {
		if parts[i], err = set.entries(list); err != nil {
			return nil, err
		}
	}
	if s.Test == "" {
		parts[0], parts[2] = s.split(parts[0], len(set.classes))
	}
	return set.load(ctx, parts[0], parts[1], parts[2])
}

// listed is a line of a list.
type listed struct {
	list        string // the file with the line
	line        int
	path, label string
}

func (l listed) errorf(format string, args ...any) error {
	return fmt.Errorf("%q, line %d: %w", l.list, l.line, fmt.Errorf(format, args...))
}

// readList reads a file of lines.
func readList(name string) ([]listed, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, registry.Quoted(err)
	}
	list, err := parseList(file, name)
	return list, errors.Join(err, file.Close())
}

// parseList reads lines "path,label"; name is what errors call the file.
func parseList(r io.Reader, name string) (list []listed, err error) {
	text := bufio.NewReader(r)
	if mark, _ := text.Peek(3); string(mark) == "\xef\xbb\xbf" {
		text.Discard(3) // a byte order mark, as some spreadsheets write it
	}
	lines := csv.NewReader(text)
	lines.FieldsPerRecord = -1
	lines.TrimLeadingSpace = true
	seen := map[string]listed{}
	for first := true; ; first = false {
		fields, err := lines.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		line, _ := lines.FieldPos(0)
		l := listed{list: name, line: line}
		if len(fields) != 2 {
			return nil, l.errorf("%d %s, expected path,label (a comma in a path needs quotes around it)", len(fields), number(len(fields), "field", "fields"))
		}
		l.path, l.label = strings.TrimSpace(fields[0]), strings.TrimSpace(fields[1])
		if first && strings.EqualFold(l.path, "path") && strings.EqualFold(l.label, "label") {
			continue
		}
		l.path = strings.TrimPrefix(path.Clean("/"+filepath.ToSlash(l.path)), "/")
		if l.path == "" || l.label == "" {
			return nil, l.errorf("the path or the label is empty")
		}
		if before, twice := seen[l.path]; twice {
			return nil, l.errorf("%q is in line %d already", l.path, before.line)
		}
		seen[l.path] = l
		list = append(list, l)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%q lists no images, expected lines of path,label", name)
	}
	return list, nil
}

// apart reports an image that is in two lists: figures would be of images trained on.
func apart(lists ...[]listed) error {
	seen := map[string]listed{}
	for _, list := range lists {
		for _, l := range list {
			if before, twice := seen[l.path]; twice {
				return l.errorf("%q is in %q, line %d, too: parts must not share images", l.path, before.list, before.line)
			}
			seen[l.path] = l
		}
	}
	return nil
}

// classesOf lists the labels: in the order of numbers if all are whole numbers.
func classesOf(list []listed) []string {
	var labels []string
	numbers := true
	for _, l := range list {
		labels = append(labels, l.label)
		if _, err := strconv.Atoi(l.label); err != nil {
			numbers = false
		}
	}
	slices.SortFunc(labels, func(a, b string) int {
		if numbers {
			x, _ := strconv.Atoi(a)
			y, _ := strconv.Atoi(b)
			if x != y {
				return cmp.Compare(x, y)
			}
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(labels)
}

// entries finds the files and the labels of a list.
func (s *imageSet) entries(list []listed) (entries []entry, err error) {
	labels := map[string]int32{}
	for i, c := range s.classes {
		labels[c] = int32(i)
	}
	for _, l := range list {
		label, ok := labels[l.label]
		if !ok {
			return nil, l.errorf("unknown class %q: known are %s", l.label, some(s.classes))
		}
		if _, ok := slices.BinarySearch(s.tree.Files, l.path); !ok && s.OnError != SkipOnError {
			return nil, l.errorf("%q is not in %q (paths begin there; see root)", l.path, s.tree.Name)
		}
		entries = append(entries, entry{l.path, label})
	}
	return entries, nil
}
