// The generator of nn/kernel's assembly. It is a module of its own, so that avo is no dependency
// of the program. Run it with go generate in nn/kernel.
package main

import (
	"flag"
	"log"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	set := flag.String("set", "AVX2", "the instruction set: AVX2 or AVX512")
	flag.Parse()
	switch *set {
	case "AVX2":
		narrow()
	case "AVX512":
		wide = true
		vectorBytes = 64
	default:
		log.Fatalf("unknown instruction set %q", *set)
	}
	both()
	Generate()
}

// narrow generates what has vectors of 8 values alone.
func narrow() {
	for rows := 1; rows <= 6; rows++ {
		tile(rows)
	}
	dots(8, 1)
	dots(4, 3)
	affine()
	copyRuns()
	transpose()
	pooling()
}

// both generates what exists for either width.
func both() {
	if wide {
		for rows := 1; rows <= 14; rows++ {
			for panels := 1; panels <= 2; panels++ {
				wideTile(rows, panels)
			}
		}
	}
	for taps := 2; taps <= 5; taps++ {
		for _, panels := range sparsePanels(taps) {
			sparse(taps, panels)
		}
	}
	for panels := 1; panels <= groupPanels(); panels++ {
		sparseRows(panels)
	}
	nonZeros()
	for vectors := 4; vectors <= 12; vectors++ {
		windowSums(vectors)
	}
	elementwise()
	optimizer()
	norm()
	winogradInputs()
	winogradOutputs()
	winogradFilters()
	peak()
}
