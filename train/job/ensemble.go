package job

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"rampart/attacks"
	"rampart/configs"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/registry"
)

// Ensemble trains members apart and deploys their combination.
type Ensemble struct {
	// Members is their number; each has random numbers of its own. 0 is as many as are listed, or 3.
	Members int        `toml:"members"`
	Combine nn.Combine `toml:"combine"`
	// Each lists what the members differ in besides.
	Each []Member `toml:"member"`
}

// Member is what one member of an ensemble has for itself; what it has not is that of the config.
// Where all of them have a model or a defence, the config's is that of the first: the network of
// the tables "before", and the first defence that attacks.
type Member struct {
	// Config is another config whose [model], [input], [warmup], [train] and [defense] the member has.
	// Load puts them in its place.
	Config  string                           `toml:"config,omitempty"`
	Model   configs.Choice[nn.Architecture]  `toml:"model"`
	Input   *Input                           `toml:"input"`
	Warmup  *Stage                           `toml:"warmup"`
	Train   *Training                        `toml:"train"`
	Defense configs.Choice[defenses.Defense] `toml:"defense"`
}

// Defaults implements configs.Defaulter.
func (e *Ensemble) Defaults() { e.Combine = nn.MeanLogits }

// Defaults implements configs.Defaulter.
func (s *Stage) Defaults() { *s = defaultConfig().Warmup }

// Defaults implements configs.Defaulter.
func (t *Training) Defaults() { *t = defaultConfig().Train }

// Validate reports a number of members that is no ensemble.
func (e Ensemble) Validate() error {
	if n := len(e.Each); n > 0 && e.Members > 0 && e.Members != n {
		return registry.Errorf("members", "%d, but %d are listed: leave this key out", e.Members, n)
	}
	if n := e.count(); n < 2 || n > 64 {
		return registry.Errorf("members", "%d: an ensemble has between 2 and 64", n)
	}
	if err := e.Combine.Validate(); err != nil {
		return &registry.KeyError{Key: "combine", Err: err}
	}
	return nil
}

// count is the number of members.
func (e Ensemble) count() int {
	switch {
	case len(e.Each) > 0:
		return len(e.Each)
	case e.Members != 0:
		return e.Members
	}
	return 3
}

// named says whether a member is another config that has not been read yet.
func (e *Ensemble) named() bool {
	return e != nil && slices.ContainsFunc(e.Each, func(m Member) bool { return m.Config != "" })
}

// Validate reports a member that cannot be trained like one.
func (m Member) Validate() error {
	if m.Config != "" && (m.Model.Set() || m.Defense.Set() || m.Input != nil || m.Warmup != nil || m.Train != nil) {
		return registry.Errorf("config", "%q brings all of a member: leave the other keys out", m.Config)
	}
	if m.Defense.Set() && defenses.NeedsTeacher(m.Defense.Value) {
		return registry.Errorf("defense.name", "%q learns from a hardened teacher, which a member of an ensemble has not", m.Defense.Name)
	}
	return nil
}

// resolveMembers puts the members' configs in their place.
func (c *Config) resolveMembers() error {
	if c.Ensemble == nil || len(c.Ensemble.Each) == 0 {
		return nil
	}
	list := c.Ensemble.Each
	for i := range list {
		m := &list[i]
		if m.Config == "" {
			continue
		}
		own, err := Load(m.Config, nil)
		if err != nil {
			return fmt.Errorf("ensemble, member %d: %w", i+1, err)
		}
		if own.Ensemble != nil || own.Distill != nil || own.Teacher != nil || own.Sources != nil || own.Init != "" {
			return &UsageError{fmt.Errorf("ensemble, member %d: %q has a table [ensemble], [distill], [teacher] or [sources], or init: a member is one network, trained on its own", i+1, m.Config)}
		}
		*m = Member{Model: own.Model, Input: &own.Input, Warmup: &own.Warmup, Train: &own.Train, Defense: own.Defense}
	}
	if all(list, func(m Member) bool { return m.Model.Set() }) {
		first := c.member(0)
		c.Model, c.Input, c.Warmup = first.Model, first.Input, first.Warmup
	}
	if all(list, func(m Member) bool { return m.Defense.Set() }) {
		c.Defense = list[max(0, slices.IndexFunc(list, func(m Member) bool { return m.Defense.Value.Attack() != nil }))].Defense
	}
	return nil
}

func all(list []Member, has func(Member) bool) bool {
	return !slices.ContainsFunc(list, func(m Member) bool { return !has(m) })
}

// members is the number of networks that are hardened.
func (c *Config) members() int {
	if c.Ensemble != nil {
		return c.Ensemble.count()
	}
	return 1
}

