package job

import (
	"errors"
	"fmt"
	"io/fs"

	"rampart/checkpoints"
	"rampart/configs"
	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/registry"
)

// Teacher is the hardened network that a robust distillation learns from ("ard", "rslad"): a
// checkpoint of any network, or one that is trained first, as [train] says.
type Teacher struct {
	// Checkpoint is a file; "" trains a teacher.
	Checkpoint string `toml:"checkpoint"`
	// Model is the teacher's network, the student's where it is not set; Defense how it is hardened.
	Model   configs.Choice[nn.Architecture]  `toml:"model"`
	Defense configs.Choice[defenses.Defense] `toml:"defense"`
}

// Defaults implements configs.Defaulter: Madry's adversarial training.
func (t *Teacher) Defaults() {
	t.Defense = choose[defenses.Defense]("pgd_at")
	t.Defense.Value.(*defenses.PGDAT).Adversarial = 1
}

// Validate reports a teacher that cannot be had.
func (t Teacher) Validate() error {
	if t.Checkpoint != "" && t.Model.Set() {
		return registry.Errorf("model", "the checkpoint says what network it holds: leave this table out")
	}
	if defenses.NeedsTeacher(t.Defense.Value) {
		return registry.Errorf("defense.name", "%q needs a teacher itself", t.Defense.Name)
	}
	if defenses.NeedsSources(t.Defense.Value) || defenses.TrainsMembers(t.Defense.Value) {
		return registry.Errorf("defense.name", "%q trains on other networks or several at once: a teacher is one, trained on its own. Train it by a config of its own, and name its checkpoint", t.Defense.Name)
	}
	return fileExists("checkpoint", t.Checkpoint)
}

// checkTeaching reports a student without a teacher, and teachers without a student.
func (c Config) checkTeaching() error {
	student := defenses.NeedsTeacher(c.Defense.Value)
	switch {
	case student && c.Teacher == nil:
		return registry.Errorf("defense.name", "%q learns from a hardened teacher: add a table [teacher]", c.Defense.Name)
	case !student && c.Teacher != nil:
		return registry.Errorf("teacher", `the defence %q learns from no teacher: choose "ard" or "rslad", or [distill] for defensive distillation`, c.Defense.Name)
	case c.Distill != nil && defenses.HasOwnLoss(c.Defense.Value):
		return registry.Errorf("distill", "the defence %q has a loss of its own, which leaves no place for a teacher's soft labels", c.Defense.Name)
	}
	return nil
}

// teacherSpec is the network of the [teacher] table.
func (r *run) teacherSpec() nn.Spec {
	if r.teacher != nil {
		return r.teacher.Meta.Model.Spec
	}
	spec := r.spec()
	if m := r.cfg.Teacher.Model; m.Set() {
		spec.Arch, spec.Options = m.Name, m.Value
	}
	return r.cfg.Train.hardened(spec)
}

// readTeacher reads the teacher's checkpoint, if there is one.
func (r *run) readTeacher() error {
	if r.cfg.Teacher == nil || r.cfg.Teacher.Checkpoint == "" {
		return nil
	}
	path := r.cfg.Teacher.Checkpoint
	f, err := checkpoints.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &UsageError{err}
	}
	if err != nil {
		return err
	}
	if err := f.Finite(); err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	if spec, own := f.Meta.Model.Spec, r.spec(); spec.Input != own.Input || spec.Classes != own.Classes {
		return &UsageError{fmt.Errorf("the teacher %q takes %v images of %d classes, the data set %q has %v of %d", path, spec.Input, spec.Classes,
			r.cfg.Data.Source.Name, own.Input, own.Classes)}
	}
	r.teacher = f
	return nil
}

// keepTeacher takes the checkpoint's weights into the state, so that a run resumes with them.
func (r *run) keepTeacher() error {
	weights := r.teacher.Weights()
	if _, err := r.network(r.teacherSpec(), weights, 1); err != nil {
		return fmt.Errorf("%q: %w", r.cfg.Teacher.Checkpoint, err)
	}
	r.state.nets[netTeacher] = weights
	return nil
}

// teaching is the training of the [teacher] table's network.
func (r *run) teaching() fitting {
	start := r.start(netBaseline)
	if r.cfg.Teacher.Model.Set() {
		start = "" // the baseline's weights are the student's
	}
	f := r.hardening("teacher", netTeacher, r.cfg.members(), start)
	f.defense, f.spec, f.tuning = r.cfg.Teacher.Defense.Value, r.teacherSpec(), nn.Tuning{Segments: r.cfg.Train.CheckpointSegments}
	return f
}
