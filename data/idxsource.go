package data

import (
	"os"
	"path/filepath"

	"rampart/nn/registry"
)

func init() { registry.Register[Source]("idx", func() Source { return &IDX{Classes: digits()} }) }

// IDX is a data set in the format of MNIST, such as Fashion-MNIST or KMNIST, read from a folder
// with the four files {train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or ending in ".gz".
type IDX struct {
	// Dir is the folder.
	Dir string `toml:"dir"`
	// Classes are the names of the classes; without them they are the digits.
	Classes []string `toml:"classes"`
}

// Validate checks that the folder has the four files and that the classes make sense.
func (s *IDX) Validate() error {
	if s.Dir == "" {
		return registry.Errorf("dir", "no folder is given: set it to the one with %q and the other files", trainImages+".gz")
	}
	if info, err := os.Stat(s.Dir); err != nil {
		return registry.Errorf("dir", "%w", registry.Quoted(err))
	} else if !info.IsDir() {
		return registry.Errorf("dir", "%q is a file, expected a folder", s.Dir)
	}
	f := s.folder()
	for _, file := range idxFiles {
		opened, _, err := f.open(file)
		if err != nil {
			return registry.Errorf("dir", "%w", err)
		}
		opened.Close()
	}
	if n := len(s.Classes); n < 2 || n > 256 {
		return registry.Errorf("classes", "%d class names, expected 2 to 256", n)
	}
	seen := map[string]bool{}
	for i, class := range s.Classes {
		if class == "" || seen[class] {
			return registry.Errorf("classes", "name %q at position %d is empty or there twice", class, i)
		}
		seen[class] = true
	}
	return nil
}

// Load reads the four files.
func (s *IDX) Load() (train, test *Dataset, err error) { return s.folder().load() }

func (s *IDX) folder() *folder {
	name := filepath.Base(s.Dir)
	if full, err := filepath.Abs(s.Dir); err == nil { // so that "." has a name
		name = filepath.Base(full)
	}
	return &folder{fsys: os.DirFS(s.Dir), dir: s.Dir, name: name, classes: s.Classes}
}
