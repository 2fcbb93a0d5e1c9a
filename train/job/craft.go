package job

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"

	"rampart/attacks"
	"rampart/checkpoints"
	"rampart/configs"
	"rampart/train/report"
)

// CraftOptions say which adversarial examples are made, and where they go.
type CraftOptions struct {
	Checkpoint string
	// Attack is a TOML inline table, such as {name = "pgd", steps = 40}, or the name alone; ""
	// takes the first of the config's PGDs.
	Attack string
	Save   string // a safetensors file, or ""
	PNG    string // a folder for pictures, or ""
}

// Craft attacks a checkpoint with one attack, prints its row, and keeps the examples: those inside
// the ball, or of an attack that looks for the nearest the nearest, wherever it lies.
func Craft(ctx context.Context, cfg *Config, c CraftOptions, opt Options) error {
	r, err := newRunContext(ctx, cfg, opt)
	if err != nil {
		return err
	}
	if err := c.free(); err != nil {
		return &UsageError{err}
	}
	f, err := r.subject(c.Checkpoint)
	if err != nil {
		return err
	}
	a, err := r.chosenAttack(c.Attack)
	if err != nil {
		return &UsageError{err}
	}
	if err := r.loadSources(placed{"-attack", a}); err != nil {
		return err
	}
	for _, s := range (placed{"-attack", a}).warnings(r.spec().Input) {
		fmt.Fprintln(opt.Stderr, "warning:", s)
	}
	m, err := r.network(f.Meta.Model.Spec, f.Weights(), r.cfg.Eval.Batch)
	if err != nil {
		return fmt.Errorf("%q: %w", c.Checkpoint, err)
	}
	r.chain, r.denoised = f.Meta.Transforms, f.Meta.Model.Spec.Denoised()
	v := r.behind(m)
	a = r.meets(report.After, a)
	r.state = newState()
	r.evaluated = evaluatedAs(c.Checkpoint, f)
	r.claim = a.Threat()
	clean, err := attacks.Clean(v, r.test)
	if err != nil {
		return err
	}
	res, err := r.attack(ctx, report.After, v, a)
	if err != nil {
		return err
	}
	r.state.Outcomes[report.After] = []report.Outcome{r.outcome(report.After, clean), r.outcome(report.After, res)}
	rep, err := r.report()
	if err != nil {
		return err
	}
	if err := rep.WriteAfter(r.opt.Stdout); err != nil {
		return err
	}
	return r.keep(c, a, res)
}

// free reports a place that is taken: examples are never written over.
func (c *CraftOptions) free() error {
	if c.Save == "" && c.PNG == "" {
		return errors.New("nowhere to put the examples: give -save FILE.safetensors, -png DIR or both")
	}
	if c.Save != "" {
		if _, err := os.Stat(c.Save); err == nil {
			return fmt.Errorf("-save %q exists already: choose another name", c.Save)
		}
		if _, err := os.Stat(filepath.Dir(c.Save)); err != nil { // before the attack has run for long
			return fmt.Errorf("-save %q: make its folder first: %w", c.Save, err)
		}
	}
	if c.PNG != "" {
		taken, err := inUse(c.PNG)
		if err != nil {
			return err
		}
		if taken {
			return fmt.Errorf("-png %q is not empty: choose another folder", c.PNG)
		}
	}
	return nil
}

// chosenAttack reads the attack of the command line and checks it against images and classes.
func (r *run) chosenAttack(text string) (attacks.Attack, error) {
	a := r.curveAttack()
	if text != "" {
		if text[0] != '{' {
			text = fmt.Sprintf("{name = %q}", text)
		}
		var into struct {
			Attack configs.Choice[attacks.Attack] `toml:"attack"`
		}
		f := &configs.File{Path: "-attack", Data: []byte("attack = " + text)}
		if err := configs.Decode(f, nil, &into); err != nil {
			return nil, err
		}
		a = under(r.claim, into.Attack.Value, "attack", configs.Named(f, nil))
	}
	err := attacks.Check(a, r.spec().Input)
	if err == nil {
		err = attacks.CheckClasses(a, r.spec().Classes)
	}
	if err != nil {
		return nil, fmt.Errorf("-attack: %w", err)
	}
	return a, nil
}

