package job

import (
	"fmt"
	"math"

	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/registry"
)

// separate is attack_bn for batch normalisations of adversarial rows and of clean ones.
const separate = "separate"

// hardened is a network as the stage trains it: with attack_bn = "separate" each batch normalisation has an
// auxiliary branch, for the rows whose branch is not deployed.
func (t *Training) hardened(spec nn.Spec) nn.Spec {
	if t.AttackBN == separate {
		spec.Auxiliary = t.DeployBN.Other()
	}
	return spec
}

// checkBN reports how attacks cannot meet batch normalisations.
func (t *Training) checkBN() error {
	if t.AttackBN != "eval" && t.AttackBN != "train" && t.AttackBN != separate {
		return registry.Errorf("attack_bn", `%q: use "eval" (running statistics), "train" (the attacked batch's) or "separate" (those of adversarial rows, apart from clean rows')`, t.AttackBN)
	}
	if err := t.DeployBN.Validate(); err != nil {
		return registry.Errorf("deploy_bn", "%w", err)
	}
	if t.DeployBN != nn.AdversarialRows && t.AttackBN != separate {
		return registry.Errorf("deploy_bn", `%q: there is one branch to deploy, unless attack_bn = "separate"`, string(t.DeployBN))
	}
	return nil
}

// meetsBN reports an attack_bn that a network without batch normalisation would ignore.
func meetsBN(m *nn.Model, attackBN string) error {
	if attackBN != "eval" && !m.HasStatistics() {
		return &UsageError{fmt.Errorf("train.attack_bn = %q: %s has no batch normalisation", attackBN, m.Spec.Name())}
	}
	return nil
}

// checkSeparate reports trainings that have no rows of both kinds for attack_bn = "separate".
func (c Config) checkSeparate() error {
	for i := range c.members() {
		one := c.member(i)
		if one.Train.AttackBN != separate {
			continue
		}
		defense := one.Defense
		for _, d := range []*Teacher{nil, c.Teacher} {
			if d != nil && d.Checkpoint == "" {
				defense = d.Defense
			}
			if !defenses.Separates(defense.Value) {
				return registry.Errorf("train.attack_bn", `"separate": the defence %q, as it is set, does not train on adversarial and clean rows together; take one that does, such as "trades" or "pgd_at" with adversarial below 1, or another attack_bn`, defense.Name)
			}
			batch := one.Train.Batch
			attacked := int(math.Round(defense.Value.Share() * float64(batch)))
			if defenses.Rows(defense.Value, batch) == batch && (attacked == 0 || attacked == batch) {
				return registry.Errorf("train.attack_bn", `"separate": %d rows of a batch of %d are adversarial: both kinds are needed`, attacked, batch)
			}
		}
		if len(one.Input.Transform) > 0 {
			return registry.Errorf("train.attack_bn", `"separate" does not go with input.transform: leave one out`)
		}
	}
	return nil
}
