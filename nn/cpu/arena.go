package cpu

import "slices"

// arena is what programs compute in: nothing in it outlives a run, so all programs of a device use the
// same. It grows to the largest that is loaded, and no further.
type arena struct {
	size   sizes
	batch  []float32
	wholes []float32
	shared []float32
	// by worker
	image, tile, scratch [][]float32
}

// sizes are in values; image, tile and scratch are those of one worker.
type sizes struct{ batch, wholes, shared, image, tile, scratch int }

// sizes is what the program takes for as many rows as it was made for.
func (e *executable) sizes() sizes {
	l := e.plan
	return sizes{batch: l.rowSum * e.p.Rows, wholes: l.wholeSize, shared: l.sharedSize,
		image: l.imageSize, tile: l.tileSize * e.mostTile(), scratch: e.scratch}
}

// mostTile is the largest of tileRows for any number of rows.
func (e *executable) mostTile() int {
	workers := e.dev.pool.workers
	return min(maxTile, (e.p.Rows+workers-1)/workers)
}

// Memory implements device.Sized.
func (e *executable) Memory() int {
	s := e.sizes()
	return 4 * (s.batch + s.wholes + s.shared + e.dev.pool.workers*(s.image+s.tile+s.scratch))
}

// reserve sees to it that the next run makes the memory large enough for a program, too.
func (a *arena) reserve(s sizes) {
	a.size = sizes{max(a.size.batch, s.batch), max(a.size.wholes, s.wholes), max(a.size.shared, s.shared),
		max(a.size.image, s.image), max(a.size.tile, s.tile), max(a.size.scratch, s.scratch)}
}

// make makes what is too small. What was there is let go first.
func (a *arena) make(workers int) {
	grow := func(v *[]float32, n int) {
		if len(*v) < n {
			*v = nil
			*v = make([]float32, n)
		}
	}
	for _, list := range []*[][]float32{&a.image, &a.tile, &a.scratch} {
		if len(*list) < workers {
			*list = slices.Grow(*list, workers)[:workers]
		}
	}
	grow(&a.batch, a.size.batch)
	grow(&a.wholes, a.size.wholes)
	grow(&a.shared, a.size.shared)
	for w := range workers {
		grow(&a.image[w], a.size.image)
		grow(&a.tile[w], a.size.tile)
		grow(&a.scratch[w], a.size.scratch)
	}
}
