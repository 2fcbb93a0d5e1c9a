package attacks

import (
	"rampart/configs"
	"rampart/nn/registry"
)

// Sparse gives an attack in L1 its option sparsity: the share of the pixels, those of largest
// gradient, that one step moves (SLIDE; Tramèr and Boneh 2019, section 3.2). 0 stands for 5 %.
type Sparse struct {
	Sparsity configs.Number `toml:"sparsity"`
}

// usualSparsity is what Croce and Hein 2021 compare with; Tramèr and Boneh take 1 % on CIFAR-10.
const usualSparsity = 0.05

func (s Sparse) validate(n Norm) error {
	switch {
	case s.Sparsity != 0 && n != L1:
		return registry.Errorf("sparsity", "belongs to norm = %q", string(L1))
	case !(s.Sparsity >= 0 && s.Sparsity <= 1):
		return registry.Errorf("sparsity", "%v must lie between 0 and 1: it is a share of the pixels", float64(s.Sparsity))
	}
	return nil
}

// share is what a device.Loop takes.
func (s Sparse) share(n Norm) float32 {
	switch {
	case n != L1:
		return 0
	case s.Sparsity == 0:
		return usualSparsity
	}
	return float32(s.Sparsity)
}
