package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"rampart/data"
	"rampart/defenses"
	"rampart/defenses/smoothing"
	"rampart/nn"
	"rampart/train/report"
)

// proofs are what a run has proven about its hardened network. They are part of its state.
type proofs struct {
	// Verified holds, for each eps of [verify], whether each test image is.
	Verified [][]bool `json:"verified,omitempty"`
	// Certificates are those of the first images of [smoothing], as many as are done.
	Certificates []smoothing.Certificate `json:"certificates,omitempty"`
	// Tried is the number of images of which it is known whether an attack breaks their certificate,
	// and Attacked and Broken count those that were attacked and broken.
	Tried    int `json:"tried,omitempty"`
	Attacked int `json:"attacked,omitempty"`
	Broken   int `json:"broken,omitempty"`
}

// Certify proves what it can about a checkpoint, by the config's [smoothing] and [verify]; with opt.Out
// it also keeps its state and writes certified.json and figures there.
func Certify(ctx context.Context, cfg *Config, checkpoint string, opt Options) error {
	if cfg.Smoothing == nil && cfg.Verify == nil {
		return &UsageError{errors.New("nothing to certify by: add a table [smoothing] or [verify] to the config, or -set smoothing.sigma=0.25, or -set verify.eps=[0.1]")}
	}
	r, f, err := openEval(ctx, cfg, EvalOptions{Checkpoint: checkpoint}, opt)
	if err != nil {
		return err
	}
	if err := r.certify(ctx, f.Meta.Model.Spec, f.Weights()); err != nil {
		return r.evalStopped(err)
	}
	rep, err := r.report()
	if err != nil {
		return err
	}
	if err := rep.WriteCertified(opt.Stdout); err != nil {
		return err
	}
	for _, n := range rep.Notes {
		fmt.Fprintln(opt.Stdout, n)
	}
	if r.dir == "" {
		return nil
	}
	for _, d := range certifiedDrawings(rep) {
		if err := r.write(d.file, d.write); err != nil {
			return err
		}
	}
	return r.write("certified.json", rep.WriteCertifiedJSON)
}

// certify proves what the config asks for about the hardened network, and goes on with what the state
// has already.
func (r *run) certify(ctx context.Context, spec nn.Spec, weights []nn.Weight) error {
	if r.cfg.Verify != nil {
		if err := r.verify(spec, weights); err != nil {
			return err
		}
	}
	if r.cfg.Smoothing == nil {
		return nil
	}
	m, err := r.network(spec, weights, r.cfg.Smoothing.Batch)
	if err != nil {
		return err
	}
	return r.smooth(ctx, m)
}

// verify proves predictions by bounds, and holds the attacks' results against them.
func (r *run) verify(spec nn.Spec, weights []nn.Weight) error {
	list := r.cfg.Verify.Epsilon
	if len(r.state.Verified) < len(list) {
		m, err := r.network(spec, weights, 1)
		if err != nil {
			return err
		}
		b, err := r.cfg.Verify.Bound.proof(m, r.chain, min(r.cfg.Eval.Batch, r.test.Len()))
		if err != nil {
			return &UsageError{fmt.Errorf("verify: %w", err)}
		}
		images, labels := make([]float32, r.test.Len()*r.test.Size()), make([]int32, r.test.Len())
		for i := range labels {
			r.test.Image(i, images[i*r.test.Size():][:r.test.Size()])
			labels[i] = r.test.Label(i)
		}
		if err := r.test.Err(); err != nil {
			return err
		}
		for _, eps := range list[len(r.state.Verified):] {
			verified, err := b.Verified(images, labels, float64(eps))
			if err != nil {
				return err
			}
			r.state.Verified = append(r.state.Verified, verified)
		}
		if err := r.save(); err != nil {
			return err
		}
	}
	return r.checkVerified()
}

