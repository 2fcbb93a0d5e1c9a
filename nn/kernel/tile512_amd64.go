package kernel

// wideRows is the greatest height of a wide tile: 14 rows of two vectors leave four registers of 32 for
// operands. leastRows is that of lines that are worth one: 4 rows of two vectors cover the latency.
const (
	wideRows  = 14
	leastRows = 4
)

// wideTiles are the tiles by height, less one, and number of panels, less one.
var wideTiles = [wideRows][2]func(a, b, y, from *float32, mask *int32, tiles, perLine, aTile, yTile, aLine, yLine, aStep, yStep, fromStep, fromTile, fromLine, outer, inner, aSkip, aK, bK, bPanel int, ahead *float32, aheadStep int, floor float32){
	{tile1x1AVX512, tile1x2AVX512}, {tile2x1AVX512, tile2x2AVX512}, {tile3x1AVX512, tile3x2AVX512},
	{tile4x1AVX512, tile4x2AVX512}, {tile5x1AVX512, tile5x2AVX512}, {tile6x1AVX512, tile6x2AVX512},
	{tile7x1AVX512, tile7x2AVX512}, {tile8x1AVX512, tile8x2AVX512}, {tile9x1AVX512, tile9x2AVX512},
	{tile10x1AVX512, tile10x2AVX512}, {tile11x1AVX512, tile11x2AVX512}, {tile12x1AVX512, tile12x2AVX512},
	{tile13x1AVX512, tile13x2AVX512}, {tile14x1AVX512, tile14x2AVX512},
}

// tileAVX512 cuts each line of rows into tiles of even heights, none across lines, so that the rows of
// a tile are equally far apart. Where lines are short it takes the tiles of AVX2.
func tileAVX512(t tile) {
	if t.rows == 0 {
		return
	}
	if t.left != t.width || t.rows%t.width != 0 || t.width < min(leastRows, t.rows) {
		for cols := t.cols; cols > 0; cols -= panel {
			part := t
			part.cols = min(panel, cols)
			tileAVX2(part)
			if cols > panel {
				t.b, t.y = t.b[t.bPanel:], t.y[panel:]
				if t.bias != nil {
					t.bias = t.bias[panel:]
				}
			}
		}
		return
	}
	t.check()
	n := (t.width + wideRows - 1) / wideRows
	height, taller := t.width/n, t.width%n
	if taller > 0 {
		t.runAVX512(height+1, taller, 0)
	}
	t.runAVX512(height, n-taller, taller*(height+1))
}

// runAVX512 computes, in each line, n tiles of the given height from a row on.
func (t *tile) runAVX512(height, n, row int) {
	mask, floor := (*int32)(nil), unbounded
	if t.cols%panel > 0 {
		mask = &masks[panel-t.cols%panel]
	}
	if t.rectified {
		floor = 0
	}
	y := &t.y[row*t.yStep]
	yTile, yLine := height*t.yStep, (t.width-n*height)*t.yStep+t.yWrap
	from, fromStep, fromTile, fromLine := y, t.yStep, yTile, yLine
	if !t.accumulate {
		from, fromStep, fromTile, fromLine = &zeros[0], 0, 0, 0
		if t.bias != nil {
			from = &t.bias[0]
		}
	}
	ahead, aheadStep := &t.b[0], 0
	if len(t.ahead) > 0 { // all tiles together fetch as much as this block holds
		ahead, aheadStep = &t.ahead[0], t.bK*floatBytes*height/t.rows
	}
	wideTiles[height-1][panels(t.cols)-1](&t.a[row*t.aStep], &t.b[0], y, from, mask,
		n*(t.rows/t.width), n, height*t.aStep*floatBytes, yTile*floatBytes,
		((t.width-n*height)*t.aStep+t.aWrap)*floatBytes, yLine*floatBytes,
		t.aStep*floatBytes, t.yStep*floatBytes, fromStep*floatBytes, fromTile*floatBytes, fromLine*floatBytes,
		t.outer, t.inner, (t.aOuter-t.inner*t.aK)*floatBytes, t.aK*floatBytes, t.bK*floatBytes, t.bPanel*floatBytes,
		ahead, aheadStep, floor)
}
