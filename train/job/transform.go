package job

import (
	"fmt"

	"rampart/attacks"
	"rampart/attacks/audit"
	"rampart/defenses"
	"rampart/defenses/transform"
	"rampart/nn"
	"rampart/nn/registry"
	"rampart/train/report"
)

// checkTransforms reports transformations that the training has no place for.
func (c Config) checkTransforms() error {
	if len(c.Input.Transform.Training()) > 0 && (c.Distill != nil || c.Teacher != nil) {
		return registry.Errorf("input.transform", `when = "always" does not go together with a teacher, which answers about images as they are: use when = "deploy"`)
	}
	if defenses.Certified(c.Defense.Value) {
		if _, err := c.Input.Transform.Training().Bounds(nn.Shape{}); err != nil {
			return registry.Errorf("input.transform", `%w: use when = "deploy" with the defence %q`, err, c.Defense.Name)
		}
	}
	return c.checkProofs(c.Input.Transform)
}

// checkProofs reports proofs that do not go through the transformations that they are asked for behind.
func (c Config) checkProofs(chain transform.Chain) error {
	if len(chain) == 0 {
		return nil
	}
	if _, err := chain.Bounds(nn.Shape{}); c.Verify != nil && err != nil {
		return registry.Errorf("verify", "%w: leave out [verify] or the transformation", err)
	}
	if c.Smoothing != nil {
		return registry.Errorf("smoothing", "certificates are of the network alone, not behind %s: leave out [smoothing] or the transformations", chain.Label())
	}
	return nil
}

// behind is a network as it is deployed. What draws random numbers there is measured with one draw
// for each example.
func (r *run) behind(v attacks.Victim) attacks.Victim {
	return transform.Behind(v, r.chain, r.cfg.Seed)
}

// behind are the transformations that the network in training learns behind: none for the
// undefended one. The probe meets it behind them too, with a draw a step.
func (t *trainer) behind() transform.Chain {
	if !t.hardening {
		return nil
	}
	return t.r.cfg.Input.Transform.Training()
}

// meets is an attack as it meets the network of a stage: in expectation where that is random.
func (r *run) meets(stage string, a attacks.Attack) attacks.Attack {
	if stage != report.After || !r.chain.Random() {
		return a
	}
	return attacks.InExpectation(a, r.cfg.Eval.Draws)
}

// naive are the attacks that show what transformations and a denoiser hide from those who do not know them.
func (r *run) naive(stage string) (list []attacks.Attack) {
	if stage != report.After || len(r.chain) == 0 && !r.denoised {
		return nil
	}
	list = append(list, transform.NewNaive(r.curveAttack()))
	if r.chain.Random() {
		list = append(list, transform.NewOneDraw(r.curveAttack()))
	}
	return list
}

// before is what the checks have to know of the transformations.
func (r *run) before() *audit.Before {
	if len(r.chain) == 0 {
		return nil
	}
	return &audit.Before{Label: r.chain.Label(), Substituted: r.chain.Substituted(), Random: r.chain.Random(), Draws: r.cfg.Eval.Draws}
}

// behindText names the transformations after a model.
func (r *run) behindText() string {
	if len(r.chain) == 0 {
		return ""
	}
	return " behind " + r.chain.Label()
}

// throughText says after a threat model how the transformations are attacked.
func (r *run) throughText() string {
	if len(r.chain) == 0 {
		return ""
	}
	text := ", through " + r.chain.Gradients()
	if r.chain.Random() {
		text += fmt.Sprintf(", %d draws (EOT)", r.cfg.Eval.Draws)
	}
	return text
}

// transformNotes say how the transformations and the denoiser were attacked.
func (r *run) transformNotes() []string {
	const denoiser = "the denoiser is a part of the network: attacks go through it by its gradient, which needs neither BPDA nor EOT"
	if len(r.chain) == 0 {
		if !r.denoised {
			return nil
		}
		return []string{denoiser + `. The row "naive" is made on the network behind it and judged with it: what it leaves beyond the other rows is obfuscation, no robustness. It is an attack too, and counts in the worst case`}
	}
	text := fmt.Sprintf("attacks know the transformations: gradients go through %s", r.chain.Gradients())
	if r.chain.Random() {
		text += fmt.Sprintf("; they are taken in expectation over %d draws (EOT)", r.cfg.Eval.Draws)
	}
	if r.denoised {
		text += "; " + denoiser
	}
	text += `. The row "naive" is made on the network without them and judged behind them`
	if r.chain.Random() {
		text += `, "one draw" takes each gradient over a single draw`
	}
	return []string{text + ": what they leave beyond the other rows is obfuscation, no robustness. They are attacks too, and count in the worst case"}
}
