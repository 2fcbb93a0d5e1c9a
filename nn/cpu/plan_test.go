package cpu

import (
	"math/rand/v2"
	"testing"

	"rampart/nn"
	"rampart/nn/backendtest"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// TestPlanKeepsValues replays plans with a mark in place of each value: (buffer, row) is written
// to all memory that the plan gives it, and must still be there whenever an instruction, or the
// program's caller, reads it.
func TestPlanKeepsValues(t *testing.T) {
	for _, network := range backendtest.Networks() {
		m, err := nn.Build(network.Spec, New(1), 5, rng.New(1, "weights"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range m.Programs() {
			t.Run(network.Name+", "+p.Name, func(t *testing.T) { replay(t, p) })
		}
	}
	for seed := range uint64(400) {
		if p := randomProgram(seed); !t.Failed() {
			replay(t, p)
		}
	}
}

// randomProgram mixes instructions of all modes; only their modes and buffers count here.
func randomProgram(seed uint64) *device.Program {
	r := rand.New(rand.NewPCG(seed, 3))
	p := &device.Program{Rows: 5, Logits: -1, Seed: -1, Value: -1, InputGrad: -1}
	add := func(kind device.BufferKind) int {
		p.Buffers = append(p.Buffers, device.Buffer{Kind: kind, Size: 1 + r.IntN(40)})
		return len(p.Buffers) - 1
	}
	p.X = add(device.Row)
	readable := []int{p.X}
	for range 1 + r.IntN(25) {
		in := device.Instr{In: []int{readable[r.IntN(len(readable))]}}
		if r.IntN(2) == 0 {
			in.In = append(in.In, readable[r.IntN(len(readable))])
		}
		switch r.IntN(5) {
		case 0, 1:
			in.Op, in.Out = device.ReLU{}, []int{add(device.Row)}
		case 2:
			in.Op, in.Out = device.Dense{}, []int{add(device.Row), add(device.Row)}
		case 3:
			in.Op, in.Out = device.BatchNormTrain{}, []int{add(device.Row), add(device.Whole)}
		case 4:
			in.Op, in.Out = device.BiasGrad{}, []int{add(device.ParamGrad)}
		}
		p.Instrs = append(p.Instrs, in)
		for _, b := range in.Out {
			switch p.Buffers[b].Kind {
			case device.Row:
				readable = append(readable, b)
				p.Logits, p.InputGrad = readable[r.IntN(len(readable))], b
			case device.Whole:
				// Statistics are read by sums over the batch only.
				p.Instrs = append(p.Instrs, device.Instr{Op: device.BatchNormTrainGammaGrad{},
					In: []int{readable[r.IntN(len(readable))], b}, Out: []int{add(device.ParamGrad)}})
			}
		}
	}
	if p.Logits == p.X { // a program returns what it computes
		p.Logits = -1
	}
	return p
}

// mark is what a memory cell of a replay holds.
type mark struct{ buffer, row int }

// memory is the arenas of one worker.
type memory struct {
	t                          *testing.T
	p                          *device.Program
	plan                       *plan
	tileRows                   int
	image, tile, batch, wholes []mark
}

func replay(t *testing.T, p *device.Program) {
	t.Helper()
	l := newPlan(p)
	const tileRows = 2
	m := &memory{t, p, l, tileRows, make([]mark, l.imageSize), make([]mark, l.tileSize*tileRows),
		make([]mark, l.rowSum*p.Rows), make([]mark, l.wholeSize)}
	for _, segment := range l.segments {
		step := tileRows
		if segment[0].mode == byBatch {
			step = p.Rows
		}
		for row0 := 0; row0 < p.Rows; row0 += step {
			m.runTile(segment, row0, min(step, p.Rows-row0))
		}
	}
}

func (m *memory) runTile(segment []group, row0, n int) {
	m.t.Helper()
	made := map[int]bool{}
	for _, g := range segment {
		rows := 1
		if g.mode != byImage {
			rows = n
		}
		for r := row0; r < row0+n; r += rows {
			for _, in := range m.p.Instrs[g.from:g.to] {
				for _, b := range in.In {
					m.each(b, row0, r, rows, m.expect)
				}
				for _, b := range in.Out {
					made[b] = true
					m.each(b, row0, r, rows, func(cell *mark, want mark) { *cell = want })
				}
			}
		}
	}
	for _, b := range []int{m.p.Logits, m.p.Seed, m.p.Value, m.p.InputGrad} {
		if made[b] {
			if pl := m.plan.places[b]; pl == image {
				m.t.Fatalf("output %d lives in memory of one row", b)
			}
			m.each(b, row0, row0, n, m.expect)
		}
	}
}

func (m *memory) expect(cell *mark, want mark) {
	m.t.Helper()
	if *cell != want {
		m.t.Fatalf("%s: buffer %d, row %d, has been overwritten by buffer %d, row %d", m.p.Name, want.buffer, want.row, cell.buffer, cell.row)
	}
}

// each calls f for every cell of a buffer's rows. Marks are shifted by one, so that memory that was
// never written is no mark.
func (m *memory) each(b, row0, row, rows int, f func(cell *mark, want mark)) {
	m.t.Helper()
	off, size := m.plan.offsets[b], m.p.Buffers[b].Size
	for r := row; r < row+rows; r++ {
		var cells []mark
		want := mark{b + 1, r + 1}
		switch m.plan.places[b] {
		case image:
			cells = m.image[off:][:size]
		case tile:
			cells = m.tile[off*m.tileRows+(r-row0)*size:][:size]
		case batch:
			cells = m.batch[off*m.p.Rows+r*size:][:size]
		case whole:
			cells, want.row = m.wholes[off:][:size], 0
		}
		for i := range cells {
			f(&cells[i], want)
		}
	}
}

// TestPlanReusesMemory: an attack on a deep network needs little more than its widest layers.
func TestPlanReusesMemory(t *testing.T) {
	p := &device.Program{Rows: 1, Buffers: []device.Buffer{{Size: 100}}, Logits: -1, Seed: -1, Value: -1, InputGrad: -1}
	for i := range 50 {
		p.Buffers = append(p.Buffers, device.Buffer{Size: 100})
		p.Instrs = append(p.Instrs, device.Instr{Op: device.ReLU{}, In: []int{i}, Out: []int{i + 1}})
	}
	if l := newPlan(p); l.imageSize > 2*112 || l.tileSize+l.rowSum+l.wholeSize > 0 {
		t.Errorf("a chain of 50 layers of 100 values takes %d values of an image, %d of a tile, %d of a batch", l.imageSize, l.tileSize, l.rowSum)
	}
}
