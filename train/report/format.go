package report

import (
	"math"
	"strconv"
	"strings"
)

// absent stands for a figure that does not exist.
const absent = "-"

// What stands between the ends of an interval, and between the figures before and after.
const (
	toHigh  = " – "
	toAfter = " → "
)

// decimals is how many decimals a percentage out of n examples deserves, at most two: one example in
// a hundred is 1 %, so that more digits would only pretend.
func decimals(n int) int {
	switch {
	case n <= 100:
		return 0
	case n <= 1000:
		return 1
	default:
		return 2
	}
}

// percent writes a fraction as a percentage without its sign.
func percent(v float64, decimals int) string {
	if math.IsNaN(v) {
		return absent
	}
	return strconv.FormatFloat(100*v, 'f', decimals, 64)
}

// change writes the difference of two fractions in percentage points, with its sign.
func change(before, after float64, decimals int) string {
	d := after - before
	if math.IsNaN(d) {
		return absent
	}
	s := strconv.FormatFloat(100*math.Abs(d), 'f', decimals, 64)
	switch zero := strconv.FormatFloat(0, 'f', decimals, 64); {
	case s == zero:
		return s
	case d < 0:
		return "-" + s
	default:
		return "+" + s
	}
}

// interval writes an interval of fractions in percent.
func interval(v [2]float64, decimals int) string {
	if math.IsNaN(v[0]) || math.IsNaN(v[1]) {
		return absent
	}
	return percent(v[0], decimals) + toHigh + percent(v[1], decimals)
}

// arrow joins two figures.
func arrow(before, after string) string {
	if before == absent && after == absent {
		return absent
	}
	return before + toAfter + after
}

// number writes a count.
func number(n int) string { return strconv.Itoa(n) }

// split breaks a column's name in two lines at its last blank.
func split(name string) [2]string {
	if i := strings.LastIndexByte(name, ' '); i > 0 {
		return [2]string{name[:i], name[i+1:]}
	}
	return [2]string{name, ""}
}

// thousands writes a count with a comma before every third digit.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Epsilon writes a radius as people do: "0.3", or "8/255" for a whole number of grey levels that
// has no short decimal form.
func Epsilon(e float64) string {
	levels := math.Round(255 * e)
	thousand := math.Round(1000 * e)
	if math.Abs(1000*e-thousand) > 1e-3 && levels >= 1 && math.Abs(255*e-levels) < 1e-3 {
		return strconv.FormatFloat(levels, 'f', 0, 64) + "/255"
	}
	return strconv.FormatFloat(e, 'g', 4, 64)
}
