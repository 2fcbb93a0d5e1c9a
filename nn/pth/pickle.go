package pth

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
)

// maxPickle bounds a pickle, in bytes. That of a large network's weights takes a few hundred
// thousand: the numbers lie outside.
const maxPickle = 1 << 26

// Python's values as the machine holds them: nil for None, bool, int64, *big.Int, float64, string
// (also for bytes), tuple, *list, *dict, and what calls return. There are no others: a pickle is a
// program, and this machine has no instruction that leaves its own stack.
type (
	tuple []any
	list  struct{ items []any }
	dict  struct{ entries []entry }
	entry struct{ key, value any }
)

// function is what a pickle may call.
type function func(args tuple) (any, error)

// machine executes the opcodes that torch.save writes, with protocols 2 to 5.
type machine struct {
	r    *bufio.Reader
	left int // bytes that may still be read
	read int
	// global gives a class or function by its full name, persistent an object outside the pickle.
	global     func(name string) (any, error)
	persistent func(id tuple) (any, error)

	stack []any
	marks []int // heights of the stack
	memo  map[int]any
}

// unpickle reads one pickle from r, which must hold at least left bytes, and no byte beyond its end.
func unpickle(r *bufio.Reader, left int64, global func(string) (any, error), persistent func(tuple) (any, error)) (value any, read int64, err error) {
	m := &machine{r: r, left: int(min(left, maxPickle)), global: global, persistent: persistent, memo: map[int]any{}}
	for {
		at := m.read
		op, err := m.byte()
		if err == nil && op == '.' {
			value, err = m.pop()
			return value, int64(m.read), err
		}
		if err == nil {
			err = m.execute(op)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("byte %d of the pickle: %w", at, err)
		}
	}
}

var errUnderflow = errors.New("it takes more values than there are: the file is damaged")

func (m *machine) bytes(n uint64) ([]byte, error) {
	if n > uint64(m.left) {
		return nil, fmt.Errorf("the file is cut off or damaged, or its pickle takes more than %d MiB", maxPickle>>20)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(m.r, b); err != nil {
		return nil, errors.New("the file is cut off")
	}
	m.left, m.read = m.left-int(n), m.read+int(n)
	return b, nil
}

func (m *machine) byte() (byte, error) {
	b, err := m.r.ReadByte()
	if err != nil || m.left == 0 {
		return 0, errors.New("the file is cut off or damaged")
	}
	m.left, m.read = m.left-1, m.read+1
	return b, nil
}

// number reads an unsigned integer of n bytes.
func (m *machine) number(n uint64) (uint64, error) {
	b, err := m.bytes(n)
	return binary.LittleEndian.Uint64(append(b, make([]byte, 8-len(b))...)), err
}

func (m *machine) line() (string, error) {
	var text []byte
	for {
		b, err := m.byte()
		if err != nil || b == '\n' {
			return string(text), err
		}
		text = append(text, b)
	}
}

func (m *machine) push(v any) error {
	m.stack = append(m.stack, v)
	return nil
}

// bottom is the height below which a value belongs to what a mark has set aside.
func (m *machine) bottom() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

func (m *machine) pop() (any, error) {
	v, err := m.popN(1)
	if err != nil {
		return nil, err
	}
	return v[0], nil
}

func (m *machine) popN(n int) (tuple, error) {
	from := len(m.stack) - n
	if from < m.bottom() {
		return nil, errUnderflow
	}
	v := append(tuple{}, m.stack[from:]...)
	m.stack = m.stack[:from]
	return v, nil
}

// popMark takes what lies above the last mark.
func (m *machine) popMark() (tuple, error) {
	if len(m.marks) == 0 {
		return nil, errUnderflow
	}
	v, err := m.popN(len(m.stack) - m.bottom())
	m.marks = m.marks[:len(m.marks)-1]
	return v, err
}

// top is the value that stays on the stack while others are put into it.
func top[T any](m *machine) (T, error) {
	var none T
	if len(m.stack) <= m.bottom() {
		return none, errUnderflow
	}
	v, ok := m.stack[len(m.stack)-1].(T)
	if !ok {
		return none, fmt.Errorf("a %T stands where a %T belongs: the file is damaged", m.stack[len(m.stack)-1], none)
	}
	return v, nil
}

// integer turns the bytes of a LONG1, little-endian in two's complement, into an int64 or, where
// that is too small, a *big.Int.
func integer(b []byte) any {
	n := new(big.Int)
	for i := len(b) - 1; i >= 0; i-- {
		n.Or(n.Lsh(n, 8), big.NewInt(int64(b[i])))
	}
	if len(b) > 0 && b[len(b)-1] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

func float(b []byte) float64 { return math.Float64frombits(binary.BigEndian.Uint64(b)) }
