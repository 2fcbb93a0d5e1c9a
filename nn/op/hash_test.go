package op

import (
	"fmt"
	"reflect"
	"testing"

	"gorgonia.org/gorgonia"
)

// rules has one of each kind.
func rules() []rule {
	return []rule{
		conv{}, convInputGrad{}, convWeightGrad{}, biasGrad{}, dense{}, denseInputGrad{}, denseWeightGrad{},
		maxPool{}, maxPoolGrad{}, avgPool{}, avgPoolGrad{}, relu{}, reluGrad{}, normalize{}, normalizeGrad{},
		add{}, mul{}, scale{}, view{}, dropout{}, dropoutGrad{}, batchNorm{}, batchNormInputGrad{}, batchNormGammaGrad{},
		batchNormTrain{}, batchNormTrainInputGrad{}, batchNormTrainGammaGrad{},
		batchNormSplit{}, batchNormSplitInputGrad{}, batchNormSplitGammaGrad{}, batchNormSplitBetaGrad{},
		plainConv{}, groupConv{}, plainGroupConv{}, groupConvInputGrad{}, groupConvWeightGrad{},
		groupNorm{}, groupNormInputGrad{}, groupNormGammaGrad{}, activation{}, activationGrad{},
		logMeanSoftmax{}, logMeanSoftmaxGrad{}, vote{}, stack{}, stackGrad{}, concat{}, part{}, head{}, headGrad{},
	}
}

func hashOf(r rule) uint32 { return operation{rule: r}.Hashcode() }

// variants gives, by name, copies of r that differ from it in one attribute each.
func variants(t *testing.T, r rule) map[string]rule {
	t.Helper()
	found := map[string]rule{}
	var walk func(path string, index []int, typ reflect.Type)
	walk = func(path string, index []int, typ reflect.Type) {
		if typ.Kind() == reflect.Struct {
			for i := range typ.NumField() {
				walk(path+"."+typ.Field(i).Name, append(index[:len(index):len(index)], i), typ.Field(i).Type)
			}
			return
		}
		if path == ".noise" || path == ".split" {
			return // set between runs
		}
		changed := reflect.New(reflect.TypeOf(r)).Elem()
		changed.Set(reflect.ValueOf(r))
		field := changed.FieldByIndex(index)
		switch typ.Kind() {
		case reflect.Int:
			field.SetInt(3)
		case reflect.Float32:
			field.SetFloat(0.3)
		case reflect.Bool:
			field.SetBool(true)
		case reflect.String:
			field.SetString("0.3")
		case reflect.Slice:
			field.Set(reflect.ValueOf([]int{3}))
		default:
			t.Fatalf("%T%s is a %v: teach this test to change it", r, path, typ)
		}
		found[path] = changed.Interface().(rule)
	}
	walk("", nil, reflect.TypeOf(r))
	return found
}

// TestHash: gorgonia merges nodes whose ops have the same hash, so each attribute must count.
func TestHash(t *testing.T) {
	seen := map[uint32]string{}
	for _, r := range rules() {
		if first := hashOf(r); hashOf(r) != first {
			t.Errorf("the hash of %T is not a function of it", r)
		}
		all := variants(t, r)
		all[""] = r
		for path, v := range all {
			name := fmt.Sprintf("%T%s", r, path)
			h := hashOf(v)
			if other, ok := seen[h]; ok {
				t.Errorf("%s and %s have the same hash", name, other)
			}
			seen[h] = name
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d variants were compared", len(seen))
	}
}

// TestHashIgnoresNoise: a graph's nodes must not change between runs.
func TestHashIgnoresNoise(t *testing.T) {
	a, b := new(uint64), new(uint64)
	*b = 7
	if hashOf(dropout{noise: a}) != hashOf(dropout{noise: b}) {
		t.Error("the hash of dropout depends on the noise")
	}
}

// TestMerging shows what gorgonia makes of the hashes.
func TestMerging(t *testing.T) {
	g := gorgonia.NewGraph()
	x := random("x", 1, 2, 3).node(g)
	half, again, other := gorgonia.Must(Scale(x, 0.5)), gorgonia.Must(Scale(x, 0.5)), gorgonia.Must(Scale(x, 0.25))
	if half != again {
		t.Error("equal nodes are not merged")
	}
	if half == other {
		t.Error("different nodes are merged")
	}
	first, second := gorgonia.Must(Dropout(x, 0.5, 0)), gorgonia.Must(Dropout(x, 0.5, 1))
	if first == second {
		t.Error("dropouts of different layers are merged")
	}
}
