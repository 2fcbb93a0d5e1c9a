package attacks

import "rampart/configs"

// Oblivious is an Attack that does not know all of the defence, run to show what that hides.
type Oblivious interface{ Oblivious() }

// InExpectation is an attack for a network that draws random numbers: its gradients are means over
// so many draws. AutoAttack becomes its version "rand", which is made for that. Attacks that take no
// gradient of the victim, and those that average already, are left as they are. name is the one
// that the attack is registered under.
func InExpectation(name string, a Attack, samples int) Attack {
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
	return &Expectation{Samples: samples, Nested: Nested{configs.Choice[Attack]{Name: name, Value: a}}}
}
