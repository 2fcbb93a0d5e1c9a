package job

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rampart/nn/cpu"
	"rampart/nn/cuda"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// maxThreads is far beyond any machine that this is for.
const maxThreads = 1024

// OpenDevice opens what opt asks for: a GPU for cuda or cuda:N, several as one for cuda:N,M or cuda:all, the
// processor for cpu; for auto the first GPU where there is one. What is wrong is a *UsageError.
func OpenDevice(opt Options) (device.Device, error) {
	if opt.Threads < 0 || opt.Threads > maxThreads {
		return nil, &UsageError{fmt.Errorf("-threads %d: use 1 to %d, or 0 for one for each core", opt.Threads, maxThreads)}
	}
	kind, which, _ := strings.Cut(opt.Device, ":")
	switch {
	case opt.Device == "" || opt.Device == "auto":
		d, err := cuda.Open(0)
		if err == nil {
			return d, nil
		}
		if !errors.Is(err, cuda.ErrNone) && opt.Stderr != nil {
			fmt.Fprintf(opt.Stderr, "computing on the processor: %v\n", err)
		}
		return cpu.New(opt.Threads), nil
	case opt.Device == "cpu":
		return cpu.New(opt.Threads), nil
	case kind == "cuda":
		numbers, err := gpus(which, opt.Device == kind)
		if err != nil {
			return nil, &UsageError{fmt.Errorf("-device %s: %w", opt.Device, err)}
		}
		d, err := cuda.OpenSeveral(numbers...)
		if err != nil {
			return nil, &UsageError{fmt.Errorf("-device %s: %w; use -device cpu", opt.Device, err)}
		}
		return d, nil
	}
	return nil, &UsageError{fmt.Errorf("-device: %w", registry.Unknown("device", opt.Device, []string{"auto", "cpu", "cuda"}))}
}

// gpus reads the numbers behind cuda:, none for all GPUs.
func gpus(text string, first bool) (numbers []int, err error) {
	switch {
	case first:
		return []int{0}, nil
	case text == "all":
		return nil, nil
	}
	for _, number := range strings.Split(text, ",") {
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is no number of a GPU: they count from cuda:0, and cuda:all is all of them", number)
		}
		if slices.Contains(numbers, n) {
			return nil, fmt.Errorf("GPU %d is named twice", n)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// round sets the precision that a config asks for.
func round(d device.Device, p device.Precision) error {
	if p == "" || p == device.FP32 {
		return nil
	}
	r, ok := d.(device.Rounding)
	if !ok {
		return &UsageError{fmt.Errorf("precision = %q needs a GPU: %s computes in %s; use -device cuda, or leave it out", p, d.Name(), device.FP32)}
	}
	if err := r.Round(p); err != nil {
		return &UsageError{err}
	}
	return nil
}
