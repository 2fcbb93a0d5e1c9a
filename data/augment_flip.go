package data

import "rampart/nn/registry"

func init() {
	registry.Register[Augmentation]("flip", func() Augmentation { return &Flip{P: 0.5} })
}

// Flip swaps left and right with probability P.
type Flip struct {
	P float64 `toml:"p"`
}

// Validate implements Augmentation.
func (a *Flip) Validate() error { return checkUnit("p", a.P) }

// Fits implements Augmentation.
func (*Flip) Fits(h, w, c int) error { return nil }

// Apply implements Augmentation.
func (a *Flip) Apply(v *View) {
	if !v.Chance(a.P) {
		return
	}
	for y := range v.H {
		row := v.X[y*v.W*v.C : (y+1)*v.W*v.C]
		for l, r := 0, (v.W-1)*v.C; l < r; l, r = l+v.C, r-v.C {
			for c := range v.C {
				row[l+c], row[r+c] = row[r+c], row[l+c]
			}
		}
	}
}
