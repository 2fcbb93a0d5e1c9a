package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"rampart/defenses/transform"
	"rampart/train/report"
)

// CompareOptions say how a comparison runs; they change none of its results but times.
type CompareOptions struct {
	Options
	// Jobs is how many strategies are trained side by side; the threads are divided among them.
	Jobs int
}

// comparing is a comparison at work.
type comparing struct {
	*Comparison
	opt        CompareOptions
	contenders []*contender
	output     sync.Mutex
	done       int
	told       []string // the warnings
	// common is the evaluation by which all networks are looked at side by side.
	common *run
}

// contender is one strategy with one seed.
type contender struct {
	strategy int
	name     string // of the strategy, and the seed where there are several
	cfg      *Config
	dir      string // of its run
	measured report.Measured
	curve    []float64 // accuracies from epsilon 0 on
	model    string
	chain    transform.Chain // that the network is deployed behind
	err      error
}

// Compare trains what has no finished run under opt.Out yet, measures all strategies alike, and
// prints and writes the comparison. It is resumed by calling it again. A strategy that fails does
// not keep the others from being compared; the error at the end names it.
func Compare(ctx context.Context, c *Comparison, opt CompareOptions) error {
	if opt.Jobs < 1 || opt.Jobs > 1024 {
		return &UsageError{fmt.Errorf("-jobs %d: it must lie between 1 and 1024", opt.Jobs)}
	}
	if opt.Out == "" {
		opt.Out = filepath.Join("checkpoints", c.Name)
	}
	w := &comparing{Comparison: c, opt: opt}
	if err := w.list(); err != nil {
		return err
	}
	w.announce()
	if err := w.runAll(ctx); err != nil {
		fmt.Fprintf(opt.Stderr, "interrupted, and saved; go on with the same command (its folder is %s)\n", opt.Out)
		return fmt.Errorf("interrupted: %w", err)
	}
	if !slices.ContainsFunc(w.contenders, func(e *contender) bool { return e.err == nil }) {
		return w.failures() // there is nothing to compare
	}
	if err := w.sideBySide(ctx); err != nil {
		return err
	}
	return w.failures()
}

// list makes the contenders, strategies first by first, seeds last.
func (w *comparing) list() error {
	for seed := range w.Compare.Repeat {
		for i, s := range w.strategies {
			cfg, err := clone(s.cfg)
			if err != nil {
				return err
			}
			cfg.Seed = w.Compare.Seed + uint64(seed)
			e := &contender{strategy: i, name: s.name, cfg: cfg}
			if w.Compare.Repeat > 1 {
				e.name = fmt.Sprintf("%s, seed %d", s.name, cfg.Seed)
			}
			w.contenders = append(w.contenders, e)
		}
	}
	return nil
}

func (w *comparing) announce() {
	if w.opt.Quiet {
		return
	}
	fmt.Fprintf(w.opt.Stdout, "%s: %d strategies, %d of them at a time, measured in %v; folder %s\n", w.Name, len(w.strategies), min(w.opt.Jobs, len(w.contenders)), w.threat, w.opt.Out)
}

// warn tells of what may be a mistake in a strategy or, once for all of them, in how they are measured.
func (w *comparing) warn(e *contender, list []string) {
	w.output.Lock()
	defer w.output.Unlock()
	for _, text := range list {
		if !strings.HasPrefix(text, "eval") && !strings.Contains(text, " test images ") {
			text = w.strategies[e.strategy].name + ": " + text
		}
		if !slices.Contains(w.told, text) {
			w.told = append(w.told, text)
			fmt.Fprintln(w.opt.Stderr, "warning:", text)
		}
	}
}

// runAll trains and measures every contender, opt.Jobs at a time. Its error is the interruption.
func (w *comparing) runAll(ctx context.Context) error {
	next := make(chan *contender)
	var workers sync.WaitGroup
	for range min(w.opt.Jobs, len(w.contenders)) {
		workers.Go(func() {
			for e := range next {
				w.run(ctx, e)
			}
		})
	}
	for _, e := range w.contenders {
		if ctx.Err() != nil {
			break
		}
		next <- e
	}
	close(next)
	workers.Wait()
	return ctx.Err()
}

// run trains and measures one contender.
func (w *comparing) run(ctx context.Context, e *contender) {
	if ctx.Err() != nil {
		return
	}
	opt := w.opt.Options
	opt.Brief, opt.Stderr, opt.Threads = true, io.Discard, w.threads()
	if w.opt.Jobs > 1 { // a bar on the terminal is for one alone
		opt.Stdout = &lines{prefix: e.name + ": ", w: w.opt.Stdout, lock: &w.output}
	} else if !opt.Quiet {
		fmt.Fprintf(opt.Stdout, "%s:\n", e.name)
	}
	if e.err = w.train(ctx, e, opt); e.err == nil {
		e.err = w.measure(ctx, e, opt)
	}
	if ctx.Err() != nil || opt.Quiet {
		return
	}
	w.output.Lock()
	defer w.output.Unlock()
	w.done++
	said := fmt.Sprintf("clean %.1f %%, worst case %.1f %%", 100*e.measured.Clean, 100*e.measured.Worst)
	if e.err != nil {
		said = "failed: " + e.err.Error()
	}
	fmt.Fprintf(w.opt.Stdout, "%s: %s (%d of %d done)\n", e.name, said, w.done, len(w.contenders))
}

// threads is each job's part.
func (w *comparing) threads() int {
	all := w.opt.Threads
	if all == 0 {
		all = runtime.GOMAXPROCS(0)
	}
	return max(1, all/min(w.opt.Jobs, len(w.contenders)))
}

// failures is the error that names the strategies which failed.
func (w *comparing) failures() error {
	var failed []error
	for _, e := range w.contenders {
		if e.err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", e.name, e.err))
		}
	}
	switch len(failed) {
	case 0:
		return nil
	case 1:
		return failed[0]
	}
	return fmt.Errorf("%d of %d failed:\n%w", len(failed), len(w.contenders), errors.Join(failed...))
}

// lines writes whole lines with a prefix, those of several jobs one after the other.
type lines struct {
	prefix string
	w      io.Writer
	lock   *sync.Mutex
	rest   string // of a line that has not ended
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.rest += string(p)
	for {
		line, rest, ended := strings.Cut(l.rest, "\n")
		if !ended {
			return len(p), nil
		}
		l.rest = rest
		l.lock.Lock()
		_, err := fmt.Fprintf(l.w, "%s%s\n", l.prefix, line)
		l.lock.Unlock()
		if err != nil {
			return 0, err
		}
	}
}
