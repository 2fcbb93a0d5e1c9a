package cpu

// arena is the memory that programs compute in: nothing in it outlives a run, so all programs of a device use
// the same. It grows to what the largest that has run needs.
type arena struct {
	batch, wholes, shared []float32
	image, tile, scratch  [][]float32 // by worker
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

// grow makes what is too small. What was there is let go first.
func (a *arena) grow(s sizes, workers int) {
	grow := func(v *[]float32, n int) {
		if len(*v) < n {
			*v = nil
			*v = make([]float32, n)
		}
	}
	grow(&a.batch, s.batch)
	grow(&a.wholes, s.wholes)
	grow(&a.shared, s.shared)
	if a.image == nil {
		a.image, a.tile, a.scratch = make([][]float32, workers), make([][]float32, workers), make([][]float32, workers)
	}
	for w := range workers {
		grow(&a.image[w], s.image)
		grow(&a.tile[w], s.tile)
		grow(&a.scratch[w], s.scratch)
	}
}
