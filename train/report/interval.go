package report

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

var nan = math.NaN()

// ratio is a/b, NaN where b is 0.
func ratio(a, b int) float64 {
	if b == 0 {
		return nan
	}
	return float64(a) / float64(b)
}

// share is a/b for counts of any size, NaN where b is 0.
func share(a, b int64) float64 {
	if b == 0 {
		return nan
	}
	return float64(a) / float64(b)
}

// ClopperPearson returns the exact confidence interval of a proportion after k successes in n
// trials (Clopper and Pearson 1934), for a level such as 0.95: quantiles of beta distributions. It
// never covers less than the level says, also near 0 and 1, where accuracies under attack lie.
func ClopperPearson(k, n int, level float64) (low, high float64) {
	if n <= 0 || k < 0 || k > n {
		return nan, nan
	}
	tail := (1 - level) / 2
	low, high = 0, 1
	if k > 0 {
		low = distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.Quantile(tail)
	}
	if k < n {
		high = distuv.Beta{Alpha: float64(k + 1), Beta: float64(n - k)}.Quantile(1 - tail)
	}
	return low, high
}
