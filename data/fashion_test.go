package data

import (
	"strings"
	"testing"

	"rampart/nn/registry"
)

// TestFashionMNIST: files of that name with other content are refused, missing ones named.
func TestFashionMNIST(t *testing.T) {
	_, _, err := (&FashionMNIST{Published{Path: write(t, small())}}).Load()
	if err == nil || !strings.Contains(err.Error(), "MD5 of its unpacked content is") || !strings.Contains(err.Error(), fashionMD5[trainImages]) {
		t.Errorf("other content: %v", err)
	}
	lacking := small()
	delete(lacking, testImages)
	_, _, err = (&FashionMNIST{Published{Path: write(t, lacking)}}).Load()
	if err == nil || !strings.Contains(err.Error(), `"t10k-images-idx3-ubyte.gz" is not in`) || !strings.Contains(err.Error(), "data.download = true to fetch it (5 MB)") {
		t.Errorf("missing file: %v", err)
	}
}

// TestPublished: every data set with published files says what is missing, and fetches nothing
// unless it is told to.
func TestPublished(t *testing.T) {
	found := 0
	for _, name := range registry.Names[Source]() {
		source, err := registry.New[Source](name)
		if err != nil {
			t.Fatal(err)
		}
		opener, ok := source.(Opener)
		if !ok {
			continue
		}
		if download, _ := opener.Heeds(); !download {
			continue
		}
		found++
		t.Setenv("XDG_CACHE_HOME", t.TempDir())
		_, _, err = source.Load()
		if err == nil || !strings.Contains(err.Error(), "data.download = true") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if found < 4 {
		t.Errorf("%d data sets with published files", found)
	}
}

func TestOptionsCheck(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		source  string
		want    string
	}{
		"nothing":         {Options{}, "mnist", ""},
		"fail":            {Options{OnError: FailOnError}, "mnist", ""},
		"download":        {Options{Download: true}, "cifar10", ""},
		"nothing to load": {Options{Download: true}, "mnist", `"download": this data set has no published files`},
		"no files":        {Options{OnError: SkipOnError}, "cifar10", `"on_error": "skip" is for data sets of image files`},
		"no such value":   {Options{OnError: "ignore"}, "cifar10", `"on_error": "ignore": use "fail" or "skip"`},
	} {
		source, err := registry.New[Source](c.source)
		if err != nil {
			t.Fatal(err)
		}
		err = c.options.Check(source)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	p := &Published{Mirrors: []string{"https://a.example/x", "ftp://b.example"}}
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), `"ftp://b.example" is no address`) {
		t.Errorf("mirrors: %v", err)
	}
}
