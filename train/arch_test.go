package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers holds the packages from the top down: each may import those of lower layers only. A new
// package goes into a layer here.
var layers = [][]string{
	{"train"},
	{"train/job"},
	{"checkpoints/onnx"},
	{"train/report", "checkpoints", "defenses", "defenses/smoothing", "attacks/audit", "attacks/attacktest"},
	{"defenses/transform"},
	{"attacks"},
	{"configs", "data", "nn/backendtest"},
	{"nn", "nn/cpu", "nn/cuda", "nn/cuda/ptx", "nn/pth"},
	{"nn/cuda/nccl"},
	{"nn/op", "nn/kernel", "nn/cuda/driver"},
	{"nn/device"},
	{"nn/registry", "nn/rng", "nn/dtype", "data/fetch", "data/matfile", "data/archive", "data/imaging"},
}

// only narrows what a package may import from this module further.
var only = map[string][]string{
	"nn/cpu":       {"nn/device", "nn/kernel", "nn/rng"},
	"nn/cuda":      {"nn/device", "nn/rng", "nn/cuda/driver", "nn/cuda/nccl"},
	"nn/cuda/ptx":  {"nn/cuda/driver", "nn/cuda/nccl"}, // imported by tests alone
	"nn/op":        {"nn/device"},
	"nn/kernel":    {"nn/device"},
	"configs":      {"nn/registry"},
	"data":         {"nn/registry", "nn/rng", "data/fetch", "data/matfile", "data/archive", "data/imaging"},
	"train/report": {},
}

// outside says which packages may import modules of others whose path has a prefix.
var outside = map[string][]string{
	"gorgonia.org/gorgonia":        {"nn", "nn/op"},
	"gorgonia.org/tensor":          {"nn", "nn/op"},
	"gorgonia.org/cu":              {"nn/cuda/driver"},
	"github.com/chewxy":            {"nn", "nn/op"},
	"github.com/urfave/cli":        {"train"},
	"gonum.org/v1/plot":            {"train/report"},
	"github.com/schollz":           {"train/report"},
	"github.com/BurntSushi/toml":   {"configs", "train/job"},
	"github.com/rogpeppe":          {}, // tests only
	"github.com/mmcloughlin/avo":   {}, // nn/kernel/_asm is a module of its own
	"golang.org/x/sys":             {"nn/kernel", "nn/cuda/driver"},
	"github.com/olekukonko/":       {"train/job", "train/report"},
	"golang.org/x/image":           {"train/report", "checkpoints", "data/imaging"},
	"github.com/ebitengine/purego": {"nn/cuda/driver", "nn/cuda/nccl"},
	"google.golang.org/protobuf":   {"checkpoints/onnx"},
}

// TestImports holds the arrows of the design: packages, downward only.
func TestImports(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != ".." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files++
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel("..", filepath.Dir(file))
		if err != nil {
			return err
		}
		for _, i := range parsed.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if wrong := judge(filepath.ToSlash(folder), imported); wrong != "" {
				t.Errorf("%s imports %q: %s", file, imported, wrong)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Errorf("only %d Go files were found", files)
	}
}

// judge says what is wrong with an import of a package, "" if nothing is.
func judge(pkg, imported string) string {
	if layer(pkg) < 0 {
		return "package " + pkg + " has no layer: add it to the list in this test, and to the design"
	}
	if inner, ok := strings.CutPrefix(imported, "rampart/"); ok {
		switch list, narrow := only[pkg]; {
		case layer(inner) < 0:
			return "package " + inner + " has no layer: add it to the list in this test"
		case layer(inner) <= layer(pkg):
			return "it does not lie below package " + pkg
		case narrow && !slices.Contains(list, inner):
			return "package " + pkg + " may import only: " + strings.Join(list, ", ")
		}
		return ""
	}
	for prefix, allowed := range outside {
		if strings.HasPrefix(imported, prefix) && !slices.Contains(allowed, pkg) {
			return "only these may: " + strings.Join(allowed, ", ")
		}
	}
	return ""
}

// layer counts from the top; -1 is no layer.
func layer(pkg string) int {
	return slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, path.Clean(pkg)) })
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		ok            bool
	}{
		{"attacks", "rampart/nn", true},
		{"nn", "rampart/attacks", false},
		{"nn", "rampart/nn/cpu", false},
		{"nn/cpu", "rampart/nn/kernel", true},
		{"nn/cpu", "rampart/nn/registry", false},
		{"attacks", "gorgonia.org/gorgonia", false},
		{"nn/op", "gorgonia.org/gorgonia", true},
		{"checkpoints", "rampart/defenses", false},
		{"utils", "fmt", false},
		{"nn", "rampart/utils", false},
	} {
		if got := judge(c.pkg, c.imported); (got == "") != c.ok {
			t.Errorf("%s importing %s: %q", c.pkg, c.imported, got)
		}
	}
}
