package report

import (
	"errors"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Point is what was known at a step of training. A value that was not measured there is NaN; begin
// with NewPoint. Accuracies are fractions.
type Point struct {
	Step int
	// Stage names the stage that the step belongs to; a change of it is marked in the figure.
	Stage string
	// Loss is the training loss; TrainClean and TrainRobust are the accuracies on the minibatch.
	Loss, TrainClean, TrainRobust float64
	// Clean and Robust are the accuracies on the held-out split.
	Clean, Robust float64
	// Best marks the step whose weights were kept as the best.
	Best bool
}

// NewPoint is a point at which nothing was measured yet.
func NewPoint(step int, stage string) Point {
	return Point{Step: step, Stage: stage, Loss: nan, TrainClean: nan, TrainRobust: nan, Clean: nan, Robust: nan}
}

// Curves draws the loss, and clean and robust accuracy, over the steps of a run, and writes a PNG.
func Curves(w io.Writer, points []Point) error {
	if len(points) == 0 {
		return errors.New("report: curves: no points to draw")
	}
	loss := newPlot("", "step", "training loss")
	accuracy := newPlot("", "step", "accuracy")
	first, last := points[0].Step, points[0].Step
	for _, p := range points {
		first, last = min(first, p.Step), max(last, p.Step)
	}
	if first == last {
		last++
	}
	for _, p := range []*plot.Plot{loss, accuracy} {
		p.X.Min, p.X.Max = float64(first), float64(last)
		p.X.Tick.Marker = steps{}
	}
	if err := drawLoss(loss, points); err != nil {
		return err
	}
	if err := drawAccuracy(accuracy, points); err != nil {
		return err
	}
	for i, p := range points {
		if i == 0 || p.Stage == points[i-1].Stage || p.Stage == "" {
			continue
		}
		for _, panel := range []*plot.Plot{loss, accuracy} {
			if err := upright(panel, float64(p.Step), p.Stage, false); err != nil {
				return err
			}
		}
	}
	return writePNG(w, 11*vg.Inch, 4*vg.Inch, loss, accuracy)
}

func lossOf(p *Point) *float64 { return &p.Loss }

// drawLoss draws the loss of each point faintly and its moving average over it.
func drawLoss(p *plot.Plot, points []Point) error {
	raw := series(points, lossOf)
	p.Y.Min, p.Y.Max = 0, 1
	if len(raw) == 0 {
		return nil
	}
	top := 0.0
	for _, v := range raw {
		top = max(top, v.Y)
	}
	if top > 0 {
		p.Y.Max = 1.12 * top
	}
	const few = 40 // so many points are drawn as they are
	if len(raw) <= few {
		if err := line(p, "", raw, blue, vg.Points(1.8)); err != nil {
			return err
		}
		return dots(p, raw, blue, vg.Points(2.5), draw.CircleGlyph{})
	}
	p.Legend.Top = true
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(-6), vg.Points(-4)
	if err := line(p, "each step logged", raw, faint(blue, 0x60), vg.Points(0.8)); err != nil {
		return err
	}
	mean := series(average(points, lossOf, len(raw)/few+2), lossOf)
	return line(p, "moving average", mean, blue, vg.Points(1.8))
}

// drawAccuracy draws the minibatch accuracies faintly and those on the held-out split over them.
func drawAccuracy(p *plot.Plot, points []Point) error {
	p.Y.Min, p.Y.Max = 0, 1.12 // room for the stages' names above 100 %
	p.Y.Tick.Marker = percentTicks
	for _, l := range []struct {
		name        string
		train, held func(*Point) *float64
		color       color.NRGBA
		shape       draw.GlyphDrawer
	}{
		{"clean", func(p *Point) *float64 { return &p.TrainClean }, func(p *Point) *float64 { return &p.Clean }, blue, draw.CircleGlyph{}},
		{"robust", func(p *Point) *float64 { return &p.TrainRobust }, func(p *Point) *float64 { return &p.Robust }, vermillion, draw.BoxGlyph{}},
	} {
		if xys := series(points, l.train); len(xys) > 0 {
			xys = series(average(points, l.train, len(xys)/80+1), l.train)
			if err := line(p, l.name+", minibatch", xys, faint(l.color, 0x80), vg.Points(1)); err != nil {
				return err
			}
		}
		if xys := series(points, l.held); len(xys) > 0 {
			if err := line(p, l.name+", held out", xys, l.color, vg.Points(1.8)); err != nil {
				return err
			}
			if err := dots(p, xys, l.color, vg.Points(2.5), l.shape); err != nil {
				return err
			}
		}
	}
	placeLegend(p, points)
	var best plotter.XYs
	for _, v := range points {
		if v.Best && !math.IsNaN(v.Robust) {
			best = plotter.XYs{{X: float64(v.Step), Y: v.Robust}}
		}
	}
	if best == nil {
		return nil
	}
	s, err := plotter.NewScatter(best)
	if err != nil {
		return err
	}
	s.GlyphStyle = draw.GlyphStyle{Color: vermillion, Radius: vg.Points(6), Shape: draw.RingGlyph{}}
	p.Add(s)
	p.Legend.Add("best, kept", s)
	return nil
}

// placeLegend puts the legend of the accuracies where the fewest of them are: a network that
// collapsed has its curve at the bottom, where there is room otherwise.
func placeLegend(p *plot.Plot, points []Point) {
	const wide, high = 0.4, 0.3 // of the panel that the legend takes
	fewest := math.MaxInt
	for _, bottom := range []float64{0.02, 0.2, 0.35, 0.5} {
		for _, left := range []bool{false, true} {
			inside := 0
			for i := range points {
				v := &points[i]
				x := (float64(v.Step) - p.X.Min) / (p.X.Max - p.X.Min)
				if left {
					x = 1 - x
				}
				for _, y := range []float64{v.TrainClean, v.TrainRobust, v.Clean, v.Robust} {
					if y /= p.Y.Max; x > 1-wide && y > bottom-0.03 && y < bottom+high {
						inside++
					}
				}
			}
			if inside >= fewest {
				continue
			}
			fewest = inside
			p.Legend.Left = left
			p.Legend.XOffs = vg.Points(-4)
			if left {
				p.Legend.XOffs = vg.Points(6)
			}
			p.Legend.YOffs = vg.Length(bottom) * 2.9 * vg.Inch // the panel's data area is about so high
		}
	}
}

// series collects one value of the points where it was measured.
func series(points []Point, value func(*Point) *float64) plotter.XYs {
	var xys plotter.XYs
	for i := range points {
		if y := *value(&points[i]); !math.IsNaN(y) && !math.IsInf(y, 0) {
			xys = append(xys, plotter.XY{X: float64(points[i].Step), Y: y})
		}
	}
	return xys
}

// average replaces one value of the points by its mean over up to 2*half+1 measurements around each,
// never across the border of two stages. Points without the value are left out.
func average(points []Point, value func(*Point) *float64, half int) []Point {
	var out []Point
	for i := 0; i < len(points); {
		var stage []Point
		for first := points[i].Stage; i < len(points) && points[i].Stage == first; i++ {
			if y := *value(&points[i]); !math.IsNaN(y) && !math.IsInf(y, 0) {
				stage = append(stage, points[i])
			}
		}
		for k := range stage {
			h := min(half, k) // narrow where the stage begins and the value falls fast
			sum, window := 0.0, stage[k-h:min(k+h+1, len(stage))]
			for j := range window {
				sum += *value(&window[j])
			}
			mean := stage[k]
			*value(&mean) = sum / float64(len(window))
			out = append(out, mean)
		}
	}
	return out
}

// steps marks an axis of step numbers with integers.
type steps struct{}

func (steps) Ticks(low, high float64) []plot.Tick {
	unit := math.Pow(10, math.Floor(math.Log10(max(high-low, 1))))
	for _, f := range []float64{0.2, 0.5, 1} { // four to eight labels
		if (high-low)/(unit*f) <= 8 {
			unit *= f
			break
		}
	}
	unit = max(unit, 1)
	var ticks []plot.Tick
	for v := math.Ceil(low/unit) * unit; v <= high; v += unit {
		ticks = append(ticks, plot.Tick{Value: v, Label: thousands(int(v))})
	}
	return ticks
}
