package attacks

import (
	"errors"

	"rampart/configs"
	"rampart/nn/registry"
)

// Nested gives an attack that runs another one its table attack.
type Nested struct {
	Attack configs.Choice[Attack] `toml:"attack"`
}

func nest(name string) Nested {
	inner, err := registry.New[Attack](name)
	if err != nil {
		panic(err)
	}
	return Nested{configs.Choice[Attack]{Name: name, Value: inner}}
}

// Threat implements Attack.
func (n *Nested) Threat() Threat { return n.Attack.Value.Threat() }

// Restarts implements Attack.
func (n *Nested) Restarts() int { return n.Attack.Value.Restarts() }

// Minimal implements Minimal.
func (n *Nested) Minimal() bool {
	m, ok := n.Attack.Value.(Minimal)
	return ok && m.Minimal()
}

// CheckClasses implements Classed.
func (n *Nested) CheckClasses(classes int) error { return CheckClasses(n.Attack.Value, classes) }

// Warnings implements Warner.
func (n *Nested) Warnings() []string {
	if w, ok := n.Attack.Value.(Warner); ok {
		return w.Warnings()
	}
	return nil
}

// LossName implements Lossy; "" where the attack has none.
func (n *Nested) LossName() string {
	if l, ok := n.Attack.Value.(Lossy); ok {
		return l.LossName()
	}
	return ""
}

func (n *Nested) validate() error {
	if !n.Attack.Set() {
		return registry.Errorf("attack", "missing: name the attack to run")
	}
	if _, ok := n.Attack.Value.(Sequence); ok {
		return registry.Errorf("attack", "%q consists of several attacks: name one of them", n.Attack.Name)
	}
	if _, ok := n.Attack.Value.(Sourced); ok {
		return registry.Errorf("attack", "%q makes its examples on another network, which is no concern of an attack around it: put it outside, around the other", n.Attack.Name)
	}
	err := n.Attack.Value.Validate()
	if wrong, ok := errors.AsType[*registry.KeyError](err); ok {
		return &registry.KeyError{Key: "attack." + wrong.Key, Err: wrong.Err}
	}
	return err
}

// at is Nested for another epsilon.
func (n *Nested) at(epsilon float64) Nested {
	return Nested{configs.Choice[Attack]{Name: n.Attack.Name, Value: n.Attack.Value.At(epsilon)}}
}
