package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll(filepath.Join("configs", "quick"), 0o777); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{"here.toml": "x = 1", "configs/there.toml": "x = 2", "configs/here.toml": "x = 3", "big": strings.Repeat("#", maxSize+1)} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	inside, _ := embedded.ReadFile("quick.toml")
	for _, c := range []struct{ name, wantName, wantPath, wantData string }{
		{"here", "here", "here.toml", "x = 1"},
		{"here.toml", "here", "here.toml", "x = 1"},
		{"there", "there", "configs/there.toml", "x = 2"},
		{"configs/here.toml", "here", "configs/here.toml", "x = 3"},
		{"quick", "quick", "embedded:quick.toml", string(inside)}, // past the folder of that name
	} {
		f, err := Find(c.name)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if f.Name != c.wantName || f.Path != c.wantPath || string(f.Data) != c.wantData {
			t.Errorf("%s: got %q %q %.20q", c.name, f.Name, f.Path, f.Data)
		}
	}
	for name, want := range map[string]string{
		"qiuck.toml": `config "qiuck.toml" is neither a file, nor in ./configs, nor embedded: did you mean "quick"? (embedded: ` + strings.Join(Embedded(), ", ") + `)`,
		"":           `config "" is neither a file, nor in ./configs, nor embedded (embedded: ` + strings.Join(Embedded(), ", ") + `)`,
		"big":        `config "big": big is larger than 256 KiB: it is no config`,
	} {
		if _, err := Find(name); err == nil || err.Error() != want {
			t.Errorf("Find(%q)\n got %v\nwant %s", name, err, want)
		}
	}
}

func TestParseNumber(t *testing.T) {
	for in, want := range map[string]Number{"8/255": 8.0 / 255, " 1.5 / 2 ": 0.75, "-1/4": -0.25, "0.3": 0.3, "3": 3, "1e-3": 0.001, "0/5": 0} {
		if got, err := ParseNumber(in); err != nil || got != want {
			t.Errorf("ParseNumber(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "/", "1/", "/2", "1/2/3", "nan", "inf", "1/inf", "x", "1/0", "1e300/1e-300"} {
		if got, err := ParseNumber(in); err == nil {
			t.Errorf("ParseNumber(%q) = %v, want an error", in, got)
		}
	}
}