// checkVerified reports an attack that has broken a verified image: one of the two is wrong, and with
// it every figure of the run.
func (r *run) checkVerified() error {
	for k, verified := range r.state.Verified {
		eps := float64(r.cfg.Verify.Epsilon[k])
		for _, o := range r.state.Outcomes[report.After] {
			if o.Attack != report.Clean && (o.Norm != "Linf" || o.Epsilon > eps) {
				continue
			}
			for i, ok := range verified {
				if label := int(r.test.Label(i)); ok && o.Predictions[i] != label {
					return fmt.Errorf("test image %d is verified to be of class %d within Linf eps %v, but %s, eps %v, made the network say %d: the bounds or the attack are wrong, and no figure of this run holds; please report it with the config and the checkpoint",
						r.test.Index(i), label, eps, o.Attack, o.Epsilon, o.Predictions[i])
				}
			}
		}
	}
	return nil
}

// smoothed are the images that are certified by smoothing.
func (r *run) smoothed() (*data.Dataset, error) {
	return data.Every(r.test, min(r.cfg.Smoothing.Examples, r.test.Len()))
}

// checkNetwork reports a network that the defence cannot train, or that has no bounds where they are
// asked for, before it is trained.
func (r *run) checkNetwork() error {
	m, err := nn.Build(r.spec(), r.dev, 1, r.stream("unused"))
	if err != nil {
		return err
	}
	if r.cfg.Ensemble == nil { // its members may have other defences
		if err := defenses.Suits(r.cfg.Defense.Value, m); err != nil {
			return fmt.Errorf("defence %q: %w", r.cfg.Defense.Name, err)
		}
	}
	if r.cfg.Verify == nil {
		return nil
	}
	if e := r.cfg.Ensemble; e != nil {
		if r.cfg.Verify.Bound != IBP {
			return fmt.Errorf("verify: an ensemble has no bound %q: use %q", r.cfg.Verify.Bound, IBP)
		}
		if e.Combine != nn.MeanLogits {
			return fmt.Errorf("verify: there are no interval bounds of an ensemble that combines by %q: use %q", e.Combine, nn.MeanLogits)
		}
	}
	if _, err := r.cfg.Verify.Bound.proof(m, r.chain, 1); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}

// smooth certifies by randomised smoothing, and attacks what is certified.
func (r *run) smooth(ctx context.Context, m *nn.Model) error {
	c := r.cfg.Smoothing
	some, err := r.smoothed()
	if err != nil {
		return err
	}
	o := smoothing.Options{Sigma: float64(c.Sigma), N0: c.N0, N: c.N, Alpha: float64(c.Alpha)}
	s := smoothing.New(m, o, r.stream("smoothing"))
	s.Stop = ctx.Err
	progress := report.NewProgress(r.opt.Stdout, r.opt.Quiet, "certify by smoothing", some.Len())
	progress.Set(len(r.state.Certificates))
	saved, image := time.Now(), make([]float32, some.Size())
	keep := func() error {
		if time.Since(saved) < saveEvery {
			return nil
		}
		saved = time.Now()
		return r.save()
	}
	for i := len(r.state.Certificates); i < some.Len(); i++ {
		some.Image(i, image)
		found, err := s.Certify(image, some.Index(i))
		if err = errors.Join(err, some.Err()); err != nil {
			return err
		}
		r.state.Certificates = append(r.state.Certificates, found)
		progress.Set(i + 1)
		if err := keep(); err != nil {
			return err
		}
	}
	progress.Done("")
	predict := smoothing.New(m, o, r.stream("smoothed prediction"))
	predict.Stop = ctx.Err
	attacker := smoothing.Attacker{Steps: c.AttackSteps, Samples: c.AttackSamples, Noise: r.stream("attack on smoothing")}
	for ; r.state.Tried < some.Len() && r.state.Attacked < c.Attacked; r.state.Tried++ {
		found := r.state.Certificates[r.state.Tried]
		if found.Class == smoothing.Abstain {
			continue
		}
		some.Image(r.state.Tried, image)
		broken, err := attacker.Break(s, predict, image, some.Index(r.state.Tried), found)
		if err != nil {
			return err
		}
		r.state.Attacked++
		if broken {
			r.state.Broken++
		}
		if err := keep(); err != nil {
			return err
		}
	}
	return errors.Join(r.checkSmoothing(), r.save())
}

