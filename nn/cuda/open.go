package cuda

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"rampart/nn/cuda/driver"
)

// ErrNone is that there is no GPU: no driver, or no device that it knows. A driver that is there and does
// not work, or is too old, is another error: somebody has to hear of it.
var ErrNone = errors.New("no GPU")

// machine is this machine's driver, opened once.
var machine = sync.OnceValues(func() (driver.Driver, error) { return driver.Open("") })

// Open opens a GPU of this machine, counted from 0. It fails where there is no driver or no such GPU.
func Open(number int) (*Device, error) {
	drv, err := machine()
	if err != nil {
		return nil, missing(err)
	}
	return New(drv, number)
}

// missing makes an error of opening the driver an ErrNone, too, where there is nothing to open.
func missing(err error) error {
	for _, nothing := range []error{driver.ErrNoDriver, driver.ErrLeftOut, driver.ErrNoDevice} {
		if errors.Is(err, nothing) {
			return none{err}
		}
	}
	return err
}

// none is an error that is an ErrNone, too.
type none struct{ error }

// Is implements errors.Is.
func (none) Is(target error) bool { return target == ErrNone }

// Unwrap returns the error itself.
func (n none) Unwrap() error { return n.error }

// Found says in one line which GPUs this machine has, or why none can be used.
func Found() string {
	drv, err := machine()
	if err != nil {
		return err.Error()
	}
	return found(drv)
}

func found(drv driver.Driver) string {
	version, err := drv.Version()
	n := 0
	if err == nil {
		n, err = drv.Devices()
	}
	var list []string
	for i := 0; i < n && err == nil; i++ {
		var about driver.Description
		about, err = drv.Describe(i)
		list = append(list, fmt.Sprintf("cuda:%d is %s, compute %d.%d, %s", i, about.Name, about.Major, about.Minor, sizeText(float64(about.Memory))))
	}
	switch {
	case err != nil:
		return err.Error()
	case n == 0:
		return "no GPU that CUDA can use"
	}
	return fmt.Sprintf("%s (driver for CUDA %d.%d)", strings.Join(list, "; "), version/1000, version%1000/10)
}
