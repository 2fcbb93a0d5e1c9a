package job

import (
	"bytes"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"testing"
)

// TestCheckpointSegments: a run that keeps few activations ends with the same weights.
func TestCheckpointSegments(t *testing.T) {
	plain, segmented := trained(t), trained(t, "train.checkpoint_segments=3")
	for _, name := range []string{"baseline.safetensors", "best.safetensors", "last.safetensors"} {
		if !reflect.DeepEqual(weightsIn(t, filepath.Join(plain, name)), weightsIn(t, filepath.Join(segmented, name))) {
			t.Errorf("%s is another network", name)
		}
	}
}

// TestPlanOfSegments: the plan tells that they save memory.
func TestPlanOfSegments(t *testing.T) {
	activations := func(segments string) (list [2]float64) {
		var out bytes.Buffer
		c := load(t, "model.hidden=[300,300,300,300,300,300,300,300]", "train.checkpoint_segments="+segments)
		opt := quiet("")
		opt.Stdout = &out
		if err := Plan(c, opt); err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`activations: ([\d.]+) MB in an attack step and ([\d.]+) MB in an update of 16 rows`).FindStringSubmatch(out.String())
		if found == nil {
			t.Fatalf("the plan says %s", out.String())
		}
		for i := range list {
			list[i], _ = strconv.ParseFloat(found[i+1], 64)
		}
		return list
	}
	all, few := activations("0"), activations("4")
	if few[0] > all[0] || few[1] >= all[1] { // the attack's are little beside its kernels' scratch
		t.Errorf("%v MB with 4 segments, %v without", few, all)
	}
}
