package job

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestExported: what a checkpoint deploys, transformations and combinations of members included, goes through
// an ONNX file, which info prints, and is measured there as it is in the checkpoint: clean, behind its
// transformations, and under attacks that know all of it.
func TestExported(t *testing.T) {
	const bits, blur = `{name="bit_depth", bits=3}`, `{name="gaussian", sigma=0.6}`
	for _, c := range []struct {
		set  []string
		info []string
	}{
		{nil, []string{"Gemm 2"}},
		{[]string{"input.mean=[0.4]", "input.std=[0.3]"}, []string{"Div 1", "Sub 1"}},
		{[]string{"input.transform=[" + bits + "]"}, []string{"Round 1", "bit depth (3 bits)", "BPDA"}},
		{[]string{"input.transform=[" + blur + "," + bits + "]", "input.mean=[0.4]", "input.std=[0.3]"}, []string{"MatMul 2", "Gaussian filter (sigma 0.6), bit depth (3 bits)"}},
		{[]string{"ensemble.members=2", "ensemble.combine=logits"}, []string{"ensemble of 2 x mlp (mean logits)"}},
		{[]string{"ensemble.members=2", "ensemble.combine=probability"}, []string{"ReduceLogSumExp 1", "(mean probability)"}},
		{[]string{"ensemble.members=3", "ensemble.combine=vote", "input.transform=[" + bits + "]"}, []string{"ArgMax 3", "(majority vote)", "votes have no gradient", "bit depth (3 bits)"}},
	} {
		t.Run(fmt.Sprint(c.set), func(t *testing.T) {
			short := []string{"train.epochs=1", "eval.protocol=none", "eval.curve_eps=[]"}
			dir := trained(t, append(short, c.set...)...)
			path := filepath.Join(dir, "net.onnx")
			checkpoint := filepath.Join(dir, "best.safetensors")
			if err := Export(ExportOptions{checkpoint, "onnx", path}, quiet("")); err != nil {
				t.Fatal(err)
			}
			var printed bytes.Buffer
			o := quiet("")
			o.Stdout = &printed
			if err := Info(path, o); err != nil {
				t.Fatal(err)
			}
			for _, want := range append(c.info, `"input" float32 [N,1,8,8]`, `"logits" float32 [N,4]`, "8x8x1 images", "Linf, eps 0.1", "% clean (test, n = 60)") {
				if !strings.Contains(printed.String(), want) {
					t.Errorf("info lacks %q:\n%s", want, &printed)
				}
			}
			var measured [2][]row
			for i, file := range []string{checkpoint, path} {
				out := newFolder(t)
				if err := Eval(context.Background(), load(t, short...), EvalOptions{Checkpoint: file}, quiet(out)); err != nil {
					t.Fatal(err)
				}
				for _, r := range rows(t, out, "after") {
					measured[i] = append(measured[i], row{Attack: r.Attack, Accuracy: r.Accuracy, N: r.N})
				}
			}
			if !reflect.DeepEqual(measured[0], measured[1]) {
				t.Errorf("checkpoint and ONNX:\n%+v\n%+v", measured[0], measured[1])
			}
		})
	}
}
