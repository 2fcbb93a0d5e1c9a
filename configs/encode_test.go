package configs

import (
	"bytes"
	"math"
	"reflect"
	"testing"
)

func encode(t *testing.T, c *config) []byte {
	t.Helper()
	text, err := Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// roundTrip checks that an encoded config decodes to an equal one, and encodes to the same text.
func roundTrip(t *testing.T, c *config) {
	t.Helper()
	text := encode(t, c)
	got := defaults()
	if err := Decode(&File{Path: "again.toml", Data: text}, nil, got); err != nil {
		t.Fatalf("%v, in\n%s", err, text)
	}
	if !reflect.DeepEqual(got, c) {
		t.Errorf("got  %+v\nwant %+v\nfrom\n%s", got, c, text)
	}
	if again := encode(t, got); !bytes.Equal(again, text) {
		t.Errorf("encoded again:\n%s\nat first:\n%s", again, text)
	}
}

func TestEncodeRoundTrip(t *testing.T) {
	teacher := "a\"\\\n\t\x7fé.safetensors"
	full := defaults()
	full.Seed = math.MaxInt64
	full.Quiet, full.Norm, full.Out = true, 1, "x # y"
	full.Train.LR, full.Train.Note = 0.1, "n"
	full.Train.Milestones = []float64{}
	full.Attack = Choice[attack]{"pgd", &pgd{Eps: Number(8.0 / 255), Steps: -3, Loss: Choice[loss]{"margin", margin{0.1}}}}
	full.Attack.Value.(*pgd).Steps = 1
	full.Defense = choose[defense]("natural")
	full.Eval.Attacks = []Choice[attack]{choose[attack]("pgd"), choose[attack]("fgsm")}
	full.Distill = &distillTable{Temperature: 1e-7, Teacher: &teacher}
	full.Layers = []layer{
		{},
		{Type: "conv", Per: map[string]Choice[loss]{"a b": choose[loss]("margin"), "": choose[loss]("ce")}},
		{Deep: map[string]map[string]bool{"x": {"y.z": true}, "w": {}}},
	}
	full.Limits["é"] = math.MinInt64
	none := defaults()
	none.Eval.Attacks = []Choice[attack]{}
	for _, c := range []*config{defaults(), full, none} {
		roundTrip(t, c)
	}
}

func TestEncodeText(t *testing.T) {
	c := struct {
		Eps    Number         `toml:"eps"`
		Attack Choice[attack] `toml:"attack"`
		Evals  []Choice[loss] `toml:"loss"`
		N      uint8          `toml:"n"`
	}{0.3, choose[attack]("pgd"), []Choice[loss]{choose[loss]("ce")}, 3}
	const want = `eps = 0.3
n = 3

[attack]
name = "pgd"
eps = 0.3
steps = 40

[attack.loss]
name = "ce"
smoothing = 0.0

[[loss]]
name = "ce"
smoothing = 0.0
`
	got, err := Encode(c)
	if err != nil || string(got) != want {
		t.Errorf("error %v, got\n%s\nwant\n%s", err, got, want)
	}
}

func TestEncodeErrors(t *testing.T) {
	big := defaults()
	big.Seed = math.MaxUint64
	nan := defaults()
	nan.Train.Milestones = []float64{math.NaN()}
	unset := defaults()
	unset.Eval.Attacks = []Choice[attack]{{}}
	for want, c := range map[string]*config{
		`cannot write the config: "seed": 18446744073709551615 is larger than TOML's largest integer, 9223372036854775807`: big,
		`cannot write the config: "train.milestones": NaN is no finite number`:                                             nan,
		`cannot write the config: "eval.attack": element 0 is not set`:                                                     unset,
	} {
		if _, err := Encode(c); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
