package configs

import (
	"reflect"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	const text = `
seed = 7
norm = "l2"
limits.b = 2 # laid over the default
[train]
lr = 1
milestones = [1, 2.5, "1/4"]
[attack]
name = "pgd"
eps = "8/255"
loss = { name = "margin" }
[defense.attack]
steps = 10
[loss]
confidence = 2
[[eval.attack]]
name = "fgsm"
[[eval.attack]]
name = "pgd"
steps = 100
[distill]
[[layer]]
type = "dense"
per.x.name = "ce"
`
	got := defaults()
	if err := Decode(file(text), []string{"train.epochs=3", "eval.attack.1.steps=5", "eval.attack.1.loss.name=margin", "out = a b"}, got); err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Seed, want.Norm, want.Out = 7, 1, "a b"
	want.Limits["b"] = 2
	want.Train.LR, want.Train.Milestones, want.Train.Epochs = 1, []float64{1, 2.5, 0.25}, 3
	want.Attack = Choice[attack]{"pgd", &pgd{Eps: Number(8.0 / 255), Steps: 40, Loss: choose[loss]("margin")}}
	want.Defense.Value.(*adversarial).Attack.Value.(*pgd).Steps = 10
	want.Loss.Value = margin{2}
	want.Eval.Attacks = []Choice[attack]{choose[attack]("fgsm"), {"pgd", &pgd{Eps: 0.3, Steps: 5, Loss: choose[loss]("margin")}}}
	want.Distill = &distillTable{Temperature: 20}
	want.Layers = []layer{{Type: "dense", Size: 7, Per: map[string]Choice[loss]{"x": choose[loss]("ce")}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", encode(t, got), encode(t, want))
	}
}

// A name from -set keeps what both things understand, and forgets what only the old one does.
func TestChangeName(t *testing.T) {
	const text = "[attack]\nname = \"pgd\"\neps = 0.1\nsteps = 9\nloss.name = \"margin\"\n"
	for _, c := range []struct {
		set  []string
		want Choice[attack]
	}{
		{[]string{"attack.name=fgsm"}, Choice[attack]{"fgsm", &fgsm{Eps: 0.1}}},
		{[]string{"attack.name=fgsm", "attack.eps=8/255"}, Choice[attack]{"fgsm", &fgsm{Eps: Number(8.0 / 255)}}},
		{[]string{"attack.name=fgsm", "attack.name=pgd"}, Choice[attack]{"pgd", &pgd{0.1, 9, choose[loss]("margin")}}},
		{[]string{"attack.loss.name=ce"}, Choice[attack]{"pgd", &pgd{0.1, 9, choose[loss]("ce")}}},
		{[]string{`attack={name="fgsm"}`}, choose[attack]("fgsm")},
	} {
		got := defaults()
		if err := Decode(file(text), c.set, got); err != nil {
			t.Errorf("%q: %v", c.set, err)
		} else if !reflect.DeepEqual(got.Attack, c.want) {
			t.Errorf("%q: got %+v, want %+v", c.set, got.Attack.Value, c.want.Value)
		}
	}
	got := defaults() // the default's name counts as the file's
	if err := Decode(file("defense.mix = 1"), []string{"defense.name=natural"}, got); err != nil || got.Defense.Name != "natural" {
		t.Errorf("got %+v, error %v", got.Defense, err)
	}
}

func TestBadInput(t *testing.T) {
	for _, c := range []struct {
		text string
		set  string
		want string
	}{
		{text: "\n\n[defense]\nname = \"adversarial\"\nmx = 1", want: `madry.toml:5: unknown key "defense.mx": did you mean "mix"?`},
		{text: "trian.epochs = 1", want: `madry.toml:1: unknown key "trian": did you mean "train"?`},
		{text: "[attack]\nname = \"fgsm\"\nmomentum = 1", want: `madry.toml:3: unknown key "attack.momentum": the keys here are name, eps`},
		{text: "[defense]\nname = \"natural\"\nx = 1", want: `madry.toml:3: unknown key "defense.x": the keys here are name`},
		{text: "[attack]\nnmae = \"fgsm\"", want: `madry.toml:1: "attack": missing key "name", which picks the attack (known: fgsm, pgd)`},
		{text: "NoTag = 1", want: `madry.toml:1: unknown key "NoTag": the keys here are seed, quiet, out, train, attack, defense, loss, eval, distill, layer, limits, norm`},
		{text: "[attack]\n\nname = \"pdg\"", want: `madry.toml:3: "attack.name": unknown attack "pdg": did you mean "pgd"? known: fgsm, pgd`},
		{text: "[attack]\nname = 1", want: `madry.toml:2: "attack.name": expected a string, found the integer 1`},
		{text: "attack = \"pgd\"", want: `madry.toml:1: "attack": expected a table with a key "name", found the string "pgd"`},
		{text: "[train]\nepochs = \"three\"", want: `madry.toml:2: "train.epochs": expected an integer, found the string "three"`},
		{text: "[train]\nepochs = 3.0", want: `madry.toml:2: "train.epochs": expected an integer, found the float 3.0`},
		{text: "seed = -1", want: `madry.toml:1: "seed": expected an integer from 0, found the integer -1`},
		{text: "quiet = 1", want: `madry.toml:1: "quiet": expected a boolean, found the integer 1`},
		{text: "out = true", want: `madry.toml:1: "out": expected a string, found the boolean true`},
		{text: "out = 2024-01-01", want: `madry.toml:1: "out": expected a string, found a date`},
		{text: "train = []", want: `madry.toml:1: "train": expected a table, found an array`},
		{text: "eval.attack = 1", want: `madry.toml:1: "eval.attack": expected an array, found the integer 1`},
		{text: "limits = 1", want: `madry.toml:1: "limits": expected a table, found the integer 1`},
		{text: "train.lr = inf", want: `madry.toml:1: "train.lr": expected a finite number, found the float +Inf`},
		{text: "train.lr = 1e300", want: `madry.toml:1: "train.lr": expected a finite number, found the float 1e+300`},
		{text: "train.lr = [1]", want: `madry.toml:1: "train.lr": expected a number, found an array`},
		{text: "train.lr = \"1/0\"", want: `madry.toml:1: "train.lr": "1/0" divides by zero`},
		{text: "train.lr = \"a/b\"", want: `madry.toml:1: "train.lr": expected a number or a fraction such as "8/255", found the string "a/b"`},
		{text: "train.input = [1, 2]", want: `madry.toml:1: "train.input": expected 3 values, found 2`},
		{text: "train.input = [1,\n2,\n300]", want: `madry.toml:3: "train.input.2": 300 does not fit in 8 bits`},
		{text: "norm = \"l3\"", want: `madry.toml:1: "norm": unknown norm "l3" (known: linf, l2)`},
		{text: "norm = 2", want: `madry.toml:1: "norm": expected a string, found the integer 2`},
		{text: "a = 1\na = 2", want: `madry.toml:2: not valid TOML: Key 'a' has already been defined.`},
		{text: "[train]\nepochs = = 3", want: `madry.toml:2: not valid TOML: expected value but found '=' instead`},
		{text: "[eval]\nn = 0", want: `madry.toml:2: "eval.n": got 0, want at least 1`},
		{text: "[attack]\nname = \"pgd\"\neps = -1", want: `madry.toml:3: "attack.eps": got -1, want at least 0`},
		{text: "\n[attack]\nname = \"pgd\"\nsteps = 13", want: `madry.toml:2: [attack]: unlucky`},
		{text: "[defense.attack]\nsteps = 0", want: `madry.toml:2: "defense.attack.steps": training needs at least one`},
		{text: "[[eval.attack]]\nname = \"fgsm\"\n[[eval.attack]]\nname = \"pgd\"\neps = -1", want: `madry.toml:5: "eval.attack.1.eps": got -1, want at least 0`},
		{text: "[[layer]]\n[layer.per.x]\nname = \"margin\"\nconfidence = -1", want: `madry.toml:4: "layer.0.per.x.confidence": got -1, want at least 0`},
		{text: "[[eval.attack]]\nname = \"fgsm\"\n[[eval.attack]]\nsteps = 1", want: `madry.toml:3: "eval.attack.1": missing key "name", which picks the attack (known: fgsm, pgd)`},
		{text: "out = \"\"\"\n[train]\nepochs = 'x'\n\"\"\"\n[train]\nepochz = 1", want: `madry.toml:6: unknown key "train.epochz": did you mean "epochs"?`},
		{set: "train.epochz=3", want: `-set train.epochz=3: unknown key "train.epochz": did you mean "epochs"?`},
		{set: "trian.epochs=3", want: `-set trian.epochs=3: unknown key "trian": did you mean "train"?`},
		{set: "train.epochs=many", want: `-set train.epochs=many: "train.epochs": expected an integer, found the string "many"`},
		{set: "eval.n=0", want: `-set eval.n=0: "eval.n": got 0, want at least 1`},
		{set: "attack.name=x", want: `-set attack.name=x: "attack.name": unknown attack "x": known: fgsm, pgd`},
		{set: "attack.name.x=1", text: "[attack]\nname = \"fgsm\"", want: `-set attack.name.x=1: there is no key "x" in the string "fgsm"`},
		{set: "attack.steps=3", text: "[attack]\nname = \"fgsm\"", want: `-set attack.steps=3: unknown key "attack.steps": the keys here are name, eps`},
		{set: "layer.1.size=3", text: "[[layer]]", want: `-set layer.1.size=3: there is no element "1" in an array of 1 (the first is 0)`},
		{set: "epochs", want: `-set epochs: expected key=value, such as train.epochs=3`},
		{set: "=3", want: `-set =3: expected key=value, such as train.epochs=3`},
		{set: "train..epochs=3", want: `-set train..epochs=3: the key "train..epochs" has an empty part`},
	} {
		var set []string
		if c.set != "" {
			set = []string{c.set}
		}
		f := file("")
		f.Data = []byte(c.text)
		err := Decode(f, set, defaults())
		if err == nil || err.Error() != c.want {
			t.Errorf("%q %q\n got %v\nwant %s", c.text, c.set, err, c.want)
		}
	}
}

// An option that -set names is never dropped in silence, even if it was the old thing's.
func TestChangeNameKeepsOverrides(t *testing.T) {
	for _, set := range [][]string{{"attack.steps=3", "attack.name=fgsm"}, {"attack.loss.name=ce", "attack.name=fgsm"}} {
		err := Decode(file("[attack]\nname = \"pgd\"\nsteps = 2\nloss.name=\"margin\""), set, defaults())
		if err == nil || !strings.Contains(err.Error(), "unknown key") {
			t.Errorf("%q: got %v, want an unknown key", set, err)
		}
	}
}

func TestLocate(t *testing.T) {
	const text = `# a = 1
a.b = """x
[y]
\""" ""z"""
'c d' = '''
'''''
"e\u0066" = [ # ]
  1,
  [2,
   { x = 1,
     y = "}" }],
]

[g.h]   # comment
when = 1979-05-27 07:32:00
[[l]]
[[l]]
  [l.m]
  n = 1
[[l.o]]
[g]
k = 1
`
	root := locate(text)
	get := func(path ...any) int {
		s := root
		for _, p := range path {
			if key, ok := p.(string); ok {
				s = s.keys[key]
			} else {
				s = s.items[p.(int)]
			}
			if s == nil {
				return -1
			}
		}
		return s.line
	}
	for _, c := range []struct {
		want int
		path []any
	}{
		{2, []any{"a"}}, {2, []any{"a", "b"}}, {5, []any{"c d"}}, {7, []any{"ef"}}, {8, []any{"ef", 0}}, {9, []any{"ef", 1, 0}},
		{10, []any{"ef", 1, 1, "x"}}, {11, []any{"ef", 1, 1, "y"}}, {21, []any{"g"}}, {14, []any{"g", "h"}}, {15, []any{"g", "h", "when"}},
		{16, []any{"l", 0}}, {17, []any{"l", 1}}, {18, []any{"l", 1, "m"}}, {19, []any{"l", 1, "m", "n"}}, {20, []any{"l", 1, "o", 0}}, {22, []any{"g", "k"}},
		{-1, []any{"y"}},
	} {
		if got := get(c.path...); got != c.want {
			t.Errorf("%v is on line %d, want %d", c.path, got, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("[attack]\nname = \"pgd\"\neps = \"8/255\"\n[[eval.attack]]\nname='fgsm'", "train.epochs=3")
	f.Add("a = {b = [1, '''x\n''', {c.\"d\" = 2}]}\n[x.y]\n[[z]]", "attack={name='pgd'}")
	f.Add("[\"\\", "layer.0.per=x")
	f.Fuzz(func(t *testing.T, text, set string) {
		locate(text)
		c := defaults()
		if err := Decode(file(text), []string{set}, c); err != nil {
			return
		}
		roundTrip(t, c)
	})
}
