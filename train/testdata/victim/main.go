// Command victim answers attacks of other programs with a checkpoint's network, for autoattack_check.py.
//
//	victim CHECKPOINT
//
// It reads questions from standard input and writes answers to standard output, float32 and int32 in little-endian
// order: the number of images n, whether a gradient is asked for (0 or 1), the images [n,H,W,C] and, for a gradient, the
// cotangents of the logits [n,classes]. The answer is the logits [n,classes], or the gradient [n,H,W,C].
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"rampart/checkpoints"
	"rampart/nn"
	"rampart/nn/cpu"
	"rampart/nn/device"
)

// rows is how many images the network takes at a time.
const rows = 256

// linear is the scalar product of the logits with given values, the cotangents.
type linear struct{}

// Rows implements device.Loss.
func (linear) Rows(b *device.Block) {
	for r := range b.Rows {
		b.Value[r] = 0
		for j, c := range b.Soft[r*b.Classes:][:b.Classes] {
			b.Value[r] += c * b.Logits[r*b.Classes+j]
			b.Grad[r*b.Classes+j] = c
		}
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: victim CHECKPOINT")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "victim:", err)
		os.Exit(1)
	}
}

func serve(path string, in io.Reader, out io.Writer) error {
	network, err := checkpoints.LoadOn(path, cpu.New(0), rows)
	if err != nil {
		return err
	}
	r, w := bufio.NewReaderSize(in, 1<<20), bufio.NewWriterSize(out, 1<<20)
	for {
		var question struct{ N, Gradient int32 }
		if err := binary.Read(r, binary.LittleEndian, &question); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := answer(network.Model, int(question.N), question.Gradient == 1, r, w); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
}

// answer reads n images, and the cotangents, and writes the logits or the gradient.
func answer(m *nn.Model, n int, gradient bool, r io.Reader, w io.Writer) error {
	size, classes := m.Input().Size(), m.Classes()
	x, soft := make([]float32, n*size), make([]float32, n*classes)
	if err := binary.Read(r, binary.LittleEndian, x); err != nil {
		return err
	}
	ask, width := m.Logits, classes
	if gradient {
		if err := binary.Read(r, binary.LittleEndian, soft); err != nil {
			return err
		}
		ask, width = m.InputGrad, size
	}
	for from := 0; from < n; from += rows {
		k := min(rows, n-from)
		c := &device.Call{Rows: k, X: m.New(k * size), Loss: linear{}, Scale: 1, Labels: make([]int32, k)}
		c.X.Upload(x[from*size:][:k*size], 0)
		to := m.New(k * width)
		if gradient {
			c.Soft, c.InputGrad = m.New(k*classes), to
			c.Soft.Upload(soft[from*classes:][:k*classes], 0)
		} else {
			c.Logits = to
		}
		if err := ask(c); err != nil {
			return err
		}
		values := make([]float32, k*width)
		to.Download(values, 0)
		if err := binary.Write(w, binary.LittleEndian, values); err != nil {
			return err
		}
	}
	return nil
}
