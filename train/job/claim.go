package job

import (
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
