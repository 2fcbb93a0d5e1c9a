package job

import (
	"fmt"
	"slices"
	"strconv"

	"rampart/attacks"
	"rampart/data"
	"rampart/defenses"
	"rampart/nn"
)

// placed is an attack with the table of the config, or the flag, that it stands in.
type placed struct {
	where  string
	attack attacks.Attack
}

// placed lists the attacks that the config names.
func (c *Config) placed() (list []placed) {
	add := func(where string, of ...attacks.Attack) {
		for _, a := range of {
			list = append(list, placed{where, a})
		}
	}
	for i := range c.members() {
		add("defense.attack", defenses.Attacks(c.member(i).Defense.Value)...)
	}
	if c.Teacher != nil {
		add("teacher.defense.attack", defenses.Attacks(c.Teacher.Defense.Value)...)
	}
	add("probe.attack", c.Probe.Attack.Value)
	for i, a := range c.Eval.Attacks {
		add(fmt.Sprintf("eval.attack %d", i+1), a.Value)
	}
	return list
}

// warnings lists what is valid of the attack but may be a mistake, on images of a shape.
func (p placed) warnings(in nn.Shape) (list []string) {
	if w, ok := p.attack.(attacks.Warner); ok {
		list = w.Warnings()
	}
	list = append(list, p.attack.Threat().Warnings(in)...)
	for i, text := range list {
		list[i] = p.where + ": " + text
	}
	return list
}

// Warnings lists options that are valid but may be a mistake.
func (c *Config) Warnings() (list []string) {
	warn := func(where string, a attacks.Attack) {
		if w, ok := a.(attacks.Warner); ok {
			for _, s := range w.Warnings() {
				list = append(list, where+": "+s)
			}
		}
	}
	for _, a := range c.opponents() {
		warn("defense", a)
	}
	warn("probe", c.Probe.Attack.Value)
	if s := c.Train.StepsSchedule.Value; s.At(0) != 1 || s.At(0.999) != 1 {
		a := c.Defense.Value.Attack()
		if _, elsewhere := a.(attacks.Sourced); a == nil || a.Gradients() < 2 || elsewhere {
			list = append(list, "train.steps_schedule: the training attack has no steps to scale")
		}
	}
	if s := c.Train.EpsilonSchedule.Value; (s.At(0) != 1 || s.At(0.999) != 1) && c.Defense.Value.Attack() == nil {
		list = append(list, "train.eps_schedule: the defence attacks nothing")
	}
	for _, a := range c.Eval.Attacks {
		warn("eval", a.Value)
	}
	return list
}

// warnings lists what is valid but may be a mistake: in the config, and in it for these images.
func (r *run) warnings() []string {
	list := r.cfg.Warnings()
	list = append(list, emptyClasses(r.train, "training", "the network cannot learn it")...)
	list = append(list, emptyClasses(r.test, "test", "nothing is measured of it, and averages over classes leave it out")...)
	var told []string
	for _, p := range r.cfg.placed() {
		for _, text := range p.attack.Threat().Warnings(r.spec().Input) {
			if !slices.Contains(told, text) { // once, where several attacks share it
				told = append(told, text)
				list = append(list, p.where+": "+text)
			}
		}
	}
	return list
}

// emptyClasses tells of the classes that a data set has no image of.
func emptyClasses(d *data.Dataset, what, therefore string) []string {
	seen := make([]bool, len(d.Classes))
	for i := range d.Len() {
		seen[d.Label(i)] = true
	}
	var names []string
	for k, name := range d.Classes {
		if !seen[k] {
			names = append(names, strconv.Quote(name))
		}
	}
	if names == nil {
		return nil
	}
	return []string{fmt.Sprintf("none of the %d %s images is of class %s: %s", d.Len(), what, listed(names, 5), therefore)}
}
