package pth

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// execute carries out one opcode; their names are those of Python's pickletools.
func (m *machine) execute(op byte) error {
	switch op {
	case 0x80: // PROTO
		version, err := m.byte()
		if err == nil && (version < 2 || version > 5) {
			err = fmt.Errorf("pickle protocol %d: only 2 to 5 are read", version)
		}
		return err
	case 0x95: // FRAME
		_, err := m.bytes(8)
		return err
	case '(': // MARK
		m.marks = append(m.marks, len(m.stack))
		return nil
	case 'N', 0x88, 0x89, 'K', 'M', 'J', 'G', 0x8a:
		return m.literal(op)
	case 'X', 'T', 'B', 0x8c, 'U', 'C':
		return m.text(op)
	case ')', 't', 0x85, 0x86, 0x87, ']', '}', 'a', 'e', 's', 'u':
		return m.container(op)
	case 'q', 'r', 0x94, 'h', 'j':
		return m.remember(op)
	case 'c', 0x93, 'R', 0x81, 'b', 'Q':
		return m.object(op)
	}
	return fmt.Errorf("opcode %#02x, which torch.save does not write for tensors: the file is damaged or no file of weights", op)
}

func (m *machine) literal(op byte) error {
	switch op {
	case 'N': // NONE
		return m.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		return m.push(op == 0x88)
	case 'G': // BINFLOAT
		b, err := m.bytes(8)
		if err != nil {
			return err
		}
		return m.push(float(b))
	case 0x8a: // LONG1
		n, err := m.byte()
		if err != nil {
			return err
		}
		b, err := m.bytes(uint64(n))
		if err != nil {
			return err
		}
		return m.push(integer(b))
	}
	n, err := m.number(map[byte]uint64{'K': 1, 'M': 2, 'J': 4}[op]) // BININT1, BININT2, BININT
	if err != nil {
		return err
	}
	if op == 'J' {
		return m.push(int64(int32(n)))
	}
	return m.push(int64(n))
}

func (m *machine) text(op byte) error {
	size := uint64(4) // BINUNICODE, BINSTRING, BINBYTES
	if op == 0x8c || op == 'U' || op == 'C' {
		size = 1 // their short forms
	}
	n, err := m.number(size)
	if err != nil {
		return err
	}
	b, err := m.bytes(n)
	if err != nil {
		return err
	}
	if (op == 'X' || op == 0x8c) && !utf8.Valid(b) {
		return errors.New("a text that is no UTF-8: the file is damaged")
	}
	return m.push(string(b))
}

func (m *machine) container(op byte) error {
	switch op {
	case ')': // EMPTY_TUPLE
		return m.push(tuple{})
	case 't': // TUPLE
		v, err := m.popMark()
		if err != nil {
			return err
		}
		return m.push(v)
	case 0x85, 0x86, 0x87: // TUPLE1 to TUPLE3
		v, err := m.popN(int(op - 0x84))
		if err != nil {
			return err
		}
		return m.push(v)
	case ']': // EMPTY_LIST
		return m.push(&list{})
	case '}': // EMPTY_DICT
		return m.push(&dict{})
	}
	var items tuple
	var err error
	switch op {
	case 'a': // APPEND
		items, err = m.popN(1)
	case 's': // SETITEM
		items, err = m.popN(2)
	default: // APPENDS, SETITEMS
		items, err = m.popMark()
	}
	if err != nil {
		return err
	}
	if op == 'a' || op == 'e' {
		l, err := top[*list](m)
		if err == nil {
			l.items = append(l.items, items...)
		}
		return err
	}
	d, err := top[*dict](m)
	if err == nil {
		err = d.add(items)
	}
	return err
}

// add appends keys and values in turn.
func (d *dict) add(items tuple) error {
	if len(items)%2 != 0 {
		return errUnderflow
	}
	for i := 0; i < len(items); i += 2 {
		d.entries = append(d.entries, entry{items[i], items[i+1]})
	}
	return nil
}

func (m *machine) remember(op byte) error {
	if op == 0x94 { // MEMOIZE
		return m.keep(len(m.memo))
	}
	size := uint64(1) // BINPUT, BINGET
	if op == 'r' || op == 'j' {
		size = 4 // their long forms
	}
	n, err := m.number(size)
	if err != nil {
		return err
	}
	if op == 'q' || op == 'r' {
		return m.keep(int(n))
	}
	v, ok := m.memo[int(n)]
	if !ok {
		return fmt.Errorf("nothing is remembered under %d: the file is damaged", n)
	}
	return m.push(v)
}

// keep remembers the value on top of the stack.
func (m *machine) keep(n int) error {
	if len(m.stack) <= m.bottom() {
		return errUnderflow
	}
	m.memo[n] = m.stack[len(m.stack)-1]
	return nil
}

func (m *machine) object(op byte) error {
	switch op {
	case 'c', 0x93: // GLOBAL, STACK_GLOBAL
		return m.named(op)
	case 'b': // BUILD gives an OrderedDict attributes, such as the versions of its modules
		if _, err := m.pop(); err != nil {
			return err
		}
		_, err := top[*dict](m)
		return err
	case 'Q': // BINPERSID
		id, err := m.pop()
		if err != nil {
			return err
		}
		t, ok := id.(tuple)
		if !ok {
			return errors.New("a persistent id that is no tuple: the file is damaged")
		}
		v, err := m.persistent(t)
		if err != nil {
			return err
		}
		return m.push(v)
	}
	both, err := m.popN(2) // REDUCE, NEWOBJ
	if err != nil {
		return err
	}
	f, callable := both[0].(function)
	args, ok := both[1].(tuple)
	if !callable || !ok {
		return fmt.Errorf("a call of a %T: the file is damaged", both[0])
	}
	v, err := f(args)
	if err != nil {
		return err
	}
	return m.push(v)
}

// named pushes a class or a function.
func (m *machine) named(op byte) error {
	var name [2]string
	if op == 'c' {
		for i := range name {
			var err error
			if name[i], err = m.line(); err != nil {
				return err
			}
		}
	} else {
		both, err := m.popN(2)
		if err != nil {
			return err
		}
		for i := range name {
			text, ok := both[i].(string)
			if !ok {
				return fmt.Errorf("a %T for the name of a class: the file is damaged", both[i])
			}
			name[i] = text
		}
	}
	v, err := m.global(name[0] + "." + name[1])
	if err != nil {
		return err
	}
	return m.push(v)
}
