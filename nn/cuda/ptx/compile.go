package ptx

import (
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
)

// alwaysTrue is the predicate of instructions without a guard.
const alwaysTrue = 0

// module is a loaded file.
type module struct {
	kernels map[string]*kernel
	places  []*place
	globals map[string]*allocation
	target  int // compute capability, 80 for 8.0
}

// compiler turns one kernel's instructions into closures over register numbers.
type compiler struct {
	m    *module
	k    *kernel
	src  *source
	regs map[string]register
	// constants and special registers by value
	int32s, special map[string]int
	int64s          map[uint64]int
	symbols         map[string]uint64 // addresses of shared variables
	cur             instr
}

// register is where a value lives.
type register struct {
	size int // bytes; 0 for a predicate
	slot int
}

type builder func(c *compiler) operation

// since rejects an instruction in a module for older devices.
func (c *compiler) since(target int) {
	if c.m.target < target {
		c.fail("it needs sm_%d, the module is for sm_%d", target, c.m.target)
	}
}

func (c *compiler) fail(format string, args ...any) {
	panic(syntax{fmt.Errorf("PTX line %d: %s: %s", c.cur.line, c.cur.op, fmt.Sprintf(format, args...))})
}

// compileModule compiles all kernels of a file; alloc makes memory for its globals.
func compileModule(f *file, alloc func(size int) *allocation) (m *module, err error) {
	defer func() {
		if s, ok := recover().(syntax); ok {
			m, err = nil, s.err
		}
	}()
	m = &module{kernels: map[string]*kernel{}, globals: map[string]*allocation{}, target: f.target}
	for _, g := range f.globals {
		a := alloc(g.size * g.count)
		for i, v := range g.init {
			for b := range g.size {
				a.bytes[i*g.size+b], a.written[i*g.size+b] = byte(v>>(8*b)), 255
			}
		}
		m.globals[g.name] = a
	}
	for _, src := range f.kernels {
		m.kernels[src.name] = m.compile(src, f.shared)
	}
	return m, nil
}

func (m *module) compile(src *source, outer []variable) *kernel {
	k := &kernel{name: src.name, params: src.params, module: m, special: map[int]string{}, consts32: map[int]uint32{},
		consts64: map[int]uint64{}, p: 1, idle: make(chan *block, runtime.GOMAXPROCS(0))}
	c := &compiler{m: m, k: k, src: src, regs: map[string]register{}, special: map[string]int{}, int32s: map[string]int{},
		int64s: map[uint64]int{}, symbols: map[string]uint64{}}
	for i, v := range src.params {
		k.paramSize = (k.paramSize + v.align - 1) / v.align * v.align
		c.symbols[v.name] = uint64(k.paramSize)
		k.paramSize += v.size * src.params[i].count
	}
	for _, v := range append(outer, src.shared...) {
		k.sharedSize = (k.sharedSize + v.align - 1) / v.align * v.align
		c.symbols[v.name] = uint64(k.sharedSize)
		k.sharedSize += v.size * v.count
	}
	for _, r := range src.regs {
		if r.count == 0 {
			c.declare(r.name, r.size)
		}
		for i := range r.count {
			c.declare(r.name+strconv.Itoa(i), r.size)
		}
	}
	c.code()
	return k
}

func (c *compiler) declare(name string, size int) {
	switch size {
	case 0:
		c.regs[name] = register{0, c.k.p}
		c.k.p++
	case 8:
		c.regs[name] = register{8, c.k.d}
		c.k.d++
	default:
		c.regs[name] = register{4, c.k.r}
		c.k.r++
	}
}

// code splits the kernel into basic blocks and compiles them.
func (c *compiler) code() {
	list := c.src.code
	starts := map[int]bool{0: true}
	for _, at := range c.src.labels {
		starts[at] = true
	}
	for i, in := range list {
		if ends(in.op) {
			starts[i+1] = true
		}
	}
	index := map[int]int{}
	for i := range len(list) + 1 {
		if starts[i] {
			index[i] = len(index)
		}
	}
	var b basic
	for i := range len(list) + 1 {
		if starts[i] && i > 0 {
			if b.end == nil {
				next := index[i]
				b.end = func(_ *warp, g *group) { g.at = next }
			}
			c.k.blocks = append(c.k.blocks, b)
			b = basic{}
		}
		if i == len(list) {
			break
		}
		c.cur = list[i]
		if ends(c.cur.op) {
			b.end = c.end(index, index[i+1])
			continue
		}
		build, ok := instructions[c.cur.op]
		if !ok {
			c.fail("this instruction is not supported")
		}
		b.code = append(b.code, c.guard(build(c)))
	}
	// Running off the end is no PTX, but a kernel ends in ret.
	c.k.blocks = append(c.k.blocks, basic{end: func(w *warp, g *group) { w.live &^= g.mask; g.mask = 0 }})
}

func ends(op string) bool {
	switch op {
	case "bra", "bra.uni", "ret", "bar.sync", "bar.red.or.pred":
		return true
	}
	return false
}

