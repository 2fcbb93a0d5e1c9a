// Package fetch downloads files whose checksum is known, from a list of mirrors. A transfer that
// breaks off goes on where it stopped, also in a later run; what arrives is checked before it gets
// its name.
package fetch

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// File is a published file.
type File struct {
	Name string // of the file, for its place and for errors
	Size int64  // bytes; a server that sends another length is not believed
	MD5  string // hexadecimal: what the publishers of data sets give
	URLs []string
}

// Fetcher downloads. The zero value is ready for use.
type Fetcher struct {
	Client *http.Client // nil is http.DefaultClient
	// Progress, where not nil, is told about the bytes of a file that have arrived.
	Progress func(name string, done, total int64)
	// Stall is how long nothing may arrive before a transfer counts as broken; 0 is 30 s.
	Stall time.Duration
	// Pause is the wait before a mirror is tried again, doubled each time; 0 is 1 s.
	Pause time.Duration
}

// attempts is how often one mirror is tried in a row without a byte more from it.
const attempts = 3

// partial is what a file that has not fully arrived is called.
const partial = ".part"

// Get makes sure that dir holds the file, which is left alone where it does, and returns its path.
// The mirrors are tried in order; the error lists what went wrong with each.
func (f *Fetcher) Get(ctx context.Context, dir string, file File) (string, error) {
	path := filepath.Join(dir, file.Name)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", fmt.Errorf("cannot make the folder for downloads: %w", err)
	}
	var failed []error
	for _, url := range file.URLs {
		err := f.mirror(ctx, url, path, file)
		if err == nil {
			return path, nil
		}
		if ctx.Err() != nil {
			return "", fmt.Errorf("download of %q: %w (what has arrived is kept, a new attempt goes on from there)", file.Name, ctx.Err())
		}
		failed = append(failed, fmt.Errorf("%s: %w", url, err))
	}
	return "", fmt.Errorf("download of %q failed; fetch it yourself and put it into %q, or name another mirror: %w", file.Name, dir, errors.Join(failed...))
}

// mirror fetches from one server until the file is there or the server has failed too often.
func (f *Fetcher) mirror(ctx context.Context, url, path string, file File) error {
	pause := f.Pause
	if pause == 0 {
		pause = time.Second
	}
	restarted := false
	for failures := 0; ; {
		before := size(path + partial)
		err := f.transfer(ctx, url, path+partial, file)
		if err == nil {
			err = finish(path, file)
			if err == nil {
				return nil
			}
			// A part from an earlier day or another mirror may be at fault: once from the start.
			if restarted || before == 0 {
				return err
			}
			restarted = true
			continue
		}
		var final *refusal
		if errors.As(err, &final) || ctx.Err() != nil {
			return err
		}
		if failures++; size(path+partial) > before {
			failures = 0
		}
		if failures == attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause << failures):
		}
	}
}

// size is the length of a file, 0 where there is none.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// finish gives a complete download its name, or removes it where its checksum is wrong.
func finish(path string, file File) error {
	part, err := os.Open(path + partial)
	if err != nil {
		return err
	}
	sum := md5.New()
	_, err = io.Copy(sum, part)
	if err = errors.Join(err, part.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != file.MD5 {
		return errors.Join(fmt.Errorf("MD5 of what arrived is %s, expected %s: it is not the published file", got, file.MD5), os.Remove(path+partial))
	}
	return os.Rename(path+partial, path)
}
