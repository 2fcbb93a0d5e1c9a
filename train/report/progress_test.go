package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// clock is a time that moves when told to.
type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }
func newClock() *clock                   { return &clock{time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)} }
func fields(loss, clean, adv float64) []Field {
	return []Field{Epoch(1, 2), Loss(loss), CleanAccuracy(clean), AdversarialAccuracy(adv)}
}

func TestProgressLines(t *testing.T) {
	var b bytes.Buffer
	c := newClock()
	p := newProgress(&b, false, "adversarial training", 100, c.now)
	p.ImagesPerStep = 50
	for step := 1; step <= 100; step++ {
		c.advance(250 * time.Millisecond) // four steps a second
		p.Set(step, fields(2-float64(step)/100, 0.9, nan)...)
		if step == 50 {
			p.Note("a note")
		}
	}
	p.Done("best 93.5 %")
	want := `adversarial training: epoch 1/2, step 20/100, loss 1.800, clean 90.0 %, adversarial -, 200 images/s, 20s left
adversarial training: epoch 1/2, step 40/100, loss 1.600, clean 90.0 %, adversarial -, 200 images/s, 15s left
a note
adversarial training: epoch 1/2, step 60/100, loss 1.400, clean 90.0 %, adversarial -, 200 images/s, 10s left
adversarial training: epoch 1/2, step 80/100, loss 1.200, clean 90.0 %, adversarial -, 200 images/s, 5s left
adversarial training: epoch 1/2, step 100/100, loss 1.000, clean 90.0 %, adversarial -, 200 images/s
adversarial training: done in 25s, epoch 1/2, loss 1.000, clean 90.0 %, adversarial -; best 93.5 %
`
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

// A resumed stage begins at a later step; the steps before must not count as done in no time.
func TestProgressResumed(t *testing.T) {
	var b bytes.Buffer
	c := newClock()
	p := newProgress(&b, false, "training", 1000, c.now)
	p.ImagesPerStep = 10
	for step := 901; step <= 910; step++ {
		c.advance(time.Second)
		p.Set(step)
	}
	want := "training: step 905/1000, 10 images/s, 1m35s left\ntraining: step 910/1000, 10 images/s, 1m30s left\n"
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

func TestProgressQuiet(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b, true, "training", 10)
	p.Set(10, Loss(1))
	p.Note("note")
	p.Done("done")
	if b.Len() != 0 {
		t.Errorf("a quiet stage wrote %q", b.String())
	}
}

func TestProgressIntoAFileHasNoBar(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := NewProgress(f, false, "training", 10)
	p.Done("ok")
	text, err := os.ReadFile(f.Name())
	if err != nil || p.bar != nil || string(text) != "training: done in 0s; ok\n" {
		t.Errorf("bar %v, text %q, error %v", p.bar, text, err)
	}
}

func TestBar(t *testing.T) {
	var b bytes.Buffer
	c := newClock()
	width := 200
	p := newProgress(&b, false, "adversarial training", 100, c.now)
	p.bar = newBar(&b, 100, func() int { return width })
	p.ImagesPerStep = 50
	for step := 1; step <= 100; step++ {
		if step == 50 {
			width = 80
		}
		c.advance(200 * time.Millisecond)
		p.Set(step, fields(1, 0.9, 0.5)...)
	}
	text := b.String()
	lines := strings.Split(text, "\r")
	for _, want := range []string{"40%", "adversarial training", "epoch 1/2", "step 40/100", "loss 1.000", "clean 90.0 %", "adversarial 50.0 %", "250 images/s", "12s left"} {
		found := false
		for _, l := range lines {
			found = found || strings.Contains(l, "step 40/100") && strings.Contains(l, want)
		}
		if !found {
			t.Errorf("the bar at step 40 lacks %q", want)
		}
	}
	narrow := false
	for _, l := range lines {
		l = strings.ReplaceAll(l, "\x1b[0K", "")
		if strings.Contains(l, " 75% ") && strings.Contains(l, "5s left") {
			narrow = true
			if n := utf8.RuneCountInString(l); n >= 80 {
				t.Errorf("a line of %d columns on a terminal of 80: %q", n, l)
			}
		}
	}
	if !narrow {
		t.Error("no line for step 75 on the narrow terminal")
	}
	b.Reset()
	p.Done("ok")
	if got, want := b.String(), "\r\x1b[2Kadversarial training: done in 20s, epoch 1/2, loss 1.000, clean 90.0 %, adversarial 50.0 %; ok\n"; got != want {
		t.Errorf("the end is %q, want %q", got, want)
	}
}

func TestFit(t *testing.T) {
	items := []item{{"stage", 300}, {"epoch 1/2", 100}, {"step 1/9", 2}, {"loss 1.0", 99}, {"5s left", 200}}
	for _, c := range []struct {
		room int
		want string
	}{
		{80, "stage  epoch 1/2  step 1/9  loss 1.0  5s left"},
		{44, "stage  epoch 1/2  loss 1.0  5s left"},
		{34, "stage  epoch 1/2  5s left"},
		{20, "stage  5s left"},
		{10, "stage"},
		{3, "sta"},
		{-4, ""},
	} {
		if got := fit(items, c.room); got != c.want {
			t.Errorf("fit in %d columns: %q, want %q", c.room, got, c.want)
		}
	}
	if items[1].text != "epoch 1/2" || items[4].text != "5s left" {
		t.Error("fit changed its input")
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1400 * time.Millisecond: "1s", 59600 * time.Millisecond: "1m00s", 185 * time.Second: "3m05s", 7380 * time.Second: "2h03m",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}
