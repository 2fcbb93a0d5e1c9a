package fetch

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// content is long enough to be sent in several pieces.
var content = bytes.Repeat([]byte("a published file\n"), 20000)

func published(urls ...string) File {
	sum := md5.Sum(content)
	return File{Name: "set.bin", Size: int64(len(content)), MD5: hex.EncodeToString(sum[:]), URLs: urls}
}

// server answers the n-th request, counted from 1, by handle.
func server(t *testing.T, handle func(n int, w http.ResponseWriter, r *http.Request)) (url string, requests *[]string) {
	requests = new([]string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*requests = append(*requests, r.Header.Get("Range")) // the client asks one thing at a time
		handle(len(*requests), w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, requests
}

func whole(_ int, w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "set.bin", time.Time{}, bytes.NewReader(content))
}

// cut sends up to a number of bytes of what was asked for, and hangs up.
func cut(w http.ResponseWriter, r *http.Request, n int) {
	from := 0
	if asked := r.Header.Get("Range"); asked != "" {
		fmt.Sscanf(asked, "bytes=%d-", &from)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(content)-from))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	w.Write(content[from:min(from+n, len(content))])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func quick() *Fetcher { return &Fetcher{Pause: time.Millisecond, Stall: 5 * time.Second} }

func check(t *testing.T, dir, path string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, content) || path != filepath.Join(dir, "set.bin") {
		t.Errorf("%q holds %d bytes of %d (%v)", path, len(got), len(content), err)
	}
	if _, err := os.Stat(path + partial); err == nil {
		t.Error("the part is left behind")
	}
}

func TestGet(t *testing.T) {
	url, requests := server(t, whole)
	dir := filepath.Join(t.TempDir(), "new", "folder")
	f := quick()
	var last int64
	f.Progress = func(name string, done, total int64) {
		if name != "set.bin" || done <= last || total != int64(len(content)) {
			t.Errorf("progress %q %d of %d after %d", name, done, total, last)
		}
		last = done
	}
	path, err := f.Get(t.Context(), dir, published(url))
	check(t, dir, path, err)
	if last != int64(len(content)) {
		t.Errorf("progress ended at %d of %d", last, len(content))
	}
	path, err = f.Get(t.Context(), dir, published(url))
	check(t, dir, path, err)
	if len(*requests) != 1 {
		t.Errorf("%d requests for a file that is there", len(*requests))
	}
}

// TestResume: a transfer that breaks off twice goes on where it was.
func TestResume(t *testing.T) {
	url, requests := server(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n < 3 {
			cut(w, r, 100000)
		}
		whole(n, w, r)
	})
	dir := t.TempDir()
	path, err := quick().Get(t.Context(), dir, published(url))
	check(t, dir, path, err)
	if got := strings.Join(*requests, " "); got != " bytes=100000- bytes=200000-" {
		t.Errorf("requests for %q", got)
	}
}

// TestOldPart: what an earlier run left is used where it fits, and dropped where it does not.
func TestOldPart(t *testing.T) {
	noRange := func(n int, w http.ResponseWriter, r *http.Request) { w.Write(content) }
	for name, c := range map[string]struct {
		part     []byte
		handle   func(n int, w http.ResponseWriter, r *http.Request)
		requests int
	}{
		"good":            {content[:70000], whole, 1},
		"complete":        {content, whole, 0},
		"wrong":           {bytes.Repeat([]byte("x"), 70000), whole, 2},
		"wrong, complete": {bytes.Repeat([]byte("x"), len(content)), whole, 1},
		"too long":        {bytes.Repeat([]byte("x"), len(content)+1), whole, 1},
		"no ranges":       {content[:70000], noRange, 1},
		"unsatisfiable": {content[:70000], func(n int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
				return
			}
			w.Write(content)
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			url, requests := server(t, c.handle)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "set.bin"+partial), c.part, 0o666); err != nil {
				t.Fatal(err)
			}
			path, err := quick().Get(t.Context(), dir, published(url))
			check(t, dir, path, err)
			if len(*requests) != c.requests {
				t.Errorf("%d requests, want %d", len(*requests), c.requests)
			}
		})
	}
}

// TestMirrors: each way in which a mirror fails leads to the next one, and into the error.
func TestMirrors(t *testing.T) {
	for name, c := range map[string]struct {
		handle   func(n int, w http.ResponseWriter, r *http.Request)
		requests int
		want     string
	}{
		"not found": {func(_ int, w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, 1, "404 Not Found"},
		"overload":  {func(_ int, w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, attempts, "503 Service Unavailable"},
		"other length": {func(_ int, w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>")) }, 1,
			"it offers 6 bytes, expected 340000"},
		"other content": {func(_ int, w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, len(content))) }, 1,
			"expected " + published().MD5},
		"too much": {func(_ int, w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush() // no length is announced
			w.Write(content)
			w.Write(content)
		}, 1, "more than the expected 340000 bytes"},
		"breaks off at once": {func(_ int, w http.ResponseWriter, r *http.Request) { cut(w, r, 0) }, attempts, "it broke off after 0 of 340000 bytes"},
		"stalls": {func(_ int, w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, attempts, "nothing arrived for 50ms"},
		"other range": {func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				cut(w, r, 1000)
			}
			w.Header().Set("Content-Range", "bytes 7-8/9")
			w.WriteHeader(http.StatusPartialContent)
		}, 2, `it answered with the range "bytes 7-8/9", asked for was 1000 onwards`},
	} {
		t.Run(name, func(t *testing.T) {
			bad, requests := server(t, c.handle)
			f := quick()
			if name == "stalls" {
				f.Stall = 50 * time.Millisecond
			}
			_, err := f.Get(t.Context(), t.TempDir(), published(bad))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), `download of "set.bin" failed`) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if len(*requests) != c.requests {
				t.Errorf("%d requests, want %d", len(*requests), c.requests)
			}
			good, _ := server(t, whole)
			dir := t.TempDir()
			path, err := f.Get(t.Context(), dir, published(bad, good))
			check(t, dir, path, err)
		})
	}
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url, _ := server(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Write(content[:50000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	f := quick()
	f.Progress = func(_ string, done, _ int64) {
		if done >= 50000 {
			cancel()
		}
	}
	dir := t.TempDir()
	if _, err := f.Get(ctx, dir, published(url)); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("got %v", err)
	}
	good, requests := server(t, whole)
	path, err := quick().Get(t.Context(), dir, published(good))
	check(t, dir, path, err)
	if (*requests)[0] != "bytes=50000-" {
		t.Errorf("asked for %q", (*requests)[0])
	}
}
