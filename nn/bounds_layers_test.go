package nn_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rampart/nn"
	"rampart/nn/backendtest"
)

// unbounded are those of the suite's networks, beside ensembles, that have no bounds.
var unbounded = []string{"batch norm first, flat and last", "group norm", "layer norm", "gelu", "silu"}

// boundedNetworks are the suite's networks that have bounds, ensembles among them.
func boundedNetworks() (list []backendtest.Network) {
	for _, n := range backendtest.Networks() {
		if (n.Spec.Combine == "" || n.Spec.Combine == nn.MeanLogits) && !slices.Contains(unbounded, n.Name) && n.Spec.Arch != "onnx" {
			list = append(list, n)
		}
	}
	return list
}

// TestUnbounded: what has no bounds says so, by the layer's type.
func TestUnbounded(t *testing.T) {
	for _, network := range backendtest.Networks() {
		if !slices.Contains(unbounded[1:], network.Name) {
			continue
		}
		_, err := nn.NewBounds(build(t, network.Spec, 2), 2)
		want := fmt.Sprintf("there are none of a layer of type %q", strings.ReplaceAll(network.Name, " norm", "norm"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", network.Name, err, want)
		}
	}
}
