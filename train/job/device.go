package job

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"rampart/nn/cpu"
	"rampart/nn/cuda"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// maxThreads is far beyond any machine that this is for.
const maxThreads = 1024

// OpenDevice opens what opt asks for: a GPU for cuda or cuda:N, the processor for cpu; for auto the
// first GPU where there is one. What is wrong is a *UsageError.
func OpenDevice(opt Options) (device.Device, error) {
	if opt.Threads < 0 || opt.Threads > maxThreads {
		return nil, &UsageError{fmt.Errorf("-threads %d: use 1 to %d, or 0 for one for each core", opt.Threads, maxThreads)}
	}
	kind, number, numbered := strings.Cut(opt.Device, ":")
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
		n := 0
		if numbered {
			var err error
			if n, err = strconv.Atoi(number); err != nil || n < 0 {
				return nil, &UsageError{fmt.Errorf("-device %s: %q is no number of a GPU: they count from cuda:0", opt.Device, number)}
			}
		}
		d, err := cuda.Open(n)
		if err != nil {
			return nil, &UsageError{fmt.Errorf("-device %s: %w; use -device cpu", opt.Device, err)}
		}
		return d, nil
	}
	return nil, &UsageError{fmt.Errorf("-device: %w", registry.Unknown("device", opt.Device, []string{"auto", "cpu", "cuda"}))}
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
