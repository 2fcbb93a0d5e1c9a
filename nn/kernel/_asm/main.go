// The generator of nn/kernel's assembly. It is a module of its own, so that avo is no dependency
// of the program. Run it with go generate in nn/kernel.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	floatBytes  = 4
	vectorBytes = 32
	panelBytes  = 2 * vectorBytes
)

func main() {
	for rows := 1; rows <= 6; rows++ {
		tile(rows)
	}
	dots(8, 1)
	dots(4, 3)
	for taps := 2; taps <= 5; taps++ {
		panels := 1
		if taps <= 3 {
			panels = 2 // fewer sums would not cover the latency
			sparse(taps, 1)
		}
		sparse(taps, panels)
	}
	for panels := 1; panels <= 4; panels++ {
		sparseRows(panels)
	}
	nonZeros()
	for vectors := 4; vectors <= 12; vectors++ {
		windowSums(vectors)
	}
	elementwise()
	optimizer()
	pooling()
	norm()
	winogradInputs()
	winogradOutputs()
	winogradFilters()
	peak()
	Generate()
}

// gp loads a parameter into a general register.
func gp(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// broadcast loads a float32 parameter into all lanes.
func broadcast(name string) reg.VecVirtual {
	addr, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	v := YMM()
	VBROADCASTSS(addr.Addr, v)
	return v
}

func zero() reg.VecVirtual {
	v := YMM()
	VXORPS(v, v, v)
	return v
}

// argument is the place of a parameter in memory.
func argument(name string) Mem {
	addr, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return addr.Addr
}

// peak multiplies and adds on 12 independent registers.
func peak() {
	TEXT("peakAVX2", NOSPLIT, "func(n int)")
	Pragma("noescape")
	Doc("peakAVX2 does 12 independent multiply-adds of 8 lanes, n times.")
	n := gp("n")
	var acc [12]reg.VecVirtual
	for i := range acc {
		acc[i] = zero()
	}
	x := zero()
	Label("loop")
	for i := range acc {
		VFMADD231PS(x, x, acc[i])
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
