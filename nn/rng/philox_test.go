package rng

import "testing"

// TestKnownAnswers checks Philox4x32-10 against the vectors of Random123 (kat_vectors).
func TestKnownAnswers(t *testing.T) {
	const ones = 0xffffffff
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{ones, ones, ones, ones}, [2]uint32{ones, ones}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		got := Stream{Key: c.key}.Block(c.counter[0], c.counter[1], c.counter[2], c.counter[3])
		if got != c.want {
			t.Errorf("counter %x, key %x: got %x, want %x", c.counter, c.key, got, c.want)
		}
	}
}

// TestKeyFrozen holds the key that New makes, as computed by an independent program.
func TestKeyFrozen(t *testing.T) {
	for _, c := range []struct {
		seed    uint64
		purpose string
		want    [2]uint32
	}{
		{0, "", [2]uint32{0xfa77f14c, 0x5b21f68f}},
		{1, "weights", [2]uint32{0xc205dae7, 0xeab43c5e}},
		{1, "pgd/start", [2]uint32{0x17efa853, 0xf1b871ca}},
		{1<<64 - 1, "weights", [2]uint32{0xc12c2e88, 0xc0cf06b6}},
	} {
		if got := New(c.seed, c.purpose).Key; got != c.want {
			t.Errorf("New(%d, %q): got key %#x, want %#x", c.seed, c.purpose, got, c.want)
		}
	}
}

// FuzzBlockIsInjective: for one key Philox is a bijection of counters.
func FuzzBlockIsInjective(f *testing.F) {
	f.Add(uint64(1), uint32(0), uint32(0), uint32(0), uint32(0), uint32(1), uint32(0), uint32(0), uint32(0))
	f.Fuzz(func(t *testing.T, seed uint64, a, b, c, d, e, g, h, i uint32) {
		s := New(seed, "fuzz")
		same := [4]uint32{a, b, c, d} == [4]uint32{e, g, h, i}
		if (s.Block(a, b, c, d) == s.Block(e, g, h, i)) != same {
			t.Errorf("blocks of counters %v and %v", [4]uint32{a, b, c, d}, [4]uint32{e, g, h, i})
		}
	})
}

var sink [4]uint32

func BenchmarkBlock(b *testing.B) {
	s := New(1, "bench")
	for i := range b.N {
		sink = s.Block(1, 2, 3, uint32(i))
	}
}
