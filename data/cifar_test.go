package data

import (
	"archive/tar"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rampart/data/fetch"
)

// record is an image whose red is its number, green the row and blue the column.
func record(number int, labels ...byte) []byte {
	r := slices.Concat(labels, bytes.Repeat([]byte{byte(number)}, cifarPixels))
	for i := range 2 * cifarPixels {
		if i < cifarPixels {
			r = append(r, byte(i/cifarSide))
		} else {
			r = append(r, byte(i%cifarSide))
		}
	}
	return r
}

// cifar10Files are the files of a tiny CIFAR-10: two images in each file of training images.
func cifar10Files() map[string][]byte {
	files := map[string][]byte{"batches.meta.txt": []byte("airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"),
		"test_batch.bin": record(100, 3), "readme.html": []byte("<html>")}
	for i := range 5 {
		files[fmt.Sprintf("data_batch_%d.bin", i+1)] = slices.Concat(record(2*i, byte(2*i)), record(2*i+1, byte(2*i+1)))
	}
	return files
}

func cifar100Files() map[string][]byte {
	var fine, coarse strings.Builder
	for i := range 100 {
		fmt.Fprintf(&fine, "fine %d\n", i)
	}
	for i := range 20 {
		fmt.Fprintf(&coarse, "coarse %d\n", i)
	}
	return map[string][]byte{"fine_label_names.txt": []byte(fine.String()), "coarse_label_names.txt": []byte(coarse.String()),
		"train.bin": slices.Concat(record(0, 19, 99), record(1, 4, 7)), "test.bin": record(2, 0, 1)}
}

// tarGz packs files into a folder of an archive.
func tarGz(files map[string][]byte, folder string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: folder + "/", Typeflag: tar.TypeDir, Mode: 0o755})
	for _, name := range sortedNames(files) {
		w.WriteHeader(&tar.Header{Name: folder + "/" + name, Typeflag: tar.TypeReg, Size: int64(len(files[name])), Mode: 0o644})
		w.Write(files[name])
	}
	w.Close()
	return gz(b.Bytes())
}

func sortedNames(files map[string][]byte) (names []string) {
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestCIFAR reads the archive, the folder with it, the extracted folder, and the folder around it.
func TestCIFAR(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, content []byte) string {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, content, 0o666); err != nil {
			t.Fatal(err)
		}
		return full
	}
	archive := put("packed/cifar-10-binary.tar.gz", tarGz(cifar10Files(), "cifar-10-batches-bin"))
	for name, content := range cifar10Files() {
		put("extracted/cifar-10-batches-bin/"+name, content)
	}
	for _, path := range []string{archive, filepath.Join(dir, "packed"), filepath.Join(dir, "extracted"), filepath.Join(dir, "extracted/cifar-10-batches-bin")} {
		train, test, err := (&CIFAR10{Published{Path: path}}).Load()
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if train.Name != "cifar10 train" || test.Name != "cifar10 test" || train.Classes[9] != "truck" || len(train.Classes) != 10 ||
			!slices.Equal(train.Labels, []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) || !slices.Equal(test.Labels, []int32{3}) {
			t.Errorf("%s: got %q, %q, %v, %v", path, train.Name, test.Name, train.Labels, test.Labels)
		}
		for i := range train.Len() {
			at := (i*cifarPixels + 5*cifarSide + 17) * 3
			if got := train.Pixels[at : at+3]; !slices.Equal(got, []byte{byte(i), 5, 17}) {
				t.Errorf("%s: image %d, row 5, column 17 is %v", path, i, got)
			}
		}
	}
	path := put("cifar-100-binary.tar.gz", tarGz(cifar100Files(), "cifar-100-binary"))
	for labels, want := range map[string][]string{"fine": {"fine 99", "fine 7"}, "coarse": {"coarse 19", "coarse 4"}} {
		train, test, err := (&CIFAR100{Published: Published{Path: path}, Labels: labels}).Load()
		if err != nil {
			t.Fatal(err)
		}
		got := []string{train.Classes[train.Label(0)], train.Classes[train.Label(1)]}
		if !slices.Equal(got, want) || test.Len() != 1 || train.Pixels[3*cifarPixels] != 1 {
			t.Errorf("%s labels: %v, want %v", labels, got, want)
		}
	}
}

