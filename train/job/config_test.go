package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"rampart/configs"
)

// TestEmbedded: the configs that ship are right, and without warnings.
func TestEmbedded(t *testing.T) {
	names := configs.Embedded()
	if len(names) < 3 {
		t.Errorf("only %q are there", names)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "compare") {
			continue // lists of the others, which TestShippedConfigs loads
		}
		c, err := Load(name, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		if c.Name != name {
			t.Errorf("%s is named %q", name, c.Name)
		}
		if w := c.Warnings(); len(w) > 0 {
			t.Errorf("%s warns: %q", name, w)
		}
	}
}

// TestLoadErrors: what no run could do is said before anything happens.
func TestLoadErrors(t *testing.T) {
	for set, want := range map[string]string{
		"seeed=1":                      `unknown key "seeed": did you mean "seed"?`,
		"train.start=baselin":          `"train.start": "baselin": use "baseline" (the warm-up's weights) or "scratch" (fresh ones)`,
		"train.epochs=0":               `"train.epochs": set epochs or steps above 0`,
		"train.steps=3":                `"train.steps": epochs = 3 is set too: set one of them to 0`,
		"train.steps=-3":               `"train.steps": -3 must not be negative`,
		"train.batch=0":                `"train.batch": 0 must be at least 1`,
		"train.attack_bn=sepparate":    `"train.attack_bn": "sepparate": use "eval" (running statistics), "train" (the attacked batch's) or "separate" (those of adversarial rows, apart from clean rows')`,
		"train.checkpoint_segments=-1": `"train.checkpoint_segments": -1 must not be negative (0 and 1 keep all activations)`,
		"train.log_every=0":            `"train.log_every": log_every must be at least 1 and save_every at least 0`,
		"train.eps_schedule.warmup=2":  `"train.eps_schedule.warmup": 2 is not a share of the steps`,
		"warmup.epochs=-1":             `"warmup.epochs": -1 must not be negative`,
		"data.held_out=0":              `"data.held_out": 0: the best weights are chosen on held-out training images, at least 1 is needed`,
		"data.limit=-1":                `"data.limit": -1 must not be negative`,
		"probe.n=61":                   `"probe.n": 61 must lie between 1 and data.held_out = 60`,
		"probe.attack.eps=3":           `"probe.attack.eps": 3 is more than the whole range of a pixel`,
		"eval.n=-1":                    `"eval.n": -1 must not be negative (0 means all test images)`,
		"eval.batch=0":                 `"eval.batch": 0 must be at least 1`,
		"eval.curve_n=0":               `"eval.curve_n": 0 must be at least 1`,
		"eval.curve_eps=[0.2, 0.1]":    `"eval.curve_eps": 0.1: epsilons must be above 0 and ascend`,
		"distill.temperature=0":        `"distill.temperature": 0 must be above 0`,
		"distill.teacher=none":         `"distill.teacher": checkpoint "none" cannot be read`,
		"ensemble.members=1":           `"ensemble.members": 1: an ensemble has between 2 and 64`,
		"ensemble.combine=median":      `"ensemble.combine": unknown combination "median": use "logits", "probability" or "vote"`,
		"data.download=true":           `"data.download": this data set has no published files to fetch`,
		"data.on_error=skip":           `"data.on_error": "skip" is for data sets of image files`,
		"data.on_error=stop":           `"data.on_error": "stop": use "fail" or "skip"`,
		"data.augment=[{p=1}]":         `missing key "name", which picks the augmentation (known: affine, color_jitter,`,
		"data.augment=[{name='flip'},{name='crop', padding=0}]": `"data.augment.1.padding": 0 must be at least 1`,
		"data.augment=[{name='flop'}]":                          `unknown augmentation "flop": did you mean "flip"?`,
		"init=.":                                                `"init": checkpoint "." cannot be read: is a folder`,
	} {
		_, err := Load("tiny.toml", []string{set})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", set, err, want)
			continue
		}
		isUsage(t, err)
	}
	_, err := Load("tinny.toml", nil)
	if err == nil {
		t.Error("a config that is not there was found")
	}
	isUsage(t, err)
}

