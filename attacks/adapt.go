package attacks

import (
	"reflect"

	"rampart/configs"
	"rampart/nn/registry"
)

// Oblivious is an Attack that does not know all of the defence, run to show what that hides.
type Oblivious interface{ Oblivious() }

// InExpectation is an attack for a network that draws random numbers: its gradients are means over
// so many draws. AutoAttack becomes its version "rand", which is made for that. Attacks that take no
// gradient of the victim, and those that average already, are left as they are.
func InExpectation(a Attack, samples int) Attack {
	if auto, ok := a.(*AutoAttack); ok && auto.Version != "custom" {
		c := *auto
		c.Version = "rand"
		return &c
	}
	_, sequence := a.(Sequence)
	_, sourced := a.(Sourced)
	_, oblivious := a.(Oblivious)
	averaging, averages := a.(Averaging)
	if sequence || sourced || oblivious || a.Gradients() == 0 || averages && averaging.Draws() > 1 {
		return a
	}
	return &Expectation{Samples: samples, Nested: Nested{Chosen(a)}}
}

// Chosen is an attack as a config chooses it, by a name that its kind is registered under.
func Chosen(a Attack) configs.Choice[Attack] {
	c := configs.Choice[Attack]{Value: a}
	for _, name := range registry.Names[Attack]() {
		if other, err := registry.New[Attack](name); err == nil && reflect.TypeOf(other) == reflect.TypeOf(a) {
			c.Name = name
			break
		}
	}
	return c
}
