package attacks_test

import (
	"fmt"
	"math"
	"testing"

	"rampart/attacks"
	"rampart/data"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
)

// quadratic is a victim whose second class is a ball: z[0] = |x-centre|^2 - radius^2, z[1] = 0. How
// far an image is from the ball is known for every norm, and there is no other local optimum.
type quadratic struct {
	*cpu.Device
	centre, radius float64
}

func (q *quadratic) Input() nn.Shape { return nn.Shape{H: side, W: side, C: 1} }
func (q *quadratic) Classes() int    { return 2 }
func (q *quadratic) Rows() int       { return 8 }

func (q *quadratic) Logits(c *device.Call) error {
	x, z := make([]float32, c.Rows*pixels), make([]float32, c.Rows*2)
	c.X.Download(x, 0)
	for r := range c.Rows {
		sum := -q.radius * q.radius
		for _, v := range x[r*pixels:][:pixels] {
			sum += (float64(v) - q.centre) * (float64(v) - q.centre)
		}
		z[2*r] = float32(sum)
	}
	c.Logits.Upload(z, 0)
	return nil
}

func (q *quadratic) InputGrad(c *device.Call) error {
	if err := q.Logits(c); err != nil {
		return err
	}
	x, z := make([]float32, c.Rows*pixels), make([]float32, c.Rows*2)
	c.X.Download(x, 0)
	c.Logits.Download(z, 0)
	b := device.Block{Rows: c.Rows, Classes: 2, Logits: z, Labels: c.Labels, Value: make([]float32, c.Rows), Grad: make([]float32, 2*c.Rows)}
	if c.Soft != nil {
		b.Soft = make([]float32, 2*c.Rows)
		c.Soft.Download(b.Soft, 0)
	}
	c.Loss.Rows(&b)
	for j, v := range x {
		x[j] = float32(2 * (float64(v) - q.centre) * float64(b.Grad[j/pixels*2]))
	}
	c.Value.Upload(b.Value, 0)
	c.InputGrad.Upload(x, 0)
	return nil
}

func (q *quadratic) Iterate(*device.Call, *device.Loop) (device.Counts, error) {
	return device.Counts{}, fmt.Errorf("not on this victim")
}

// TestQuadratic: FAB reports the distance from the ball, and APGD breaks an image where eps is
// larger and only there.
func TestQuadratic(t *testing.T) {
	q := &quadratic{cpu.New(1), 0.5, 0.8}
	const n = 8
	images := make([]byte, n*pixels)
	for i := range images { // between 0.08 and 0.4 from the centre
		u := 20 + (i*i*37+11*i)%83
		if i%3 == 0 {
			u = -u
		}
		images[i] = byte(128 + u)
	}
	d, err := data.NewDataset("quadratic", side, side, 1, []string{"out", "in"}, images, make([]int32, n))
	if err != nil {
		t.Fatal(err)
	}
	x := imagesOf(d)
	for _, norm := range []attacks.Norm{attacks.Linf, attacks.L2, attacks.L1} {
		want := make([]float64, n)
		for i := range want {
			want[i] = q.distance(norm, x[i*pixels:][:pixels])
			if !(want[i] > 0) {
				t.Fatalf("example %d lies inside", i)
			}
		}
		for _, name := range []string{"fab", "fab_t"} {
			if norm == attacks.L1 {
				continue // its steps take single entries to the wall, across so small a ball
			}
			a, err := decoded(name, fmt.Sprintf("norm = %q\neps = 0.9", string(norm)))
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range run(t, q, a, d).Distance {
				if got < want[i]*(1-1e-4) || got > want[i]*1.02 {
					t.Errorf("%s in %v, example %d: distance %v, the least is %v", name, norm, i, got, want[i])
				}
			}
		}
		for i := range n {
			one := d.Slice(i, i+1)
			for factor, right := range map[float64]int{0.99: 1, 1.02: 0} {
				a, err := decoded("apgd", fmt.Sprintf("norm = %q\neps = %v\nloss = \"margin\"", string(norm), factor*want[i]))
				if err != nil {
					t.Fatal(err)
				}
				if got := run(t, q, a, one).Correct(one); got != right {
					t.Errorf("APGD in %v, example %d: %d right at %v of its distance", norm, i, got, factor)
				}
			}
		}
	}
}

// distance is that of an image from the ball. The nearest point has entries nearer to the centre: by
// one factor (L2), by one length (Linf), or those beyond a level brought down to it (L1).
func (q *quadratic) distance(norm attacks.Norm, x []float32) float64 {
	u, squares := make([]float64, len(x)), 0.0
	for i, v := range x {
		u[i] = math.Abs(float64(v) - q.centre)
		squares += u[i] * u[i]
	}
	if norm == attacks.L2 {
		return math.Sqrt(squares) - q.radius
	}
	length, lo, hi := 0.0, 0.0, 1.0 // of the common length, or of the level below 1
	for range 60 {
		mid, left := (lo+hi)/2, 0.0
		length = 0
		for _, v := range u {
			moved := max(v-mid, 0)
			if norm == attacks.L1 {
				moved = min(v, 1-mid)
				length += v - moved
			}
			left += moved * moved
		}
		if left > q.radius*q.radius {
			lo = mid
		} else {
			hi = mid
		}
	}
	if norm == attacks.Linf {
		return lo
	}
	return length
}