// TestDataErrors: what does not fit the data is an error before there is a folder.
func TestDataErrors(t *testing.T) {
	for set, c := range map[string]struct {
		want  string
		usage bool
	}{
		"data.held_out=500":                       {`data.held_out: cannot hold out 500 of the 500 examples of "bars"`, true},
		"data.limit=441":                          {"data.limit = 441: there are 440 training images", true},
		"eval.n=91":                               {`eval.n: cannot take 91 of the 90 examples of "bars"`, true},
		"train.batch=257":                         {"train.batch = 257: there are 256 training images", true},
		"warmup.batch=300":                        {"warmup.batch = 300: there are 256 training images", true},
		"data.source.kinds=1":                     {`data set "bars": cannot be read`, false},
		"data.augment=[{name='crop', padding=9}]": {"data.augment: augmentation 1 for the 8x8x1 images of \"bars\": crop: padding = 9: at most 8 fits", true},
		"data.augment=[{name='mixup'}] & defense.name=mart": {`data.augment: mixup and cutmix mix labels, which training by "mart" cannot`, true},
		"input.mean=[0.1, 0.2]":                             {"normalisation has 2 means and 0 standard deviations", true},
		"eval.curve_eps=[0.5, 1.5]":                         {"eval.curve_eps: PGD-3: \"eps\": 1.5 is more than the whole range of a pixel", true},
		"eval.attack=[{name='pgd', norm='l2', eps=9}]":      {"eval.attack 1: PGD-40: L2 eps 9 reaches every image from every other", true},
		"probe.attack={norm='l2', eps=8}":                   {"probe.attack: PGD-20: L2 eps 8 reaches", true},
		"defense.attack={norm='l2', eps=8}":                 {"defense.attack: PGD-40: L2 eps 8 reaches", true},
	} {
		cfg, err := Load("tiny.toml", strings.Split(set, " & "))
		if err != nil {
			t.Errorf("%s: %v", set, err)
			continue
		}
		dir := newFolder(t)
		err = Train(context.Background(), cfg, quiet(dir))
		usage := (*UsageError)(nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &usage) != c.usage {
			t.Errorf("%s:\n got %v (usage: %v)\nwant %s", set, err, errors.As(err, &usage), c.want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: a folder was made", set)
		}
	}
}

// TestEvaluationAttacks: an attack that cannot be trained against is refused wherever a defence names one.
func TestEvaluationAttacks(t *testing.T) {
	const sequence, nearest = "is a sequence of attacks for evaluation: train against one", "looks for the nearest adversarial example, be it beyond eps"
	why := map[string]string{"autoattack": sequence, "cw": nearest, "deepfool": nearest, "ead": nearest, "fab": nearest, "fab_t": nearest, "hopskipjump": nearest}
	for where, set := range map[string]string{
		"defense.attack.name":                   `defense={name="trades", attack={name="%s"}}`,
		"defense.base.attack.name":              `defense={name="awp", base={name="pgd_at", attack={name="%s"}}}`,
		"teacher.defense.attack.name":           `teacher={defense={name="pgd_at", attack={name="%s"}}} & defense.name=ard`,
		"ensemble.member.1.defense.attack.name": `ensemble={member=[{}, {defense={name="mart", attack={name="%s"}}}]}`,
	} {
		for name, reason := range why {
			text := fmt.Sprintf(set, name)
			_, err := Load("tiny.toml", strings.Split(text, " & "))
			if want := fmt.Sprintf("%q: %q %s", where, name, reason); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s:\n got %v\nwant %s", text, err, want)
				continue
			}
			isUsage(t, err)
		}
	}
}

func TestDevice(t *testing.T) {
	for _, c := range []struct {
		device  string
		threads int
		want    string
	}{
		{"cuda:99", 0, "; use -device cpu"}, // with a driver or without
		{"cuda:x", 0, `-device cuda:x: "x" is no number of a GPU: they count from cuda:0`},
		{"gpu", 0, `-device: unknown device "gpu"`},
		{"cpu", -1, "-threads -1: use 1 to 1024, or 0 for one for each core"},
	} {
		o := quiet(newFolder(t))
		o.Device, o.Threads = c.device, c.threads
		err := Train(context.Background(), load(t), o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
		isUsage(t, err)
	}
}

// TestWarnings: doubtful options are said, even where a run is quiet.
func TestWarnings(t *testing.T) {
	c := load(t, "defense.attack.steps=2", "probe.attack.step_size=0.01")
	want := []string{
		"defense: PGD-2: 2 steps of 0.04 reach 0.08, less than eps 0.1: the attack cannot use its whole budget",
		"probe: PGD-3: 3 steps of 0.01 reach 0.03, less than eps 0.1: the attack cannot use its whole budget",
	}
	if got := c.Warnings(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	var said strings.Builder
	o := quiet(newFolder(t))
	o.Stderr = &said
	if err := Train(stopAt(1), c, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for _, w := range want {
		if strings.Count(said.String(), "warning: "+w+"\n") != 1 {
			t.Errorf("it said %q, and not %q", said.String(), w)
		}
	}
}

// TestPlan: a plan names every stage, and writes nothing.
func TestPlan(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("tiny.toml", []byte(tiny), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set  []string
		want []string
		not  string
	}{
		{nil, []string{"warm-up │    16", "measure before", "training │    48", "measure after", "total", "memory: about ", "50 % of each minibatch adversarial", "mlp", "Linf, eps 0.1"}, "teacher"},
		{[]string{"distill.temperature=3"}, []string{"teacher"}, "member"},
		{[]string{"ensemble.members=3"}, []string{"member 2 warm-up", "member 3 warm-up"}, "member 1 warm-up"},
		{[]string{"ensemble.members=3", "train.start=scratch"}, []string{"training"}, "member 2 warm-up"},
	} {
		var said strings.Builder
		o := quiet("")
		o.Stdout = &said
		if err := Plan(load(t, c.set...), o); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(said.String()), " ")
		for _, want := range c.want {
			if !strings.Contains(text, strings.Join(strings.Fields(want), " ")) {
				t.Errorf("%q: the plan does not say %q:\n%s", c.set, want, said.String())
			}
		}
		if strings.Contains(said.String(), c.not) {
			t.Errorf("%q: the plan says %q:\n%s", c.set, c.not, said.String())
		}
	}
	if files := sortedKeys(snapshot(t, ".")); !reflect.DeepEqual(files, []string{"tiny.toml"}) {
		t.Errorf("files: %q", files)
	}
}
