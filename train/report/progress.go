package report

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"
)

// plainEvery is how often a progress line is written where the output is no terminal.
const plainEvery = 5 * time.Second

// redrawEvery is how often the bar on a terminal is drawn anew.
const redrawEvery = 100 * time.Millisecond

// Field is one thing that a progress line says beside the step, such as {"loss", "0.412"}.
type Field struct{ Name, Value string }

// Epoch is the field "epoch 3/12".
func Epoch(epoch, of int) Field { return Field{"epoch", fmt.Sprintf("%d/%d", epoch, of)} }

// Loss is the field "loss 0.412".
func Loss(v float64) Field { return Field{"loss", fmt.Sprintf("%.3f", v)} }

// CleanAccuracy is the field "clean 98.2 %"; v is a fraction.
func CleanAccuracy(v float64) Field { return Field{"clean", percentSign(v)} }

// AdversarialAccuracy is the field "adversarial 91.0 %"; v is a fraction.
func AdversarialAccuracy(v float64) Field { return Field{"adversarial", percentSign(v)} }

func percentSign(v float64) string {
	if math.IsNaN(v) {
		return absent
	}
	return percent(v, 1) + " %"
}

// Progress shows how far a stage of a run is: a bar on a terminal, a line every five seconds
// elsewhere, nothing where quiet. It is not safe for concurrent use.
type Progress struct {
	// ImagesPerStep, where not 0, adds images per second to what is shown.
	ImagesPerStep int

	w     io.Writer
	title string
	total int
	now   func() time.Time
	bar   *bar // nil where the output is no terminal
	quiet bool

	begun      time.Time // when the stage began
	first      int       // the step of the first Set: a resumed stage does not begin at 0
	seen       bool
	shown      time.Time // when something was last written
	rateAt     time.Time // from when, and which step, the rate of images is counted
	rateStep   int
	lastFields []Field
}

// NewProgress begins a stage of total steps. The output is a terminal if w is an *os.File that is one.
func NewProgress(w io.Writer, quiet bool, title string, total int) *Progress {
	p := newProgress(w, quiet, title, total, time.Now)
	if f, ok := w.(*os.File); ok && !quiet && term.IsTerminal(int(f.Fd())) {
		p.bar = newBar(w, total, func() int {
			width, _, err := term.GetSize(int(f.Fd()))
			if err != nil || width <= 0 {
				return 80
			}
			return width
		})
	}
	return p
}

// newProgress begins a stage in plain lines under the given clock.
func newProgress(w io.Writer, quiet bool, title string, total int, now func() time.Time) *Progress {
	t := now()
	return &Progress{w: w, title: title, total: total, now: now, quiet: quiet, begun: t, shown: t, rateAt: t}
}

// Set says that step steps of the stage are done, counting from its beginning, and what is known at
// that point. Most calls write nothing: the output is refreshed ten times a second on a terminal, and
// every five seconds elsewhere.
func (p *Progress) Set(step int, fields ...Field) {
	if p.quiet {
		return
	}
	t := p.now()
	if !p.seen {
		// The first call may come after a resume, at any step; time is counted from the step before.
		p.seen, p.first, p.rateStep = true, max(step-1, 0), max(step-1, 0)
	}
	p.lastFields = fields
	every := plainEvery
	if p.bar != nil {
		every = redrawEvery
	}
	if t.Sub(p.shown) < every {
		return
	}
	items := p.items(t, step, fields)
	p.shown = t
	if t.Sub(p.rateAt) >= plainEvery {
		p.rateAt, p.rateStep = t, step
	}
	if p.bar != nil {
		p.bar.draw(step, append([]item{{p.title, 300}}, items...))
		return
	}
	fmt.Fprintf(p.w, "%s: %s\n", p.title, join(items, ", "))
}

// Note writes a line of text, above the bar where there is one.
func (p *Progress) Note(text string) {
	if p.quiet {
		return
	}
	p.clear()
	fmt.Fprintln(p.w, text)
}

// Done ends the stage with a line that says how long it took, and note where it is not empty.
func (p *Progress) Done(note string) {
	if p.quiet {
		return
	}
	p.clear()
	line := p.title + ": done in " + span(p.now().Sub(p.begun))
	for _, f := range p.lastFields {
		line += ", " + f.Name + " " + f.Value
	}
	if note != "" {
		line += "; " + note
	}
	fmt.Fprintln(p.w, line)
}

// clear removes the bar from its line.
func (p *Progress) clear() {
	if p.bar != nil {
		io.WriteString(p.w, "\r\x1b[2K")
	}
}

// item is a part of a progress line. Where a terminal is too narrow for all, those with the lowest
// need go first.
type item struct {
	text string
	need int
}

// join writes the items one after the other.
func join(items []item, between string) string {
	var texts []string
	for _, v := range items {
		texts = append(texts, v.text)
	}
	return strings.Join(texts, between)
}

// items lists what a line shows beside the title, in the order in which it is read.
func (p *Progress) items(t time.Time, step int, fields []Field) []item {
	var items []item
	for i, f := range fields {
		items = append(items, item{f.Name + " " + f.Value, 100 - i})
	}
	at := 0
	if len(fields) > 0 && fields[0].Name == "epoch" {
		at = 1
	}
	// A bar says how far the stage is even without the step.
	items = slices.Insert(items, at, item{fmt.Sprintf("step %d/%d", step, p.total), 2})
	if since := t.Sub(p.rateAt); p.ImagesPerStep > 0 && since > 0 && step > p.rateStep {
		rate := float64((step-p.rateStep)*p.ImagesPerStep) / since.Seconds()
		items = append(items, item{fmt.Sprintf("%.0f images/s", rate), 1})
	}
	if left := p.total - step; left > 0 && step > p.first {
		perStep := float64(t.Sub(p.begun)) / float64(step-p.first)
		items = append(items, item{span(time.Duration(perStep*float64(left))) + " left", 200})
	}
	return items
}

// span writes a duration to the second: "42s", "3m05s", "2h03m".
func span(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	default:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
}
