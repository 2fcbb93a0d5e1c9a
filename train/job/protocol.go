package job

import (
	"rampart/attacks"
	"rampart/configs"
	"rampart/nn/registry"
)

// Protocol is how thoroughly a network is measured, besides the config's own attacks.
type Protocol string

// The protocols. All but None end with the checks of package audit.
const (
	ProtocolNone     Protocol = "none"     // the config's attacks alone
	ProtocolQuick    Protocol = "quick"    // the checks, on few examples
	ProtocolStandard Protocol = "standard" // and AutoAttack, whose figure others publish
	ProtocolFull     Protocol = "full"     // and more restarts, minimal distances, an attack by decisions alone
)

// auditExamples are how many examples the checks' own attacks see.
var auditExamples = map[Protocol]int{ProtocolQuick: 50, ProtocolStandard: 200, ProtocolFull: 500}

// Validate reports an unknown protocol.
func (p Protocol) Validate() error {
	if _, ok := auditExamples[p]; !ok && p != ProtocolNone {
		return registry.Errorf("protocol", `unknown protocol %q: use "none", "quick", "standard" or "full"`, string(p))
	}
	return nil
}

// attacks are those that the protocol adds to a config's, for a threat model.
func (p Protocol) attacks(t attacks.Threat) []attacks.Attack {
	var list []attacks.Attack
	add := func(name string) attacks.Attack {
		a := choose[attacks.Attack](name).Value
		a.(interface{ Within(attacks.Threat) }).Within(t)
		list = append(list, a)
		return a
	}
	if p == ProtocolFull {
		margin := add("pgd").(*attacks.PGD)
		margin.Steps, margin.Runs, margin.Loss = 100, 10, "margin"
		margin.StepSize = t.Epsilon * 2.5 / configs.Number(margin.Steps)
		add("fab")
		if t.Norm != attacks.L1 {
			add("hopskipjump")
		}
	}
	if p == ProtocolStandard || p == ProtocolFull {
		add("autoattack")
	}
	return list
}

// attacks lists what a stage's table measures after clean accuracy.
func (r *run) attacks(stage string) []attacks.Attack {
	var list []attacks.Attack
	for _, c := range r.cfg.Eval.Attacks {
		list = append(list, r.meets(stage, c.Value))
	}
	list = append(list, r.naive(stage)...)
	for _, a := range r.cfg.Eval.Protocol.attacks(r.claim) {
		list = append(list, r.meets(stage, a))
	}
	return list
}
