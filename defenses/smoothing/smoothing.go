// Package smoothing certifies classifiers by randomised smoothing (Cohen, Rosenfeld and Kolter 2019):
// the smoothed classifier's class is the one that the network gives most often to an image with
// Gaussian noise, and how often bounds the L2 radius within which that class cannot change.
package smoothing

import (
	"fmt"
	"math"
	"runtime"
	"sync"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"

	"rampart/attacks"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// Abstain is the class of an image about which nothing can be said with confidence.
const Abstain = -1

// Options are those of Cohen et al., section 3.2.
type Options struct {
	Sigma float64 // of the noise, in pixels of [0,1]
	// N0 draws choose the class, N others bound its probability, or vote in Predict.
	N0, N int
	// Alpha is the probability with which a certificate or a prediction may be wrong.
	Alpha float64
}

// Certificate says that within Radius in L2 the smoothed classifier's class is Class, or that it
// abstains; with probability Alpha at most it is wrong.
type Certificate struct {
	Class  int     `json:"class"`
	Radius float64 `json:"radius"`
	// Hits are the draws, of N, that gave Class, or the class chosen where it abstains.
	Hits int `json:"hits"`
}

// Smoother draws noise for a network. The draws of an image depend on its number, on what they are
// for and on their own number alone, so that results depend on neither batch size, order nor threads.
type Smoother struct {
	Options
	network attacks.Victim
	noise   rng.Stream
	// Stop ends the work between batches when it returns an error; nil never does.
	Stop func() error

	x, z          device.Tensor
	pixels, logit []float32
}

// New makes a smoother. noise must be of a purpose of its own for each question about an image:
// certificate, prediction and attack must not share their draws.
func New(network attacks.Victim, o Options, noise rng.Stream) *Smoother {
	rows, size := network.Rows(), network.Input().Size()
	return &Smoother{Options: o, network: network, noise: noise, x: network.New(rows * size), z: network.New(rows * network.Classes()),
		pixels: make([]float32, rows*size), logit: make([]float32, rows*network.Classes())}
}

// The purposes of draws.
const (
	selecting = iota
	estimating
	predicting
)

// Certify is CERTIFY of Cohen et al., section 3.2.2, for an image with a number.
func (s *Smoother) Certify(image []float32, example uint32) (Certificate, error) {
	counts, err := s.counts(image, example, selecting, s.N0)
	if err != nil {
		return Certificate{}, err
	}
	class, _ := topTwo(counts)
	if counts, err = s.counts(image, example, estimating, s.N); err != nil {
		return Certificate{}, err
	}
	c := Certificate{Class: Abstain, Hits: counts[class]}
	if low := LowerBound(c.Hits, s.N, s.Alpha); low > 0.5 {
		c.Class, c.Radius = class, s.Sigma*distuv.UnitNormal.Quantile(low)
	}
	return c, nil
}

// Predict is PREDICT of Cohen et al., section 3.2.1: the class most often seen, unless a two-sided
// binomial test cannot tell it from the second.
func (s *Smoother) Predict(image []float32, example uint32) (class int, err error) {
	counts, err := s.counts(image, example, predicting, s.N)
	if err != nil {
		return Abstain, err
	}
	first, second := topTwo(counts)
	if Binomial(counts[first], counts[first]+counts[second]) > s.Alpha {
		return Abstain, nil
	}
	return first, nil
}

// counts classifies n noisy copies of an image and counts the classes.
func (s *Smoother) counts(image []float32, example uint32, purpose uint32, n int) ([]int, error) {
	size, k := len(image), s.network.Classes()
	counts := make([]int, k)
	for at := 0; at < n; at += s.network.Rows() {
		if s.Stop != nil {
			if err := s.Stop(); err != nil {
				return nil, err
			}
		}
		rows := min(s.network.Rows(), n-at)
		addNoise(s.pixels[:rows*size], image, s.Sigma, s.noise, example, purpose, at)
		s.x.Upload(s.pixels[:rows*size], 0)
		c := &device.Call{Rows: rows, X: s.x, Logits: s.z}
		if err := s.network.Logits(c); err != nil {
			return nil, fmt.Errorf("smoothing: %w", err)
		}
		s.z.Download(s.logit[:rows*k], 0)
		for r := range rows {
			counts[device.Argmax(s.logit[r*k:][:k])]++
		}
	}
	return counts, nil
}

// addNoise fills dst with copies of an image with the draws from first on.
func addNoise(dst, image []float32, sigma float64, noise rng.Stream, example, purpose uint32, first int) {
	size := len(image)
	rows, workers := len(dst)/size, runtime.GOMAXPROCS(0)
	var all sync.WaitGroup
	for w := range workers {
		from, to := w*rows/workers, (w+1)*rows/workers
		all.Go(func() {
			for r := from; r < to; r++ {
				row := dst[r*size:][:size]
				noise.Normal(row, 0, float32(sigma), example, purpose, uint32(first+r))
				for i, v := range image {
					row[i] += v
				}
			}
		})
	}
	all.Wait()
}

// topTwo are the two classes that were seen most often, of equals the first.
func topTwo(counts []int) (first, second int) {
	second = 1
	if counts[1] > counts[0] {
		first, second = 1, 0
	}
	for k := 2; k < len(counts); k++ {
		switch {
		case counts[k] > counts[first]:
			first, second = k, first
		case counts[k] > counts[second]:
			second = k
		}
	}
	return first, second
}

// LowerBound is the one-sided lower confidence bound of a probability after k hits in n draws, which
// is too high with probability alpha at most (Clopper and Pearson 1934).
func LowerBound(k, n int, alpha float64) float64 {
	if k == 0 {
		return 0
	}
	if k == n { // the quantile is known, and gonum's search for it less exact
		return math.Pow(alpha, 1/float64(n))
	}
	return distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.Quantile(alpha)
}

// Binomial is the two-sided p-value of k or more hits in n fair draws, for k of at least n/2.
func Binomial(k, n int) float64 { return min(1, 2*AtLeast(k, n, 0.5)) }

// AtLeast is the probability of k or more hits in n draws with probability p each.
func AtLeast(k, n int, p float64) float64 {
	if k <= 0 {
		return 1
	}
	if k > n {
		return 0
	}
	return mathext.RegIncBeta(float64(k), float64(n-k+1), p)
}