// about is what a file of examples says of itself.
type about struct {
	Attack     string         `json:"attack"`
	Options    map[string]any `json:"options"`
	Norm       string         `json:"norm"`
	Epsilon    float64        `json:"eps"`
	Checkpoint string         `json:"checkpoint_sha256"`
	Data       string         `json:"data_sha256"`
	Seed       uint64         `json:"seed"`
	Layout     string         `json:"layout"`
}

// keep writes the examples.
func (r *run) keep(c CraftOptions, a attacks.Attack, res *attacks.Result) error {
	images := res.Adv
	if res.Nearest != nil {
		images = r.nearest(res)
	}
	if c.Save != "" {
		if err := r.saveExamples(c.Save, a, res, images); err != nil {
			return err
		}
		fmt.Fprintf(r.opt.Stdout, "adversarial examples: %s\n", c.Save)
	}
	if c.PNG == "" {
		return nil
	}
	if err := r.savePictures(c.PNG, res, images); err != nil {
		return err
	}
	fmt.Fprintf(r.opt.Stdout, "pictures: %s\n", c.PNG)
	return nil
}

// nearest are the nearest adversarial examples, and the clean image where none was found.
func (r *run) nearest(res *attacks.Result) []float32 {
	size := r.test.Size()
	images := append([]float32(nil), res.Nearest...)
	for i, d := range res.Distance {
		if d > float64(r.test.Size()) { // +Inf: no norm is longer
			r.test.Image(i, images[i*size:(i+1)*size])
		}
	}
	return images
}

// saveExamples writes tensors as PyTorch lays them out: [N,C,H,W]. All are float32; labels,
// predictions and indices are whole numbers.
func (r *run) saveExamples(path string, a attacks.Attack, res *attacks.Result, images []float32) error {
	n, size := r.test.Len(), r.test.Size()
	clean := make([]float32, len(images))
	numbers := map[string][]float32{"labels": make([]float32, n), "predictions": make([]float32, n), "index": make([]float32, n)}
	for i := range n {
		r.test.Image(i, clean[i*size:(i+1)*size])
		numbers["labels"][i], numbers["predictions"][i], numbers["index"][i] = float32(r.test.Label(i)), float32(res.Prediction[i]), float32(r.test.Index(i))
	}
	shape := []int{n, r.test.C, r.test.H, r.test.W}
	tensors := []checkpoints.Tensor{
		{Name: "adversarial", Shape: shape, Data: r.channelsFirst(images)},
		{Name: "clean", Shape: shape, Data: r.channelsFirst(clean)},
	}
	for _, name := range sortedKeys(numbers) {
		tensors = append(tensors, checkpoints.Tensor{Name: name, Shape: []int{n}, Data: numbers[name]})
	}
	return checkpoints.WriteTensors(path, tensors, about{Attack: a.Label(), Options: optionsOf(a), Norm: string(a.Threat().Norm), Epsilon: float64(a.Threat().Epsilon),
		Checkpoint: r.evaluated.sum, Data: r.test.Checksum(), Seed: r.cfg.Seed, Layout: "[N,C,H,W], pixels in [0,1]"})
}

func (r *run) channelsFirst(images []float32) []float32 {
	out := make([]float32, len(images))
	c, area := r.test.C, r.test.H*r.test.W
	for i := range r.test.Len() {
		for p := range area {
			for k := range c {
				out[(i*c+k)*area+p] = images[(i*area+p)*c+k]
			}
		}
	}
	return out
}

// savePictures writes a PNG for each example, named by its position, label and prediction. Pixels
// are rounded to 8 bits, which may undo an attack that needs more.
func (r *run) savePictures(dir string, res *attacks.Result, images []float32) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("-png: %w", err)
	}
	size := r.test.Size()
	for i := range r.test.Len() {
		name := fmt.Sprintf("%05d-label-%d-predicted-%d.png", r.test.Index(i), r.test.Label(i), res.Prediction[i])
		pic := r.picture(images[i*size : (i+1)*size])
		if err := checkpoints.WriteAtomic(filepath.Join(dir, name), func(w io.Writer) error { return png.Encode(w, pic) }); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) picture(pixels []float32) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, r.test.W, r.test.H))
	at := func(p, k int) uint8 { return uint8(pixels[p*r.test.C+min(k, r.test.C-1)]*255 + 0.5) }
	for p := range r.test.H * r.test.W {
		img.SetNRGBA(p%r.test.W, p/r.test.W, color.NRGBA{at(p, 0), at(p, 1), at(p, 2), 255})
	}
	return img
}