// end compiles an instruction after which threads may part, or wait.
func (c *compiler) end(index map[int]int, next int) func(w *warp, g *group) {
	in, pred, flip := c.cur, alwaysTrue, uint32(0)
	if in.pred != "" {
		pred = c.pred(arg{text: in.pred})
		if in.neg {
			flip = full
		}
	}
	switch in.op {
	case "ret":
		return func(w *warp, g *group) {
			gone := g.mask & (w.p[pred] ^ flip)
			w.live &^= gone
			g.mask &^= gone
			g.at = next
		}
	case "bar.sync":
		if in.pred != "" || len(in.args) != 1 || in.args[0].text != "0" {
			c.fail("only barrier 0 of all threads is supported, without a guard")
		}
		return func(w *warp, g *group) { w.wait(in.line, g, next) }
	case "bar.red.or.pred":
		if in.pred != "" || len(in.args) != 3 || in.args[1].text != "0" {
			c.fail("only barrier 0 of all threads is supported, without a guard")
		}
		to, from, flip := c.pred(in.args[0]), c.pred(in.args[2]), uint32(0)
		if in.args[2].not {
			flip = full
		}
		return func(w *warp, g *group) {
			w.b.reduced = w.b.reduced || (w.p[from]^flip)&g.mask != 0
			w.reduce = to
			w.wait(in.line, g, next)
		}
	}
	at, ok := c.src.labels[in.label]
	if !ok {
		c.fail("there is no label %q", in.label)
	}
	to := index[at]
	return func(w *warp, g *group) { w.split(g, g.mask&(w.p[pred]^flip), to, next) }
}

// guard limits an instruction to the threads whose predicate holds.
func (c *compiler) guard(op operation) operation {
	if c.cur.pred == "" {
		return op
	}
	pred := c.pred(arg{text: c.cur.pred})
	if c.cur.neg {
		return func(w *warp, mask uint32) {
			if mask &^= w.p[pred]; mask != 0 {
				op(w, mask)
			}
		}
	}
	return func(w *warp, mask uint32) {
		if mask &= w.p[pred]; mask != 0 {
			op(w, mask)
		}
	}
}

// arg returns an operand; the builders check with it that there are as many as they use.
func (c *compiler) arg(i, of int) arg {
	if len(c.cur.args) != of {
		c.fail("%d operands where %d are due", len(c.cur.args), of)
	}
	return c.cur.args[i]
}

func (c *compiler) pred(a arg) int {
	r, ok := c.regs[a.text]
	if !ok || r.size != 0 {
		c.fail("%q is no predicate", a.text)
	}
	return r.slot
}

// r32 returns the register of an operand of 32 bits or less; numbers and special registers get one.
func (c *compiler) r32(a arg) int {
	if r, ok := c.regs[a.text]; ok {
		if r.size != 4 {
			c.fail("%q has not 32 bits", a.text)
		}
		return r.slot
	}
	if strings.HasPrefix(a.text, "%") {
		switch a.text {
		case "%tid.x", "%ntid.x", "%ctaid.x", "%ctaid.y", "%ctaid.z", "%nctaid.x", "%nctaid.y", "%nctaid.z", "%laneid":
		default:
			c.fail("unknown register %q", a.text)
		}
		slot, ok := c.special[a.text]
		if !ok {
			slot = c.k.r
			c.k.r++
			c.special[a.text], c.k.special[slot] = slot, a.text
		}
		return slot
	}
	var v uint32
	if at, ok := c.symbols[a.text]; ok {
		v = uint32(at)
	} else if hex, ok := strings.CutPrefix(a.text, "0f"); ok {
		v = uint32(c.bits(a.text, hex))
	} else {
		v = uint32(c.integer(a.text))
	}
	key := strconv.FormatUint(uint64(v), 16)
	slot, ok := c.int32s[key]
	if !ok {
		slot = c.k.r
		c.k.r++
		c.int32s[key], c.k.consts32[slot] = slot, v
	}
	return slot
}

// r64 returns the register of an operand of 64 bits.
func (c *compiler) r64(a arg) int {
	if r, ok := c.regs[a.text]; ok {
		if r.size != 8 {
			c.fail("%q has not 64 bits", a.text)
		}
		return r.slot
	}
	var v uint64
	if g, ok := c.m.globals[a.text]; ok {
		v = g.base
	} else if at, ok := c.symbols[a.text]; ok {
		v = at
	} else if hex, ok := strings.CutPrefix(a.text, "0d"); ok {
		v = c.bits(a.text, hex)
	} else {
		v = c.integer(a.text)
	}
	slot, ok := c.int64s[v]
	if !ok {
		slot = c.k.d
		c.k.d++
		c.int64s[v], c.k.consts64[slot] = slot, v
	}
	return slot
}

func (c *compiler) bits(text, hex string) uint64 {
	v, err := strconv.ParseUint(hex, 16, 64)
	if err != nil {
		c.fail("%q is no number", text)
	}
	return v
}

func (c *compiler) integer(text string) uint64 {
	if v, err := strconv.ParseInt(text, 0, 64); err == nil {
		return uint64(v)
	}
	v, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		c.fail("unknown operand %q", text)
	}
	return v
}

func f32(bits uint32) float32 { return math.Float32frombits(bits) }
func b32(v float32) uint32    { return math.Float32bits(v) }
func f64(bits uint64) float64 { return math.Float64frombits(bits) }
func b64(v float64) uint64    { return math.Float64bits(v) }
