package main

import (
	"math/bits"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	floatBytes = 4
	panelBytes = 16 * floatBytes
)

// The generator writes for one kind of vectors at a time: of 8 values, or of 16 if wide.
var (
	wide        = false
	vectorBytes = 32
)

// panelVectors is the number of vectors of a panel.
func panelVectors() int { return panelBytes / vectorBytes }

// vectorShift is the logarithm of vectorBytes.
func vectorShift() Constant { return Imm(uint64(bits.TrailingZeros(uint(vectorBytes)))) }

// of is the name of a function for the vectors at hand.
func of(name string) string {
	if wide {
		return name + "AVX512"
	}
	return name + "AVX2"
}

// function begins a function of that name, whose pointers do not escape.
func function(name, signature string, doc ...string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc...)
}

// vector is a register for a vector.
func vector() reg.VecVirtual {
	if wide {
		return ZMM()
	}
	return YMM()
}

func zero() reg.VecVirtual {
	v := vector()
	VXORPS(v, v, v)
	return v
}

// gp loads a parameter into a general register.
func gp(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// broadcast loads a float32 parameter into all lanes.
func broadcast(name string) reg.VecVirtual {
	v := vector()
	VBROADCASTSS(argument(name), v)
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

// Predicates of VCMPPS.
const (
	unordered   = 0x03
	lessThan    = 0x11 // false where a NaN is involved
	greaterThan = 0x1e
	notEqual    = 0x04 // or unordered
)

// selectWhere returns value where b compares to a as the predicate says, and else zeros.
func selectWhere(predicate uint64, a Op, b reg.VecVirtual, value Op) reg.VecVirtual {
	v := vector()
	if wide {
		k := K()
		VCMPPS(Imm(predicate), a, b, k)
		VMOVUPS_Z(value, k, v)
		return v
	}
	VCMPPS(Imm(predicate), a, b, v)
	VANDPS(value, v, v)
	return v
}

// compareBits returns a bit for each lane where b compares to a as the predicate says.
func compareBits(predicate uint64, a Op, b reg.VecVirtual) reg.GPVirtual {
	set := GP32()
	if wide {
		k := K()
		VCMPPS(Imm(predicate), a, b, k)
		KMOVW(k, set)
		return set
	}
	m := vector()
	VCMPPS(Imm(predicate), a, b, m)
	VMOVMSKPS(m, set)
	return set
}

// maskOf turns the words of a mask in memory, set or clear, into a mask register.
func maskOf(words Mem) reg.OpmaskVirtual {
	v, k := vector(), K()
	VMOVUPS(words, v)
	VPMOVD2M(v, k)
	return k
}

// peak multiplies and adds on independent registers: 12 cover the latency of two multiply-adds a cycle.
func peak() {
	name := of("peak")
	function(name, "func(n int)", name+" does 12 independent multiply-adds of vectors, n times.")
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
