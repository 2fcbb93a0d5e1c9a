package configs

import (
	"fmt"
	"strings"

	"rampart/nn/registry"
)

// The config of these tests has a bit of everything that the loader supports.
type config struct {
	Seed    uint64          `toml:"seed"`
	Quiet   bool            `toml:"quiet"`
	Out     string          `toml:"out"`
	Train   trainTable      `toml:"train"`
	Attack  Choice[attack]  `toml:"attack"`
	Defense Choice[defense] `toml:"defense"`
	Loss    Choice[loss]    `toml:"loss"`
	Eval    evalTable       `toml:"eval"`
	Distill *distillTable   `toml:"distill"`
	Layers  []layer         `toml:"layer"`
	Limits  map[string]int  `toml:"limits"`
	Norm    norm            `toml:"norm"`
	NoTag   int
}

type shared struct {
	LR   float32 `toml:"lr"`
	Note string  `toml:"note,omitempty"`
}

type trainTable struct {
	shared
	Epochs     int       `toml:"epochs"`
	Milestones []float64 `toml:"milestones"`
	Input      [3]int8   `toml:"input"`
}

type evalTable struct {
	N       int              `toml:"n"`
	Attacks []Choice[attack] `toml:"attack"`
}

func (e evalTable) Validate() error {
	if e.N < 1 {
		return registry.Errorf("n", "got %d, want at least 1", e.N)
	}
	return nil
}

type distillTable struct {
	Temperature float64 `toml:"temperature"`
	Teacher     *string `toml:"teacher"`
}

func (d *distillTable) Defaults() { d.Temperature = 20 }

type layer struct {
	Type string                     `toml:"type"`
	Size int                        `toml:"size"`
	Per  map[string]Choice[loss]    `toml:"per"`
	Deep map[string]map[string]bool `toml:"deep"`
}

func (l *layer) Defaults() { l.Size = 7 }

// norm is a type with a text form.
type norm int

func (n *norm) UnmarshalText(text []byte) error {
	for i, s := range []string{"linf", "l2"} {
		if s == string(text) {
			*n = norm(i)
			return nil
		}
	}
	return fmt.Errorf("unknown norm %q (known: linf, l2)", text)
}

func (n norm) MarshalText() ([]byte, error) { return []byte([]string{"linf", "l2"}[n]), nil }

type attack interface{ Perturb() }

type fgsm struct {
	Eps Number `toml:"eps"`
}

type pgd struct {
	Eps   Number       `toml:"eps"`
	Steps int          `toml:"steps"`
	Loss  Choice[loss] `toml:"loss"`
}

func (*fgsm) Perturb() {}
func (*pgd) Perturb()  {}
func (p *pgd) Validate() error {
	switch {
	case p.Eps < 0:
		return registry.Errorf("eps", "got %v, want at least 0", p.Eps)
	case p.Steps == 13:
		return fmt.Errorf("unlucky")
	}
	return nil
}

type defense interface{ Step() }

type adversarial struct {
	Mix    float64        `toml:"mix"`
	Attack Choice[attack] `toml:"attack"`
}

type natural struct{}

func (*adversarial) Step() {}
func (*natural) Step()     {}
func (a *adversarial) Validate() error {
	if p, ok := a.Attack.Value.(*pgd); ok && p.Steps == 0 {
		return registry.Errorf("attack.steps", "training needs at least one")
	}
	return nil
}

// loss is implemented by plain structs, not pointers.
type loss interface{ Value() float64 }

type crossEntropy struct {
	Smoothing float32 `toml:"smoothing"`
}

type margin struct {
	Confidence float32 `toml:"confidence"`
}

func (c crossEntropy) Value() float64 { return float64(c.Smoothing) }
func (m margin) Value() float64       { return float64(m.Confidence) }
func (m margin) Validate() error {
	if m.Confidence < 0 {
		return registry.Errorf("confidence", "got %v, want at least 0", m.Confidence)
	}
	return nil
}

func choose[T any](name string) Choice[T] {
	c, err := Choose[T](name)
	if err != nil {
		panic(err)
	}
	return c
}

func init() {
	registry.Kind[attack]("attack")
	registry.Register[attack]("fgsm", func() attack { return &fgsm{Eps: 0.3} })
	registry.Register[attack]("pgd", func() attack { return &pgd{Eps: 0.3, Steps: 40, Loss: choose[loss]("ce")} })
	registry.Register[defense]("adversarial", func() defense {
		a := &adversarial{Mix: 0.5, Attack: choose[attack]("pgd")}
		a.Attack.Value.(*pgd).Steps = 7
		return a
	})
	registry.Register[defense]("natural", func() defense { return &natural{} })
	registry.Register[loss]("ce", func() loss { return crossEntropy{} })
	registry.Register[loss]("margin", func() loss { return margin{Confidence: 1} })
}

func defaults() *config {
	return &config{
		Seed:    1,
		Train:   trainTable{shared: shared{LR: 1e-4}, Epochs: 30, Milestones: []float64{10, 20}, Input: [3]int8{28, 28, 1}},
		Defense: choose[defense]("adversarial"),
		Loss:    Choice[loss]{Value: margin{Confidence: 9}},
		Eval:    evalTable{N: 1000, Attacks: []Choice[attack]{choose[attack]("fgsm")}},
		Limits:  map[string]int{"a": 1},
	}
}

func file(text string) *File {
	return &File{Name: "madry", Path: "madry.toml", Data: []byte(strings.TrimPrefix(text, "\n"))}
}