func TestCIFARErrors(t *testing.T) {
	with := func(name string, content []byte) map[string][]byte {
		files := cifar10Files()
		if files[name] = content; content == nil {
			delete(files, name)
		}
		return files
	}
	packed := tarGz(cifar10Files(), "x")
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"no gzip":     {[]byte("PK\x03\x04 a zip file"), "is no tar.gz file"},
		"cut":         {packed[:len(packed)/2], `data_batch_1.bin" is truncated`},
		"cut at end":  {cutTail(packed), "unexpected EOF"},
		"bit":         {flipTail(packed), "invalid checksum"},
		"no names":    {tarGz(with("batches.meta.txt", nil), "x"), `has no file "batches.meta.txt"`},
		"few names":   {tarGz(with("batches.meta.txt", []byte("cat\n")), "x"), `batches.meta.txt": 1 class names, expected 10`},
		"no batch":    {tarGz(with("data_batch_4.bin", nil), "x"), `has no file "data_batch_4.bin"`},
		"empty":       {tarGz(with("data_batch_4.bin", []byte{}), "x"), `data_batch_4.bin" is truncated`},
		"half record": {tarGz(with("data_batch_4.bin", record(1, 1)[:2000]), "x"), `expected records of 3073 bytes, number 0 as well, found 2000`},
		"label":       {tarGz(with("test_batch.bin", record(1, 10)), "x"), `test_batch.bin": label 0 is 10, expected 0 to 9 (10 classes)`},
		"other set":   {tarGz(cifar100Files(), "x"), `has no file "batches.meta.txt"`},
	} {
		path := filepath.Join(t.TempDir(), "set.tar.gz")
		if err := os.WriteFile(path, c.content, 0o666); err != nil {
			t.Fatal(err)
		}
		_, _, err := (&CIFAR10{Published{Path: path}}).Load()
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "set.tar.gz") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestDownload: nothing is fetched unless asked; then the user's mirror comes first.
func TestDownload(t *testing.T) {
	content := tarGz(cifar10Files(), "cifar-10-batches-bin")
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked = append(asked, r.URL.Path); !strings.HasPrefix(r.URL.Path, "/known/") {
			http.NotFound(w, r)
			return
		}
		w.Write(content)
	}))
	defer s.Close()
	sum := md5.Sum(content)
	c := cifar{name: "cifar10", archive: fetch.File{Name: "few.tar.gz", Size: int64(len(content)), MD5: hex.EncodeToString(sum[:]), URLs: []string{s.URL + "/known/few.tar.gz"}},
		train: []string{"data_batch_1.bin"}, test: "test_batch.bin", names: "batches.meta.txt", classes: 10, labels: 1}
	p := &Published{Path: filepath.Join(t.TempDir(), "new"), Mirrors: []string{s.URL + "/mine/"}}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	_, err := c.open(t.Context(), p, Options{})
	if err == nil || !strings.Contains(err.Error(), `"few.tar.gz" is not in`) || !strings.Contains(err.Error(), "data.download = true") || len(asked) > 0 {
		t.Errorf("without download: %v, asked for %v", err, asked)
	}
	told := int64(0)
	for range 2 {
		parts, err := c.open(t.Context(), p, Options{Download: true, Progress: func(_ string, done, _ int64) { told = done }})
		if err != nil || parts.Train.Len() != 2 {
			t.Fatalf("got %v, %v", parts, err)
		}
	}
	if !slices.Equal(asked, []string{"/mine/few.tar.gz", "/known/few.tar.gz"}) || told != int64(len(content)) {
		t.Errorf("asked for %v, told %d", asked, told)
	}
}

// FuzzCIFAR: no file crashes the reader, and labels and pixels agree.
func FuzzCIFAR(f *testing.F) {
	f.Add(record(3, 1), true)
	f.Add(slices.Concat(record(3, 1, 1), record(4, 2, 99)), false)
	f.Fuzz(func(t *testing.T, content []byte, ten bool) {
		labelBytes, label, classes := 1, 0, 10
		if !ten {
			labelBytes, label, classes = 2, 1, 100
		}
		pixels, labels, err := readCIFAR(bytes.NewReader(content), "fuzz", labelBytes, label, classes)
		if size := labelBytes + 3*cifarPixels; err == nil && (len(labels) != len(content)/size || len(content)%size != 0 || len(pixels) != 3*cifarPixels*len(labels)) {
			t.Errorf("%d bytes give %d labels and %d pixels", len(content), len(labels), len(pixels))
		}
	})
}