// improbable is the probability of so many broken certificates below which they are no accident.
const improbable = 1e-4

// checkSmoothing reports more broken certificates than alpha allows.
func (r *run) checkSmoothing() error {
	broken, attacked, alpha := r.state.Broken, r.state.Attacked, float64(r.cfg.Smoothing.Alpha)
	if p := smoothing.TooMany(broken, attacked, alpha); p < improbable {
		return fmt.Errorf("an attack within the certified radius broke %d of %d images, which has a probability of %.2g where certificates are wrong with alpha = %v: the certificates are wrong, and no figure of this run holds; please report it with the config and the checkpoint",
			broken, attacked, p, alpha)
	}
	return nil
}

// certified is what the report says about proofs, with notes.
func (r *run) certified() (list []report.Certified, notes []string, err error) {
	if len(r.state.Verified) > 0 {
		name, note := r.cfg.Verify.Bound.method()
		c := report.Certified{Method: name, Norm: "Linf", N: r.test.Len()}
		for k, verified := range r.state.Verified {
			at := report.CertifiedAt{Radius: float64(r.cfg.Verify.Epsilon[k])}
			for _, ok := range verified {
				if ok {
					at.Right++
				}
			}
			c.At = append(c.At, at)
		}
		list = append(list, c)
		notes = append(notes, note)
	}
	if len(r.state.Certificates) == 0 {
		return list, notes, nil
	}
	some, err := r.smoothed()
	if err != nil {
		return nil, nil, err
	}
	o := r.cfg.Smoothing
	c := report.Certified{Method: fmt.Sprintf("smoothing, sigma %v", float64(o.Sigma)), Norm: "L2", N: len(r.state.Certificates)}
	for i, found := range r.state.Certificates {
		radius := 0.0
		switch {
		case found.Class == smoothing.Abstain:
			c.Abstained++
		case found.Class == int(some.Label(i)):
			radius = found.Radius
		}
		c.Radii = append(c.Radii, radius)
	}
	for _, radius := range o.Radii {
		at := report.CertifiedAt{Radius: float64(radius)}
		for _, v := range c.Radii {
			if v > 0 && v >= float64(radius) {
				at.Right++
			}
		}
		c.At = append(c.At, at)
	}
	notes = append(notes, fmt.Sprintf("Smoothing is that of Cohen et al. (2019): n0 = %d, n = %d, each certificate wrong with a probability of at most %v. It certifies the smoothed network; the attacks' rows are those of the network itself.", o.N0, o.N, float64(o.Alpha)))
	if r.state.Attacked > 0 {
		notes = append(notes, fmt.Sprintf("PGD on the smoothed network (%d steps, %d draws) within the certified radius broke %d of %d certified images.", o.AttackSteps, o.AttackSamples, r.state.Broken, r.state.Attacked))
	}
	return append(list, c), notes, nil
}

// certifiedDrawings are the curves of what was proven.
func certifiedDrawings(rep *report.Report) (list []drawing) {
	norms := []string{}
	for _, c := range rep.Certified {
		if !slices.Contains(norms, c.Norm) {
			norms = append(norms, c.Norm)
		}
	}
	for _, norm := range norms {
		curves := rep.CertifiedCurves(norm)
		if len(curves.Curves) == 0 {
			continue
		}
		file := "certified.png"
		if len(list) > 0 {
			file = "certified_" + norm + ".png"
		}
		list = append(list, drawing{file, curves.Title + " in " + norm, func(w io.Writer) error { return curves.Draw(w, report.PNG) }})
	}
	return list
}
