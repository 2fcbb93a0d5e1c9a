// Package configs holds the configs that ship with Rampart, and the strict loader for all of
// them: a key that nothing reads is an error, never ignored, and every error names the file, the
// line, the key and the nearest valid name.
package configs

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rampart/nn/registry"
)

//go:embed *.toml
var embedded embed.FS

// maxSize bounds a config file, in bytes: anything larger is some other kind of file.
const maxSize = 1 << 18

// File is a config as it was read.
type File struct {
	Name string // without folder and extension: "madry"
	Path string // as messages show it: "configs/madry.toml", or "embedded:madry.toml"
	Data []byte
}

// Find reads the config called name: a path, else a file in ./configs, else one embedded in the
// binary, each also with ".toml" appended. When there is none, the error lists the embedded ones.
func Find(name string) (*File, error) {
	names := []string{name}
	if !strings.HasSuffix(name, ".toml") {
		names = append(names, name+".toml")
	}
	for _, folder := range []string{"", "configs"} {
		for _, n := range names {
			path := filepath.Join(folder, n)
			data, err := readFile(path)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errFolder) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("config %q: %w", name, err)
			}
			return &File{Name: bare(path), Path: path, Data: data}, nil
		}
	}
	for _, n := range names {
		if data, err := embedded.ReadFile(n); err == nil {
			return &File{Name: bare(n), Path: "embedded:" + n, Data: data}, nil
		}
	}
	known := Embedded()
	hint := ""
	if near, ok := registry.Nearest(bare(name), known); ok {
		hint = fmt.Sprintf(": did you mean %q?", near)
	}
	return nil, fmt.Errorf("config %q is neither a file, nor in ./configs, nor embedded%s (embedded: %s)", name, hint, strings.Join(known, ", "))
}

// Embedded returns the names of the configs in the binary, without extension, sorted.
func Embedded() []string {
	paths, _ := fs.Glob(embedded, "*.toml") // the pattern is well formed: the only possible error
	for i, p := range paths {
		paths[i] = bare(p)
	}
	slices.Sort(paths)
	return paths
}

func bare(path string) string { return strings.TrimSuffix(filepath.Base(path), ".toml") }

var errFolder = errors.New("is a folder")

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.IsDir() {
		return nil, errFolder
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSize {
		return nil, fmt.Errorf("%s is larger than %d KiB: it is no config", path, maxSize>>10)
	}
	return data, nil
}
