package job

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// open makes or finds the run's folder and its state.
func (r *run) open() error {
	dir, err := r.folder()
	if err != nil {
		return err
	}
	r.dir = dir
	if r.opt.Resume {
		return r.resume()
	}
	r.state = newState()
	r.state.Data = r.source
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("cannot make the run's folder: %w", err)
	}
	if err := r.writeText("config.toml", r.resolved()); err != nil {
		return err
	}
	if r.log, err = openLog(filepath.Join(dir, "log.jsonl"), 0, 0); err != nil {
		return err
	}
	return r.save() // from here on there is something to resume
}

// folder picks the folder: -out, or the next free one of the config's name under checkpoints/; with
// -resume the last one that is taken.
func (r *run) folder() (string, error) {
	if dir := r.opt.Out; dir != "" {
		taken, err := inUse(dir)
		if err != nil {
			return "", err
		}
		if taken && !r.opt.Resume {
			return "", &UsageError{fmt.Errorf("%q is not empty: add -resume to go on with the run in it, or choose another -out", dir)}
		}
		return dir, nil
	}
	last := ""
	for i := 1; ; i++ {
		dir := filepath.Join("checkpoints", r.cfg.Name)
		if i > 1 {
			dir = fmt.Sprintf("%s-%d", dir, i)
		}
		taken, err := inUse(dir)
		if err != nil {
			return "", err
		}
		if !taken && r.opt.Resume && last != "" {
			return last, nil
		}
		if !taken {
			return dir, nil
		}
		last = dir
	}
}

func inUse(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, &UsageError{fmt.Errorf("the run's folder: %w", err)}
	}
	return len(entries) > 0, nil
}

// resume continues the run in r.dir.
func (r *run) resume() error {
	if err := r.resumeState(); err != nil {
		return err
	}
	var err error
	r.log, err = openLog(filepath.Join(r.dir, "log.jsonl"), r.state.Phase, r.state.Step)
	return err
}

// resumeState takes up the state in r.dir; under another config it is refused.
func (r *run) resumeState() error {
	s, config, err := loadState(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &UsageError{fmt.Errorf("nothing to resume: %w", err)}
	}
	if err != nil {
		return err
	}
	if now := r.resolved(); config != now && today(config) != now {
		return &UsageError{fmt.Errorf("the run in %q was started under another config:\n%s\nresume it with the config of its start (%s), or start a new run", r.dir, difference(config, now), filepath.Join(r.dir, "config.toml"))}
	}
	if s.Data != r.source {
		return &UsageError{fmt.Errorf("the run in %q was started on other data: the training images or labels of %q, or the checkpoint that it measures, have changed since", r.dir, r.cfg.Data.Source.Name)}
	}
	r.state = s
	return nil
}

// today is a config that an earlier version resolved, with the options that have joined since at their
// defaults. One that holds what this version does not know stays as it is.
func today(config string) string {
	c, err := parsed("config", config)
	if err != nil {
		return config
	}
	return encoded(c)
}

// difference lists the lines that differ, each under its table.
func difference(old, new string) string {
	a, b := keyed(old), keyed(new)
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	var lines []string
	for _, k := range sortedKeys(keys) {
		if a[k] != b[k] {
			lines = append(lines, fmt.Sprintf("  %s: %s, now %s", k, orNone(a[k]), orNone(b[k])))
		}
	}
	return strings.Join(lines, "\n")
}

func orNone(s string) string {
	if s == "" {
		return "not set"
	}
	return s
}

// keyed reads what configs.Encode wrote into table.key = value.
func keyed(text string) map[string]string {
	m, table, seen := map[string]string{}, "", map[string]int{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			table = strings.Trim(name, "[]") + "."
			if seen[table]++; seen[table] > 1 {
				table = fmt.Sprintf("%s%d.", table, seen[table])
			}
			continue
		}
		if key, value, ok := strings.Cut(line, " = "); ok {
			m[table+key] = value
		}
	}
	return m
}
