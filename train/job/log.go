package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"rampart/checkpoints"
)

// log is log.jsonl: a line for some steps and for each probe.
type log struct {
	f     *os.File
	begun time.Time
	err   error
}

// entry is a line of the log. Figures that a line does not have are left out or null.
type entry struct {
	Phase         int     `json:"phase"`
	Stage         string  `json:"stage"`
	Step          int     `json:"step"`
	Seconds       float64 `json:"seconds"` // since the start, or since the resume
	Loss          num     `json:"loss,omitzero"`
	TrainClean    num     `json:"train_clean,omitzero"`
	TrainRobust   num     `json:"train_robust,omitzero"`
	HeldOutClean  num     `json:"held_out_clean,omitzero"`
	HeldOutRobust num     `json:"held_out_robust,omitzero"`
	Best          bool    `json:"best,omitempty"`
	LR            num     `json:"lr,omitzero"`
	Epsilon       num     `json:"epsilon,omitzero"`
	ZeroGradients int     `json:"zero_gradients,omitempty"`
	BadGradients  int     `json:"non_finite_gradients,omitempty"`
	Warning       string  `json:"warning,omitempty"`
}

// openLog opens a log to go on from a step of a phase: lines of later steps, which a killed run
// wrote after its last saving, are dropped.
func openLog(path string, phase, step int) (*log, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot go on with the log: %w", err)
	}
	var kept strings.Builder
	for line := range strings.Lines(string(text)) {
		var e entry
		if json.Unmarshal([]byte(line), &e) == nil && (e.Phase < phase || e.Phase == phase && e.Step <= step) {
			kept.WriteString(line)
		}
	}
	if err := checkpoints.WriteAtomic(path, textWriter(kept.String())); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot write the log: %w", err)
	}
	return &log{f: f, begun: time.Now()}, nil
}

// write adds a line; the first error is kept for close.
func (l *log) write(phase, step int, e entry) {
	e.Phase, e.Step, e.Seconds = phase, step, time.Since(l.begun).Seconds()
	line, err := json.Marshal(e)
	if err == nil {
		_, err = l.f.Write(append(line, '\n'))
	}
	if l.err == nil {
		l.err = err
	}
}

func (l *log) close() error {
	if err := l.f.Close(); l.err == nil {
		l.err = err
	}
	return l.err
}
