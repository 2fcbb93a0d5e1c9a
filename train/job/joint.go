package job

import (
	"context"
	"fmt"

	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/registry"
)

// Names of networks of joint training in the state: all members together, before it and after.
const (
	netJoint      = "members"
	netJointStart = "members before"
)

// joint says whether the members are trained together, by a loss that sees all of them.
func (c *Config) joint() bool { return defenses.TrainsMembers(c.Defense.Value) }

// checkJoint reports what joint training cannot be had with.
func (c Config) checkJoint() error {
	for i := range c.members() {
		if d := c.member(i).Defense; !c.joint() && defenses.TrainsMembers(d.Value) {
			return registry.Errorf("ensemble", "member %d: the defence %q trains all members jointly: set it in [defense]", i+1, d.Name)
		}
	}
	if !c.joint() {
		return nil
	}
	switch name := c.Defense.Name; {
	case c.Ensemble == nil:
		return registry.Errorf("defense.name", "%q trains the members of an ensemble: add a table [ensemble]", name)
	case c.Distill != nil:
		return registry.Errorf("distill", "the defence %q has a loss of its own, which leaves no place for a teacher's soft labels", name)
	case c.Train.Average.Set():
		return registry.Errorf("train.average", "weights of members that %q trains jointly are not averaged: leave this table out", name)
	}
	for i, m := range c.Ensemble.Each {
		if m.Train != nil || m.Defense.Set() {
			return registry.Errorf("ensemble", "member %d has a defence or a training of its own, but %q trains all members jointly", i+1, c.Defense.Name)
		}
	}
	return nil
}

// fitJointly lists the training of all members at once.
func (r *run) fitJointly(add func(name string, f func(context.Context) error), fit func(fitting)) {
	start := ""
	if r.cfg.Train.Start == "baseline" {
		start = netJointStart
		from := make([]string, r.cfg.members())
		for i := range from {
			from[i] = r.fitStart(i, fit)
		}
		add("join the members", func(context.Context) error {
			r.state.nets[netJointStart] = nil
			for i, net := range from {
				r.state.nets[netJointStart] = append(r.state.nets[netJointStart], prefixed(i, r.state.nets[net])...)
			}
			return nil
		})
	}
	f := r.hardening("training", netJoint, 0, start)
	f.deploy, _ = r.deployed("")
	f.spec = f.deploy
	f.spec.Combine, f.spec.Classes = nn.Stacked, f.deploy.Classes*len(f.deploy.Members)
	fit(f)
}

// prefixed names a member's weights as the ensemble does.
func prefixed(i int, weights []nn.Weight) []nn.Weight {
	list := make([]nn.Weight, len(weights))
	for j, w := range weights {
		w.Name = fmt.Sprintf("members.%d.%s", i, w.Name)
		list[j] = w
	}
	return list
}
