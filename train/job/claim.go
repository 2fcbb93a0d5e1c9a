package job

import (
	"fmt"
	"slices"

	"rampart/attacks"
	"rampart/configs"
	"rampart/nn/registry"
)

// Claim is a threat model that figures are about; not set, it is the one that is trained against.
type Claim struct {
	Norm    attacks.Norm   `toml:"norm,omitempty"`
	Epsilon configs.Number `toml:"eps,omitempty"`
}

// Validate reports half of a threat model, and one that is none.
func (c Claim) Validate() error {
	if (c.Norm == "") != (c.Epsilon == 0) {
		return registry.Errorf("eps", "set norm and eps, or neither: then the threat model is the one that is trained against")
	}
	if c.Norm == "" {
		return nil
	}
	return c.threat().Validate()
}

func (c Claim) threat() attacks.Threat { return attacks.Threat{Norm: c.Norm, Epsilon: c.Epsilon} }

// threat is what the tables are about: what they claim, else the training attack's, else the probe's.
func (c *Config) threat() attacks.Threat {
	if t := c.Eval.Claim.threat(); t.Norm != "" {
		return t
	}
	return c.hardened()
}

// hardened is what the network is trained against.
func (c *Config) hardened() attacks.Threat {
	if a := c.Defense.Value.Attack(); a != nil {
		return a.Threat()
	}
	return c.Probe.Attack.Value.Threat()
}

// under puts an attack whose table, at a path of a config, names neither norm nor eps under a threat model, if
// it knows that norm: a method's own default is for MNIST. A step size that is not named keeps its proportion.
func under(t attacks.Threat, a attacks.Attack, path string, named func(path string, keys ...string) bool) attacks.Attack {
	if named(path, "norm", "eps") {
		return a
	}
	at := a.At(float64(t.Epsilon))
	if named(path, "step_size", "alpha") {
		at = a.At(float64(a.Threat().Epsilon)) // a copy
	}
	if w, ok := at.(interface{ Within(attacks.Threat) }); ok {
		w.Within(t)
	}
	if at.Threat() != t || at.Validate() != nil {
		return a
	}
	return at
}

// settle puts the attacks of the tables under a threat model where they name none.
func (e *Evaluation) settle(t attacks.Threat) {
	e.Attacks = slices.Clone(e.Attacks) // a comparison's are those of a config, too
	for i := range e.Attacks {
		e.Attacks[i].Value = under(t, e.Attacks[i].Value, fmt.Sprintf("eval.attack.%d", i), e.named)
	}
}
