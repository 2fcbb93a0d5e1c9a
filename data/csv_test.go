package data

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func csvSource(dir, test string) *CSV {
	s := &CSV{Train: filepath.Join(dir, "train.csv"), Split: Split{SplitSeed: 1}, ImageOptions: defaultImages()}
	if test != "" {
		s.Test = filepath.Join(dir, test)
	}
	return s
}

func TestCSV(t *testing.T) {
	files := pictures()
	files["train.csv"] = []byte("\xef\xbb\xbfPath, label\r\ntrain/dog/03.png,dog\r\n./train/cat/00.png, cat\r\n\r\n\"train/cat/02.png\",cat\n")
	files["test.csv"] = []byte("test/dog/01.png,dog\n")
	files["val.csv"] = []byte("path,label\nval/cat/00.png,cat\nval/dog/01.png,dog")
	dir := tree(t, files)
	s := csvSource(dir, "test.csv")
	s.Validation = filepath.Join(dir, "val.csv")
	p := open(t, s, Options{})
	if got := fmt.Sprint(colours(t, p.Train), colours(t, p.Validation), colours(t, p.Test)); got != "[0 2 3] [0 1] [1]" || !slices.Equal(p.Train.Classes, []string{"cat", "dog"}) {
		t.Errorf("images %v of %q", got, p.Train.Classes)
	}
	s.Classes = []string{"dog", "cat"}
	p = open(t, s, Options{})
	for i := range p.Train.Len() {
		if red := p.Train.Pixels[48*i]; red != 200-100*byte(p.Train.Label(i)) {
			t.Errorf("red %d has label %d", red, p.Train.Label(i))
		}
	}
	archive := filepath.Join(t.TempDir(), "pets.zip")
	if err := os.WriteFile(archive, zipped(pictures()), 0o666); err != nil {
		t.Fatal(err)
	}
	s = csvSource(tree(t, map[string][]byte{"train.csv": []byte("train/dog/03.png,10\ntrain/cat/00.png,9\ntrain/cat/02.png,9\ntrain/dog/01.png,10\n")}), "")
	s.Root, s.TestShare = archive, 0.5
	if p = open(t, s, Options{}); p.Train.Len() != 2 || p.Test.Len() != 2 || !slices.Equal(p.Train.Classes, []string{"9", "10"}) {
		t.Errorf("%d and %d images of %q", p.Train.Len(), p.Test.Len(), p.Train.Classes)
	}
}

func TestCSVErrors(t *testing.T) {
	const good = "train/cat/00.png,cat\ntrain/dog/01.png,dog\n"
	for name, c := range map[string]struct {
		train, test string
		want        string
	}{
		"empty":      {"path,label\n", good, `train.csv" lists no images`},
		"fields":     {good + "a,b,c\n", good, `train.csv", line 3: 3 fields, expected path,label`},
		"quotes":     {good + "\"a,b\n", good, `train.csv": parse error on line 3`},
		"no path":    {good + "..,cat\n", good, `train.csv", line 3: the path or the label is empty`},
		"no label":   {good + "x.png,\n", good, `train.csv", line 3: the path or the label is empty`},
		"twice":      {good + "./train/cat/00.png,dog\n", good, `train.csv", line 3: "train/cat/00.png" is in line 1 already`},
		"both":       {good, "test/cat/00.png,cat\ntrain/dog/01.png,dog\n", `test.csv", line 2: "train/dog/01.png" is in "`},
		"no file":    {good + "x.png,cat\n", "test/cat/00.png,cat", `train.csv", line 3: "x.png" is not in "`},
		"header":     {"file,class\n" + good, "test/cat/00.png,cat", `train.csv", line 1: "file" is not in "`},
		"one class":  {"train/cat/00.png,cat\n", "test/cat/00.png,cat", `all images have the label "cat"`},
		"class":      {good, "test/cat/00.png,cow", `test.csv", line 1: unknown class "cow": known are cat, dog`},
		"no image":   {good + "train/notes.txt,cat", "test/cat/00.png,cat", `train/notes.txt": it is no JPEG, PNG, GIF or WebP file`},
		"other size": {good + "big.png,cat", "test/cat/00.png,cat", `another image has`},
	} {
		files := pictures()
		files["train.csv"], files["test.csv"], files["big.png"] = []byte(c.train), []byte(c.test), picture(9, 9, color.Black)
		if _, err := csvSource(tree(t, files), "test.csv").Open(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	files := pictures()
	files["train.csv"], files["test.csv"] = []byte(good+"x.png,cat\n"), []byte("test/cat/00.png,cat")
	p := open(t, csvSource(tree(t, files), "test.csv"), Options{OnError: SkipOnError})
	if p.Train.Len() != 2 || !strings.Contains(strings.Join(p.Notes, ""), "1 of 3 images was passed over: x.png (it is not in") {
		t.Errorf("skip: %d images, notes %q", p.Train.Len(), p.Notes)
	}
	for want, edit := range map[string]func(s *CSV){
		`"train": no file is given`: func(s *CSV) { s.Train = "" },
		`"classes": ["a"]: give`:    func(s *CSV) { s.Classes = []string{"a"} },
		`"classes": ["a" "a"]`:      func(s *CSV) { s.Classes = []string{"a", "a"} },
		`"test_share": 0: without`:  func(s *CSV) { s.Test = "" },
		`"channels": 2`:             func(s *CSV) { s.Channels = 2 },
	} {
		s := csvSource("x", "test.csv")
		edit(s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// FuzzCSV: no list crashes the reader, and what it returns is whole.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"path,label\na.png,cat\n", "\xef\xbb\xbf\"a,b.png\",1", "../../etc/passwd,x", "a,b,c", "\"", ",", "\r\n\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		list, err := parseList(bytes.NewReader(content), "fuzz")
		if err != nil {
			return
		}
		for _, l := range list {
			if l.label == "" || l.line < 1 || l.path == "" || l.path == ".." || strings.HasPrefix(l.path, "../") || strings.HasPrefix(l.path, "/") {
				t.Errorf("line %+v", l)
			}
		}
		if len(list) == 0 || len(classesOf(list)) == 0 {
			t.Error("an empty list without an error")
		}
	})
}
