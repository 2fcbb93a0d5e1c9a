package job

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rampart/checkpoints"
	"rampart/data"
)

// pictures writes the bars to files: some of the test images for training, validation and test,
// one of them broken.
func pictures(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bars")
	train, test, err := (&bars{Side: 8, Kinds: 4}).Load()
	if err != nil {
		t.Fatal(err)
	}
	write := func(part string, d *data.Dataset) {
		for i := range d.Len() {
			img := &image.Gray{Pix: d.Pixels[i*64 : (i+1)*64], Stride: 8, Rect: image.Rect(0, 0, 8, 8)}
			var b bytes.Buffer
			if err := png.Encode(&b, img); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, part, d.Classes[d.Label(i)], fmt.Sprintf("%03d.png", i))
			if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, b.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("train", train.Slice(0, 100))
	write("val", train.Slice(100, 160))
	write("test", test.Slice(0, 30))
	if err := os.WriteFile(filepath.Join(dir, "train", "bar 2", "broken.jpg"), []byte("text"), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// begun is a context that answers the n-th question after the run in a folder has begun, and those
// after it, by f.
func begun(dir string, n int, f func() error) *hook {
	asked := 0
	return at(func(int) error {
		if _, err := os.Stat(filepath.Join(dir, stateFile)); err != nil {
			return nil
		}
		if asked++; asked < n {
			return nil
		}
		return f()
	})
}

// TestImages is a run on image files that are decoded ahead, varied, with a validation folder: it
// says what it read, and gives the same bits after an interruption and on other threads.
func TestImages(t *testing.T) {
	set := []string{"data.source={name='images', path='" + pictures(t) + "', channels=1, validation='val', cache_mb=0}", "data.held_out=50",
		"data.limit=0", "eval.n=20", "data.on_error=skip", "data.augment=[{name='flip'}, {name='crop', padding=1, border='edge'}, {name='erase'}]"}
	dir := newFolder(t)
	var stdout, stderr bytes.Buffer
	opt := quiet(dir)
	opt.Quiet, opt.Stdout, opt.Stderr = false, &stdout, &stderr
	if err := Train(context.Background(), load(t, set...), opt); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"100 training images (50 for validation), 20 test images", "load images: done"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("stdout lacks %q:\n%s", want, stdout.String())
		}
	}
	const note = "train: 1 of 101 images was passed over: train/bar 2/broken.jpg (it is no JPEG, PNG, GIF or WebP file)"
	for name, text := range map[string]string{"stderr": stderr.String(), "report.json": results(t, dir)["report.json"]} {
		if !strings.Contains(text, note) {
			t.Errorf("%s lacks %q:\n%s", name, note, text)
		}
	}
	if !strings.Contains(results(t, dir)["report.json"], "on 40 of 50 validation images") {
		t.Error("the report does not say that validation images selected the weights")
	}
	f, err := checkpoints.Read(filepath.Join(dir, "best.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.Meta.Model.Classes, ","); got != "bar 0,bar 1,bar 2,bar 3" {
		t.Errorf("classes of the checkpoint: %s", got)
	}
	again := newFolder(t)
	opt = quiet(again)
	opt.Threads = 1
	err = Train(begun(again, 15, func() error { return context.Canceled }), load(t, set...), opt)
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Fatalf("not interrupted: %v", err)
	}
	if err := Train(context.Background(), load(t, set...), resumed(opt)); err != nil {
		t.Fatal(err)
	}
	same(t, "resumed", again, dir)
	plain := trained(t, append(set, "data.augment=[]")...)
	if results(t, plain)["best.safetensors"] == results(t, dir)["best.safetensors"] {
		t.Error("augmentations change nothing")
	}
}

// TestImagesFail: with on_error = "fail" the file is named before there is a folder; one that goes
// missing during the run ends it with the last state saved.
func TestImagesFail(t *testing.T) {
	place := pictures(t)
	set := []string{"data.source={name='images', path='" + place + "', channels=1, validation='val', cache_mb=0}", "data.held_out=50", "data.limit=0", "eval.n=20"}
	dir := newFolder(t)
	err := Train(context.Background(), load(t, set...), quiet(dir))
	if err == nil || !strings.Contains(err.Error(), `bar 2/broken.jpg": it is no JPEG`) || !strings.Contains(err.Error(), `data set "images"`) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a folder was made")
	}
	if err := os.Remove(filepath.Join(place, "train", "bar 2", "broken.jpg")); err != nil {
		t.Fatal(err)
	}
	gone := begun(dir, 5, func() error { return os.RemoveAll(filepath.Join(place, "train", "bar 1")) })
	err = Train(gone, load(t, set...), quiet(dir))
	if err == nil || !strings.Contains(err.Error(), "could be read before, but no longer") || !strings.Contains(err.Error(), "train/bar 1/") {
		t.Errorf("missing images: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, stateFile)); err != nil {
		t.Error(err)
	}
}

// TestLoading: a download is shown in megabytes, with its end.
func TestLoading(t *testing.T) {
	var out bytes.Buffer
	r := &run{opt: Options{Stdout: &out}}
	tell := r.loading()
	tell("a.tar.gz", 1, 3_500_000)
	tell("a.tar.gz", 3_500_000, 3_500_000)
	if got := out.String(); !strings.Contains(got, "download a.tar.gz, MB: done") {
		t.Errorf("got %q", got)
	}
	r.opt.Stdout = io.Discard
	r.loading()("images", 7, 7)
}
