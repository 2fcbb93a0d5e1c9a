package backendtest

import (
	"slices"
	"testing"

	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// patches: logits computed from what a region of the input has changed have the bits of a whole
// pass, for every network, wherever the region lies and whatever was kept before. A device may offer
// none.
func (s suite) patches(t *testing.T) {
	const rows, rounds = 3, 15
	some := false
	networks := append(Networks(), // in Winograd's form, of which whole patches are recomputed
		custom("Winograd, pooled", 14, 15, 2, conv(16, 3, 1, "same"), relu, conv(64, 3, 1, "same"), relu, maxpool(2, 0, ""), dense(0)),
		custom("Winograd, residual", 18, 17, 1, conv(64, 3, 1, ""), relu, nn.Layer{Type: "residual",
			Body: []nn.Layer{conv(64, 3, 1, "same"), bnorm, relu, conv(64, 3, 1, "same"), bnorm}}, relu, conv(16, 3, 1, ""), dense(0)))
	for _, c := range networks {
		t.Run(c.Name, func(t *testing.T) {
			n := s.build(t, c.Spec, 2, rows)
			p := n.Patches(rows)
			if p == nil {
				t.Skip("none")
			}
			some = true
			in := c.Spec.Input
			size, k := in.Size(), c.Spec.Classes
			whole, part := n.Device.New(rows*k), n.Device.New(rows*k)
			x := n.Device.New(rows * size)
			best := slices.Clone(n.x)
			draws := rng.New(14, "regions")
			for round := range rounds {
				q := draws.Sequence(uint32(round), 0, 0)
				next, regions := slices.Clone(best), make([]device.Region, rows)
				for r := range rows {
					top, left := int(q.Uint32n(uint32(in.H))), int(q.Uint32n(uint32(in.W)))
					g := device.Region{Top: top, Left: left, Bottom: min(top+1+int(q.Uint32n(4)), in.H), Right: min(left+1+int(q.Uint32n(4)), in.W)}
					regions[r] = g
					for y := g.Top; y < g.Bottom; y++ {
						for j := (y*in.W + g.Left) * in.C; j < (y*in.W+g.Right)*in.C; j++ {
							next[r*size+j] = float32(q.Uint32()>>31) - 0.25
						}
					}
				}
				x.Upload(next, 0)
				if round == 0 {
					regions = nil
				}
				if err := p.Run(&device.Call{Rows: rows, X: x, Logits: part}, regions); err != nil {
					t.Fatal(err)
				}
				if err := n.Logits(&device.Call{Rows: rows, X: x, Logits: whole}); err != nil {
					t.Fatal(err)
				}
				if same(t, "logits", read(part), read(whole)); t.Failed() {
					t.Fatalf("round %d, regions %v", round, regions)
				}
				for r := range rows {
					if round == 0 || q.Uint32()>>31 == 1 {
						p.Keep(r)
						copy(best[r*size:][:size], next[r*size:])
					}
				}
				if to, from := int(q.Uint32n(rows)), int(q.Uint32n(rows)); round > 0 {
					p.Move(to, from)
					copy(best[to*size:][:size], best[from*size:][:size])
				}
			}
			if err := p.Run(&device.Call{Rows: 1, X: x, Logits: part}, []device.Region{{Right: in.W + 1, Bottom: 1}}); err == nil {
				t.Error("a region beyond the image")
			}
		})
	}
	if !some {
		t.Skip("the device has none")
	}
}
