package report

import (
	"io"
	"slices"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
)

// bar draws a stage on one line of a terminal. Time left and images per second come from Progress,
// which knows a resumed stage from a fresh one.
type bar struct {
	*progressbar.ProgressBar
	width func() int // of the terminal, which may change at any time
}

// barCells is how wide the bar itself is.
const barCells = 16

func newBar(w io.Writer, total int, width func() int) *bar {
	return &bar{width: width, ProgressBar: progressbar.NewOptions(max(total, 1),
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetWidth(barCells),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionSetTheme(progressbar.Theme{
			Saucer: "█", SaucerHead: "█", SaucerPadding: "░", BarStart: "", BarEnd: "",
		}),
	)}
}

// draw shows the bar at a step, and beside it as many items as the terminal has room for: a line
// that wraps could not be drawn over.
func (b *bar) draw(step int, items []item) {
	const around = barCells + 8 // " 34% " before the bar, blanks, and the last column left free
	text := fit(items, b.width()-around)
	// An error here is one of writing to the terminal; nothing that a run should end for.
	_ = b.Set(min(step, b.GetMax()-1)) // at its maximum the bar would refuse to be drawn again
	b.Describe(text)
}

// fit joins items in at most room columns: what is needed least goes first, and at last the end of
// what is needed most.
func fit(items []item, room int) string {
	items = slices.Clone(items)
	for {
		text := join(items, "  ")
		if utf8.RuneCountInString(text) <= room {
			return text
		}
		if len(items) == 1 {
			return string([]rune(text)[:max(0, room)])
		}
		least := 0
		for i, v := range items {
			if v.need < items[least].need {
				least = i
			}
		}
		items = slices.Delete(items, least, least+1)
	}
}