// member is the config of one of them.
func (c *Config) member(i int) *Config {
	one := *c
	if c.Ensemble == nil || len(c.Ensemble.Each) == 0 {
		return &one
	}
	m := c.Ensemble.Each[i]
	if m.Model.Set() {
		one.Model = m.Model
	}
	if m.Defense.Set() {
		one.Defense = m.Defense
	}
	if m.Input != nil {
		one.Input = *m.Input
	}
	if m.Warmup != nil {
		one.Warmup = *m.Warmup
	}
	if m.Train != nil {
		one.Train = *m.Train
	}
	return &one
}

// opponents are the attacks that the members train against.
func (c *Config) opponents() (list []attacks.Attack) {
	for i := range c.members() {
		for _, a := range defenses.Attacks(c.member(i).Defense.Value) {
			if !slices.ContainsFunc(list, func(o attacks.Attack) bool { return reflect.DeepEqual(a, o) }) {
				list = append(list, a)
			}
		}
	}
	return list
}

// share is the members' mean share of examples that are attacked.
func (c *Config) share() float64 {
	sum := 0.0
	for i := range c.members() {
		sum += c.member(i).Defense.Value.Share()
	}
	return sum / float64(c.members())
}

// threatText names what the network is hardened against, and what the tables are about where that is another.
func (c *Config) threatText() string {
	var list []string
	for _, a := range c.opponents() {
		if text := a.Threat().String(); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	if list == nil {
		list = []string{c.hardened().String()}
	}
	text := strings.Join(list, " and ")
	if claim := c.threat().String(); c.Eval.Claim.Norm != "" && claim != text {
		return "trained against " + text + ", attacked in " + claim
	}
	return text
}

// checkMembers reports members that do not go with the rest of the config.
func (c Config) checkMembers() error {
	if c.Ensemble == nil || c.Distill == nil {
		return nil
	}
	for i := range c.Ensemble.Each {
		if d := c.member(i).Defense; defenses.HasOwnLoss(d.Value) {
			return registry.Errorf("distill", "member %d: the defence %q has a loss of its own, which leaves no place for a teacher's soft labels", i+1, d.Name)
		}
	}
	return nil
}

// memberSpec is the network of a member.
func (r *run) memberSpec(i int) nn.Spec {
	one := *r
	one.cfg = r.cfg.member(i)
	return one.spec()
}

// fitStart is the network that a member begins with: "", the baseline, or one of a warm-up of its
// own, which it lists.
func (r *run) fitStart(i int, fit func(fitting)) string {
	one := r.cfg.member(i)
	if one.Train.Start == "scratch" {
		return ""
	}
	other := encoded(one.Model) != encoded(r.cfg.Model) || encoded(&one.Input) != encoded(&r.cfg.Input)
	if !other && (i == 0 || r.cfg.Init != "") {
		return netBaseline
	}
	net := netMember(i) + " warm-up"
	f := r.natural(net, net, i)
	f.spec, f.stage, f.tuning = r.memberSpec(i), one.Warmup, nn.Tuning{Segments: one.Train.CheckpointSegments}
	fit(f)
	return net
}

// fitMember lists the training of a member.
func (r *run) fitMember(i int, fit func(fitting)) {
	one, title := r.cfg.member(i), "training"
	if r.cfg.Ensemble != nil {
		title = netMember(i)
	}
	f := r.hardening(title, netMember(i), i, r.fitStart(i, fit))
	f.spec, f.stage, f.defense, f.attackBN = one.Train.hardened(r.memberSpec(i)), one.Train.Stage, one.Defense.Value, one.Train.AttackBN
	f.epsilon, f.steps, f.average = one.Train.EpsilonSchedule.Value, one.Train.StepsSchedule.Value, one.Train.Average.Value
	f.tuning = one.Train.tuning()
	if r.cfg.Distill != nil {
		f.teacher, f.temperature = netTeacher, float32(r.cfg.Distill.Temperature)
	}
	if r.cfg.Teacher != nil {
		f.teacher = netTeacher
	}
	fit(f)
}

// deployed is the hardened network: the members' best weights, or with suffix " last" their last,
// combined.
func (r *run) deployed(suffix string) (nn.Spec, []nn.Weight) {
	if r.cfg.Ensemble == nil {
		return r.cfg.Train.hardened(r.spec()), r.state.nets[netMember(0)+suffix]
	}
	spec := nn.Spec{Input: r.spec().Input, Classes: r.spec().Classes, Combine: r.cfg.Ensemble.Combine}
	var weights []nn.Weight
	for i := range r.cfg.members() {
		spec.Members = append(spec.Members, r.cfg.member(i).Train.hardened(r.memberSpec(i)))
		weights = append(weights, prefixed(i, r.state.nets[netMember(i)+suffix])...)
	}
	if r.cfg.joint() {
		weights = r.state.nets[netJoint+suffix]
	}
	return spec, weights
}
