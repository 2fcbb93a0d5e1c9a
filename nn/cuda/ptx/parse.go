// Package ptx executes PTX on the processor, so that tests run CUDA kernels where no GPU is. It is
// an implementation of driver.Driver: a Machine. It is for tests only, and stricter than a GPU:
//
//   - an access beyond an allocation, misaligned, or to memory that nothing has written is an error;
//   - so is an access to shared memory that races with another warp's since the last barrier, and a
//     barrier or a shuffle that not all threads reach together;
//   - warps run in shuffled order, and streams do nothing until someone waits for them;
//   - an instruction that is not known exactly is rejected with its line when a module is loaded.
//
// Results are those of the PTX specification, but for the approximate instructions (ex2.approx and
// their like), which are computed in double precision and rounded, and for single-precision fused
// multiply-adds, which may round twice, once in 2^29 times.
package ptx

import (
	"fmt"
	"strconv"
	"strings"
)

// instr is one instruction as it is written.
type instr struct {
	line  int
	op    string // in full: add.rn.f32
	pred  string // its guard, "" for none
	neg   bool   // the guard is negated
	args  []arg
	label string // of a branch
}

// arg is one operand.
type arg struct {
	text   string // register, number or symbol
	offset int64  // added to it, in an address
	list   []arg  // of a vector
	also   string // d|p: the second destination
	not    bool   // !p
}

// source is a kernel as it is written.
type source struct {
	name   string
	params []variable
	regs   []variable // name is the prefix, count the number
	shared []variable
	code   []instr
	labels map[string]int // index in code
}

// variable is a declaration.
type variable struct {
	name  string
	size  int // of one element, in bytes; 0 for a predicate
	align int
	count int
	init  []uint64
}

// file is a parsed module.
type file struct {
	kernels []*source
	globals []variable
	shared  []variable
	target  int // 80 for sm_80
}

// parser reads tokens; errors are panics of type syntax.
type parser struct {
	tokens []token
	at     int
}

type token struct {
	text string
	line int
}

type syntax struct{ err error }

func (p *parser) fail(line int, format string, args ...any) {
	panic(syntax{fmt.Errorf("PTX line %d: %s", line, fmt.Sprintf(format, args...))})
}

// parse reads a module.
func parse(text string) (f *file, err error) {
	defer func() {
		if s, ok := recover().(syntax); ok {
			f, err = nil, s.err
		}
	}()
	p := &parser{tokens: scan(text)}
	f = &file{}
	for p.more() {
		switch t := p.next(); t.text {
		case ".version", ".address_size":
			p.next()
		case ".target":
			name := p.next()
			if n, err := strconv.Atoi(strings.TrimPrefix(name.text, "sm_")); err == nil {
				f.target = n
			} else {
				p.fail(name.line, "%q is no target", name.text)
			}
		case ".visible", ".weak":
		case ".global", ".const":
			f.globals = append(f.globals, p.variable())
		case ".shared":
			f.shared = append(f.shared, p.variable())
		case ".entry":
			f.kernels = append(f.kernels, p.kernel())
		default:
			p.fail(t.line, "%q is not supported", t.text)
		}
	}
	return f, nil
}

func scan(text string) []token {
	var tokens []token
	for n, line := range strings.Split(text, "\n") {
		if i := strings.Index(line, "//"); i >= 0 {
			line = line[:i]
		}
		for i := 0; i < len(line); {
			c := line[i]
			j := i + 1
			switch {
			case c == ' ' || c == '\t' || c == '\r':
				i++
				continue
			case c == '"':
				for j < len(line) && line[j] != '"' {
					j++
				}
				j++
			case isName(c) || c == '-':
				for j < len(line) && isName(line[j]) {
					j++
				}
			}
			tokens = append(tokens, token{line[i:min(j, len(line))], n + 1})
			i = j
		}
	}
	return tokens
}

