package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

var files = map[string]string{"train/cat/1.jpg": "one", "train/cat/deep/2.jpg": strings.Repeat("two ", 5000), "train/dog/a.jpg": "",
	"test/cat/x.jpg": "x", ".hidden/y": "no", "train/.DS_Store": "no", "__MACOSX/train/cat/._1.jpg": "no", "train/Thumbs.db": "no"}

var visible = []string{"test/cat/x.jpg", "train/cat/1.jpg", "train/cat/deep/2.jpg", "train/dog/a.jpg"}

func tarFile() []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: "./train/", Typeflag: tar.TypeDir})
	w.WriteHeader(&tar.Header{Name: "train/link", Typeflag: tar.TypeSymlink, Linkname: "cat"})
	for name, content := range files {
		w.WriteHeader(&tar.Header{Name: "./" + name, Size: int64(len(content)), Mode: 0o644})
		w.Write([]byte(content))
	}
	w.Close()
	return b.Bytes()
}

func gz(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(content)
	w.Close()
	return b.Bytes()
}

func zipFile() []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.Create("train/")
	for name, content := range files {
		f, _ := w.Create(name)
		f.Write([]byte(content))
	}
	w.Close()
	return b.Bytes()
}

func folder(t *testing.T) string {
	dir := t.TempDir()
	for name, content := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func put(t *testing.T, name string, content []byte) string {
	full := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(full, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return full
}

// TestTree: all kinds give the same files, read from many goroutines at a time.
func TestTree(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for name, place := range map[string]string{"folder": folder(t), "zip": put(t, "a.zip", zipFile()), "tar": put(t, "a.tar", tarFile()), "tar.gz": put(t, "a.tgz", gz(tarFile()))} {
		tree, err := Open(place)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.Equal(tree.Files, visible) {
			t.Errorf("%s: files %q", name, tree.Files)
		}
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				for _, file := range tree.Files {
					if got, err := tree.Read(file); err != nil || string(got) != files[file] {
						t.Errorf("%s: %q is %q (%v)", name, file, got, err)
					}
				}
			})
		}
		wait.Wait()
		if _, err := tree.Read("no"); err == nil || !strings.Contains(err.Error(), "it is not in") {
			t.Errorf("%s: a file that is not there: %v", name, err)
		}
		if got, want := tree.Full("a/b"), place+"/a/b"; got != want {
			t.Errorf("full path %q, want %q", got, want)
		}
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestLinks(t *testing.T) {
	dir := folder(t)
	for name, to := range map[string]string{"train/bird": filepath.Join(dir, "train/cat"), "train/dog/lost.jpg": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	tree, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tree.Read("train/bird/1.jpg"); err != nil || string(got) != "one" {
		t.Errorf("through a link: %q, %v", got, err)
	}
	if _, err := tree.Read("train/dog/lost.jpg"); err == nil {
		t.Error("a link that leads nowhere can be read")
	}
	if err := os.Symlink(dir, filepath.Join(dir, "train/circle")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "more than 32 folders in one another") {
		t.Errorf("a circle: %v", err)
	}
}

func TestErrors(t *testing.T) {
	encrypted := zipFile()
	for rest := encrypted; ; { // the flags of each file in the directory at the end
		_, after, found := bytes.Cut(rest, []byte("PK\x01\x02"))
		if !found {
			break
		}
		after[4] |= 1
		rest = after
	}
	damaged := tarFile()
	copy(damaged[512:], "damaged")
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":        {nil, "the file is empty"},
		"short":        {[]byte("P"), "it is no folder, zip, tar or tar.gz file"},
		"text":         {bytes.Repeat([]byte("text "), 100), "it is no folder, zip, tar or tar.gz file"},
		"cut zip":      {zipFile()[:100], "the zip file is damaged or cut off"},
		"encrypted":    {encrypted, "is encrypted: pack it without a password"},
		"damaged tar":  {damaged, "the tar file is damaged or cut off"},
		"cut gzip":     {gz(tarFile())[:200], "the gzip file is damaged or cut off"},
		"no gzip":      {[]byte("\x1f\x8bnonsense"), "the gzip file is damaged"},
		"gzip, no tar": {gz([]byte("text")), "damaged or cut off"},
	} {
		place := put(t, "set", c.content)
		tree, err := Open(place)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), fmt.Sprintf("%q", place)) {
			t.Errorf("%s: got %v, %v, want %q", name, tree, err, c.want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("missing: %v", err)
	}
	flipped := zipFile()
	flipped[bytes.Index(flipped, []byte("train/cat/1.jpg"))+len("train/cat/1.jpg")+1] ^= 0x7f
	tree, err := Open(put(t, "a.zip", flipped))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tree.Read("train/cat/1.jpg"); err == nil {
		t.Errorf("damaged content is %q", got)
	}
}
