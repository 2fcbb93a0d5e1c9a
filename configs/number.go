package configs

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Number is a float64 that a config may also write as a fraction in a string: eps = "8/255".
// Every float option accepts such a fraction; the type is for options where it is usual. It is
// encoded as the decimal that gives the same float64.
type Number float64

// ParseNumber reads a decimal number, or a fraction of two. The result is finite.
func ParseNumber(s string) (Number, error) {
	above, below, fraction := strings.Cut(s, "/")
	x, err := parseFinite(above)
	if err != nil {
		return 0, badNumber(s)
	}
	if !fraction {
		return Number(x), nil
	}
	y, err := parseFinite(below)
	if err != nil {
		return 0, badNumber(s)
	}
	if y == 0 {
		return 0, fmt.Errorf("%q divides by zero", s)
	}
	if math.IsInf(x/y, 0) {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return Number(x / y), nil
}

func badNumber(s string) error {
	return fmt.Errorf("expected a number or a fraction such as \"8/255\", found the string %s", quoteShort(s))
}

func parseFinite(s string) (float64, error) {
	x, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err == nil && (math.IsInf(x, 0) || math.IsNaN(x)) {
		err = strconv.ErrRange
	}
	return x, err
}
