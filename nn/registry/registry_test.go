package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"
)

type shape interface{ Area() float64 }

type square struct{ Side float64 }

func (s *square) Area() float64 { return s.Side * s.Side }

func init() {
	Kind[shape]("shape of things")
	Register[shape]("square", func() shape { return &square{2} })
	Register[shape]("circle", func() shape { return &square{1} })
}

func TestNew(t *testing.T) {
	a, err := New[shape]("square")
	if err != nil {
		t.Fatal(err)
	}
	a.(*square).Side = 5
	b, err := New[shape]("square")
	if err != nil || b.Area() != 4 {
		t.Errorf("second value: area %v, error %v; want fresh defaults", b.Area(), err)
	}
	if got := Names[shape](); !slices.Equal(got, []string{"circle", "square"}) {
		t.Errorf("Names = %q", got)
	}
}

func TestUnknown(t *testing.T) {
	type empty interface{ Nothing() }
	_, err := New[shape]("sqaure")
	_, far := New[shape]("torus")
	_, none := New[empty]("x")
	for _, c := range []struct {
		got  error
		want string
	}{
		{err, `unknown shape of things "sqaure": did you mean "square"? known: circle, square`},
		{far, `unknown shape of things "torus": known: circle, square`},
		{none, `unknown empty "x": none is known here`},
		{Errorf("attack.eps", "got %d: %w", 3, fs.ErrInvalid), `"attack.eps": got 3: invalid argument`},
	} {
		if c.got == nil || c.got.Error() != c.want {
			t.Errorf("got  %v\nwant %s", c.got, c.want)
		}
	}
	if err := Errorf("k", "%w", fs.ErrInvalid); !errors.Is(err, fs.ErrInvalid) {
		t.Error("Errorf does not wrap")
	}
}

func TestRegisterPanics(t *testing.T) {
	for _, name := range []string{"square", ""} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Register(%q) did not panic", name)
				}
			}()
			Register[shape](name, func() shape { return nil })
		}()
	}
}

func TestNearest(t *testing.T) {
	known := []string{"epochs", "eps", "lr", "steps", "step_size"}
	for word, want := range map[string]string{
		"epz": "eps", "EPS": "eps", "epsilon": "eps", "epohcs": "epochs", "step": "steps", "stepsize": "step_size",
		"lrr": "lr", "rl": "lr", "x": "", "": "", "momentum": "",
	} {
		got, ok := Nearest(word, known)
		if got != want || ok != (want != "") {
			t.Errorf("Nearest(%q) = %q, %v; want %q", word, got, ok, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"pdg", "pgd", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}, {"äb", "bä", 1}} {
		t.Run(fmt.Sprint(c.a, c.b), func(t *testing.T) {
			if got := distance([]rune(c.a), []rune(c.b)); got != c.want {
				t.Errorf("distance = %d, want %d", got, c.want)
			}
		})
	}
}
