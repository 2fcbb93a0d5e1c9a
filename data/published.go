package data

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rampart/data/fetch"
	"rampart/nn/registry"
)

// Published is where a data set with published files is, or goes.
type Published struct {
	// Path is the folder of the files, or the archive where they come as one. Without it, it is a
	// folder of the user's cache.
	Path string `toml:"path,omitempty"`
	// Mirrors are addresses of folders with the files, tried before the known ones.
	Mirrors []string `toml:"mirrors,omitempty"`
}

// Validate judges the mirrors.
func (p *Published) Validate() error {
	for _, m := range p.Mirrors {
		if u, err := url.Parse(m); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return registry.Errorf("mirrors", "%q is no address: it must begin with http:// or https://", m)
		}
	}
	return nil
}

// Heeds implements Opener.
func (*Published) Heeds() (download, onError bool) { return true, false }

// dir is the folder of the files of a data set.
func (p *Published) dir(set string) (string, error) {
	if p.Path != "" {
		return p.Path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("set path to the folder of the files: %w", err)
	}
	return filepath.Join(cache, "rampart", set), nil
}

// get makes sure that files are in dir, and fetches what is missing where that is allowed. have
// judges whether one is there in some form.
func (p *Published) get(ctx context.Context, o Options, dir string, files []fetch.File, have func(name string) bool) error {
	for _, f := range files {
		if have(f.Name) {
			continue
		}
		if !o.Download {
			return fmt.Errorf("%q is not in %q: set data.download = true to fetch it (%d MB), or data.source.path to where it is: %w", f.Name, dir, (f.Size+999_999)/1_000_000, fs.ErrNotExist)
		}
		var urls []string
		for _, m := range p.Mirrors {
			urls = append(urls, strings.TrimSuffix(m, "/")+"/"+f.Name)
		}
		f.URLs = slices.Concat(urls, f.URLs)
		fetcher := &fetch.Fetcher{Progress: o.Progress}
		if _, err := fetcher.Get(ctx, dir, f); err != nil {
			return err
		}
	}
	return nil
}

// inFolder says whether a folder has a file.
func inFolder(dir string) func(name string) bool {
	return func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
}
