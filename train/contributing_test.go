package main

import (
	"encoding/json"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var codeBlock = regexp.MustCompile("(?ms)^```(?:go|toml)\n(?://|#) (\\S+)\n(.*?)^```$")

// TestContributing builds the program with the files that CONTRIBUTING.md shows, as if they were
// added, and runs the config that uses all of them.
func TestContributing(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program anew")
	}
	text, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	dir, replace := t.TempDir(), map[string]string{}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range codeBlock.FindAllStringSubmatch(string(text), -1) {
		file := filepath.Join(dir, filepath.Base(block[1]))
		if err := os.WriteFile(file, []byte(block[2]), 0o666); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".go") {
			if formatted, err := format.Source([]byte(block[2])); err != nil || string(formatted) != block[2] {
				t.Errorf("%s is not formatted: %v", block[1], err)
			}
			replace[filepath.Join(root, filepath.FromSlash(block[1]))] = file
		}
	}
	if len(replace) != 6 || strings.Count(string(text), "```go\n") != 6 {
		t.Fatalf("found the files %v, want 6", replace)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	run := func(at, name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = at
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	binary := filepath.Join(dir, "train.exe") // the ending matters to one system and hurts none
	run(root, "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "./train")
	out := run(dir, binary, "-config", "extended.toml", "-out", "run")
	for _, want := range []string{"brightness", "PGD-5 brier", "lenet", "worst case"} {
		if !strings.Contains(out, want) {
			t.Errorf("the run says nothing of %q:\n%s", want, out)
		}
	}
}
