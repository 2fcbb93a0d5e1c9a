package job

import (
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"rampart/checkpoints"
	"rampart/nn"
)

// write makes a file in the run's folder, as a whole or not at all.
func (r *run) write(name string, f func(w io.Writer) error) error {
	return checkpoints.WriteAtomic(filepath.Join(r.dir, name), f)
}

func textWriter(text string) func(w io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// writeCheckpoint writes a network as NAME.safetensors with what is known about it.
func (r *run) writeCheckpoint(name string, spec nn.Spec, weights []nn.Weight, figures []checkpoints.Figure) error {
	f := &checkpoints.File{Meta: checkpoints.Meta{
		Model:      checkpoints.Model{Spec: spec, Classes: r.train.Classes},
		Figures:    figures,
		Seed:       r.cfg.Seed,
		Provenance: provenance(r.source),
		Config:     r.resolved(),
	}}
	if name != "baseline" {
		threat := r.cfg.hardened()
		f.Meta.ThreatModel = checkpoints.ThreatModel{Norm: string(threat.Norm), Epsilon: float64(threat.Epsilon), AdversarialShare: r.cfg.share()}
	}
	if name == "best" || name == "last" {
		f.Meta.Transforms = r.cfg.Input.Transform
	}
	for _, w := range weights {
		f.Tensors = append(f.Tensors, checkpoints.Tensor(w))
	}
	return checkpoints.Write(filepath.Join(r.dir, name+".safetensors"), f)
}

// writeNetworks writes the checkpoints that a finished network belongs to.
func (r *run) writeNetworks(net string) error {
	if net == netBaseline {
		return r.writeCheckpoint("baseline", r.spec(), r.state.nets[net], nil)
	}
	if net == netTeacher && r.cfg.Teacher != nil {
		return r.writeCheckpoint("teacher", r.teacherSpec(), r.state.nets[net], r.state.Selected[net])
	}
	if net != netMember(r.cfg.members()-1) && net != netJoint {
		return nil
	}
	return r.writeDeployed(nil)
}

// writeDeployed writes best and last; test holds figures that were measured since.
func (r *run) writeDeployed(test []checkpoints.Figure) error {
	for name, suffix := range map[string]string{"best": "", "last": " last"} {
		spec, weights := r.deployed(suffix)
		var figures []checkpoints.Figure
		if r.cfg.Ensemble == nil && name == "best" {
			figures = append(figures, r.state.Selected[netMember(0)]...)
		}
		if name == "best" {
			figures = append(figures, test...)
		}
		if err := r.writeCheckpoint(name, spec, weights, figures); err != nil {
			return err
		}
	}
	return nil
}

// figures are the held-out accuracies of a network's best weights.
func (r *run) figures(f *fitState) []checkpoints.Figure {
	n := r.held.Len()
	return []checkpoints.Figure{
		{Split: "held out", Accuracy: f.BestClean, N: n},
		{Attack: r.cfg.Probe.Attack.Value.Label(), Split: "held out", Accuracy: f.BestRobust, N: n},
	}
}

// provenance says what makes the file. `go run` stamps no version control data, so git is asked.
func provenance(data string) checkpoints.Provenance {
	p := commit()
	p.Go, p.CPU, p.Data = runtime.Version(), runtime.GOARCH, data
	return p
}

// commit is looked up once, so that all files of a run name the same one.
var commit = sync.OnceValue(func() (p checkpoints.Provenance) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				p.Commit = s.Value
			case "vcs.modified":
				p.Dirty = s.Value == "true"
			}
		}
	}
	if p.Commit == "" && insideModule() {
		if out, err := exec.Command("git", "rev-parse", "HEAD").Output(); err == nil {
			p.Commit = strings.TrimSpace(string(out))
			status, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output()
			p.Dirty = err != nil || len(status) > 0
		}
	}
	return p
})

// insideModule reports whether the working folder is Rampart's: another project's commit says nothing.
func insideModule() bool {
	out, err := exec.Command("go", "list", "-m").Output()
	return err == nil && strings.TrimSpace(string(out)) == "rampart"
}