func isName(c byte) bool {
	return c == '_' || c == '$' || c == '%' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func (p *parser) more() bool { return p.at < len(p.tokens) }

func (p *parser) peek() string {
	if !p.more() {
		return ""
	}
	return p.tokens[p.at].text
}

func (p *parser) next() token {
	if !p.more() {
		p.fail(p.tokens[len(p.tokens)-1].line, "the text ends too early")
	}
	p.at++
	return p.tokens[p.at-1]
}

func (p *parser) expect(text string) {
	if t := p.next(); t.text != text {
		p.fail(t.line, "%q where %q is due", t.text, text)
	}
}

func (p *parser) accept(text string) bool {
	if p.peek() != text {
		return false
	}
	p.at++
	return true
}

func (p *parser) number() int64 {
	t := p.next()
	n, err := strconv.ParseInt(t.text, 0, 64)
	if err != nil {
		u, err := strconv.ParseUint(t.text, 0, 64)
		if err != nil {
			p.fail(t.line, "%q is no number", t.text)
		}
		return int64(u)
	}
	return n
}

// sizeOf is the size of a type in bytes.
func (p *parser) sizeOf(t token) int {
	switch t.text {
	case ".pred":
		return 0
	case ".b8", ".u8", ".s8":
		return 1
	case ".b16", ".u16", ".s16", ".f16":
		return 2
	case ".b32", ".u32", ".s32", ".f32":
		return 4
	case ".b64", ".u64", ".s64", ".f64":
		return 8
	}
	p.fail(t.line, "%q is no type", t.text)
	return 0
}

// variable reads what follows .global, .shared or .param.
func (p *parser) variable() variable {
	v := variable{count: 1}
	if p.accept(".align") {
		v.align = int(p.number())
	}
	v.size = p.sizeOf(p.next())
	v.align = max(v.align, v.size)
	v.name = p.next().text
	if p.accept("[") {
		v.count = int(p.number())
		p.expect("]")
	}
	if p.accept("=") {
		if !p.accept("{") {
			v.init = append(v.init, uint64(p.number()))
		} else {
			for !p.accept("}") {
				v.init = append(v.init, uint64(p.number()))
				p.accept(",")
			}
		}
	}
	p.accept(";")
	return v
}

func (p *parser) kernel() *source {
	s := &source{name: p.next().text, labels: map[string]int{}}
	p.expect("(")
	for !p.accept(")") {
		p.expect(".param")
		s.params = append(s.params, p.variable())
		p.accept(",")
	}
	for !p.accept("{") { // .maxntid and its like bind ptxas, not us
		p.next()
	}
	for depth := 1; depth > 0; {
		switch t := p.next(); {
		case t.text == "{":
			depth++
		case t.text == "}":
			depth--
		case t.text == ".reg":
			r := variable{size: p.sizeOf(p.next())}
			r.name = p.next().text
			if p.accept("<") {
				r.count = int(p.number())
				p.expect(">")
			}
			s.regs = append(s.regs, r)
			p.expect(";")
		case t.text == ".shared":
			s.shared = append(s.shared, p.variable())
		case t.text == ".pragma":
			p.next()
			p.expect(";")
		case p.peek() == ":":
			p.at++
			s.labels[t.text] = len(s.code)
		default:
			s.code = append(s.code, p.instr(t))
		}
	}
	return s
}

func (p *parser) instr(t token) instr {
	in := instr{line: t.line}
	if strings.HasPrefix(t.text, "@") {
		in.neg = p.accept("!")
		in.pred = p.next().text
		t = p.next()
	}
	in.op = t.text
	for !p.accept(";") {
		if in.op == "bra" || in.op == "bra.uni" {
			in.label = p.next().text
			continue
		}
		in.args = append(in.args, p.arg())
		p.accept(",")
	}
	return in
}

func (p *parser) arg() arg {
	switch {
	case p.accept("{"):
		var a arg
		for !p.accept("}") {
			a.list = append(a.list, p.arg())
			p.accept(",")
		}
		return a
	case p.accept("["):
		a := arg{text: p.next().text}
		if p.accept("+") {
			a.offset = p.number()
		}
		p.expect("]")
		return a
	}
	a := arg{not: p.accept("!")}
	a.text = p.next().text
	if p.accept("|") {
		a.also = p.next().text
	}
	return a
}
