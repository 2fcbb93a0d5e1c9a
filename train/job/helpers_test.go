package job

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"rampart/data"
	"rampart/nn/registry"
	"rampart/nn/rng"
)

// bars is a data set for tests: a bright bar at the place of the class, under noise.
type bars struct {
	Side  int `toml:"side"`
	Kinds int `toml:"kinds"`
	// Named is what the classes are called, "bar" when empty.
	Named string `toml:"named,omitempty"`
}

// shift makes the data other data.
var shift int32

func (*bars) Validate() error { return nil }

func (b *bars) Load() (train, test *data.Dataset, err error) {
	if b.Kinds == 1 {
		return nil, nil, fmt.Errorf("cannot be read")
	}
	var sets [2]*data.Dataset
	for i, n := range []int{500, 90} {
		size := b.Side * b.Side
		pixels, labels, classes := make([]byte, n*size), make([]int32, n), make([]string, b.Kinds)
		s := rng.New(uint64(i), "bars")
		u := make([]float32, size)
		for k := range labels {
			labels[k] = (int32(k*7/3) + shift) % int32(b.Kinds)
			s.Uniform(u, 0, 150, uint32(k), 0, 0)
			for j, v := range u {
				if j/b.Side == int(labels[k])+1 {
					v += 80
				}
				pixels[k*size+j] = byte(v)
			}
		}
		for k := range classes {
			classes[k] = fmt.Sprintf("%s %d", cmp.Or(b.Named, "bar"), k)
		}
		if sets[i], err = data.NewDataset("bars", b.Side, b.Side, 1, classes, pixels, labels); err != nil {
			return nil, nil, err
		}
	}
	return sets[0], sets[1], nil
}

func init() {
	registry.Register[data.Source]("bars", func() data.Source { return &bars{Side: 8, Kinds: 4} })
}

// tiny is a whole run of 16 + 48 steps in a fraction of a second.
const tiny = `
seed = 7
[data]
held_out = 60
limit = 256
[data.source]
name = "bars"
[model]
name = "mlp"
hidden = [16]
dropout = 0.1
[warmup]
epochs = 1
batch = 16
optimizer = { name = "adam", lr = 1e-2 }
[train]
epochs = 3
batch = 16
log_every = 5
save_every = 7
optimizer = { name = "adam", lr = 1e-2 }
schedule = { name = "cosine" }
eps_schedule = { name = "constant", warmup = 0.3 }
[defense]
name = "pgd_at"
adversarial = 0.5
attack = { eps = 0.1, step_size = 0.04, steps = 3 }
[probe]
n = 40
attack = { eps = 0.1, step_size = 0.04, steps = 3 }
[eval]
n = 60
batch = 32
curve_n = 20
curve_eps = [0.05, 0.1]
[[eval.attack]]
name = "noise"
eps = 0.1
[[eval.attack]]
name = "fgsm"
eps = 0.1
[[eval.attack]]
name = "pgd"
eps = 0.1
step_size = 0.04
steps = 3
[[eval.attack]]
name = "pgd"
eps = 0.1
step_size = 0.04
steps = 3
restarts = 2
`

// TestMain leaves the module's folder, so that provenance does not hang on the state of the tree.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "job")
	if err == nil {
		err = os.Chdir(dir)
	}
	if err == nil {
		err = os.WriteFile("tiny.toml", []byte(tiny), 0o666)
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func load(t testing.TB, set ...string) *Config {
	t.Helper()
	c, err := Load("tiny.toml", set)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// quiet are options for a run in a folder.
func quiet(dir string) Options {
	return Options{Out: dir, Quiet: true, Threads: 2, Stdout: io.Discard, Stderr: io.Discard}
}

func resumed(o Options) Options {
	o.Resume = true
	return o
}

func newFolder(t testing.TB) string { return filepath.Join(t.TempDir(), "run") }

// trained runs a config to its end in a folder of its own.
func trained(t testing.TB, set ...string) string {
	t.Helper()
	dir := newFolder(t)
	if err := Train(context.Background(), load(t, set...), quiet(dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// whole is the folder of an unbroken run of tiny; tests must not write to it.
var whole = sync.OnceValues(func() (string, error) {
	c, err := Load("tiny.toml", nil)
	if err != nil {
		return "", err
	}
	dir, err := filepath.Abs("whole/run")
	if err != nil {
		return "", err
	}
	return dir, Train(context.Background(), c, quiet(dir))
})

func unbroken(t testing.TB) string {
	t.Helper()
	dir, err := whole()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// hook is a context that calls f each time that a job asks whether to stop.
type hook struct {
	context.Context
	f func(n int) error
	n int
}

func (h *hook) Err() error {
	h.n++
	return h.f(h.n)
}

func at(f func(n int) error) *hook { return &hook{Context: context.Background(), f: f} }

// stopAt cancels from the n-th question on.
func stopAt(n int) *hook {
	return at(func(k int) error {
		if k >= n {
			return context.Canceled
		}
		return nil
	})
}

// results are all files of a run's folder but the state, without times.
func results(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		switch name {
		case stateFile, "report.md", "report.html": // they hold times; report.json says the same
			text = nil
		case "report.json":
			text = timeless(t, text)
		case "log.jsonl":
			var lines []string
			for line := range bytes.Lines(text) {
				lines = append(lines, string(timeless(t, line)))
			}
			text = []byte(strings.Join(lines, "\n"))
		}
		files[name] = string(text)
	}
	return files
}

// timeless is JSON without its seconds.
func timeless(t testing.TB, text []byte) []byte {
	t.Helper()
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var strip func(v any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "seconds")
			for _, x := range v {
				strip(x)
			}
		case []any:
			for _, x := range v {
				strip(x)
			}
		}
	}
	strip(tree)
	out, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// same compares the results of two runs.
func same(t testing.TB, what, got, want string) {
	t.Helper()
	a, b := results(t, got), results(t, want)
	for _, name := range sortedKeys(b) {
		switch text, there := a[name]; {
		case !there:
			t.Errorf("%s: %s is missing", what, name)
		case text == b[name]:
		case strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".jsonl"):
			t.Errorf("%s: %s differs:\n%s\n\n%s", what, name, text, b[name])
		default:
			t.Errorf("%s: %s differs", what, name)
		}
	}
	for name := range a {
		if _, there := b[name]; !there {
			t.Errorf("%s: %s is there too", what, name)
		}
	}
}

// snapshot is every file below a folder, byte for byte.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

type row struct {
	Stage, Attack              string
	Accuracy, Epsilon          float64
	N                          int
	Cumulative                 bool
	Norm                       string
	SuccessRate                *float64 `json:"success_rate"`
	Precision, Recall, F1, Gra float64
}

// rows reads the rows of a stage of report.json.
func rows(t testing.TB, dir, stage string) (list []row) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rep struct{ Rows []row }
	if err := json.Unmarshal(text, &rep); err != nil {
		t.Fatal(err)
	}
	for _, r := range rep.Rows {
		if r.Stage == stage {
			list = append(list, r)
		}
	}
	return list
}

func attackNames(list []row) (names []string) {
	for _, r := range list {
		names = append(names, r.Attack)
	}
	return slices.Clip(names)
}
